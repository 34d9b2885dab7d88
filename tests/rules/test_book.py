"""The rulebook by itself: what each rule allows, forces and sets, and what holds for any rules and any past."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.sets import any_rules, calls
from tests.turns import TOOLS, book, spec
from voice_agent.rules.book import Fixed, Rulebook
from voice_agent.rules.faults import RuleError
from voice_agent.rules.kinds import (
    Children,
    Conditional,
    Continue,
    Exit,
    MaxCount,
    Parent,
    RequiredBeforeExit,
    RequiresApproval,
    RunFirst,
)
from voice_agent.rules.past import Past

START = Past()


def after(*names: str, output: str = "done") -> Past:
    """A turn in which these calls were made, all with success."""
    return Past(names, output, names)


def chosen(rules: Rulebook, past: Past) -> tuple[tuple[str, ...], str]:
    """What may be called, and what is asked of the model."""
    choice = rules.choice(past)
    assert choice.fault is None
    return choice.tools, choice.ask


def test_the_first_call_is_one_of_the_first_tools() -> None:
    """After it any may be called."""
    rules = book(RunFirst(tool="look"), RunFirst(tool="once"))
    assert chosen(rules, START) == (("look", "once"), "required")
    assert rules.refusal("quiet", START) == "Not run: quiet can't be called now. Call one of look, once."
    assert rules.refusal("once", START) is None
    assert chosen(rules, after("once")) == (tuple(TOOLS), "auto")


def test_a_tool_that_alone_is_allowed_is_asked_for_by_name() -> None:
    """Unless its name is a word that means something else there."""
    assert chosen(book(RunFirst(tool="look")), START) == (("look",), "look")
    rules = book(RunFirst(tool="none"), tools={"none": spec("none"), "look": spec("look")})
    assert chosen(rules, START) == (("none",), "required")


def test_after_a_tool_only_its_children() -> None:
    """The last call counts, and after the child any may be called again."""
    rules = book(Children(tool="look", children=("quiet", "once")))
    assert chosen(rules, after("look")) == (("once", "quiet"), "required")
    assert rules.refusal("look", after("look")) is not None
    assert chosen(rules, after("look", "quiet")) == chosen(rules, START) == (tuple(TOOLS), "auto")


def test_a_child_of_a_parent_is_allowed_right_after_it_and_nowhere_else() -> None:
    """And then only it; a child of two parents is allowed after either."""
    rules = book(Parent(tool="look", children=("quiet", "once")), Parent(tool="write", children=("once",)))
    assert chosen(rules, after("look")) == (("once", "quiet"), "required")
    assert chosen(rules, after("write")) == (("once",), "once")
    others = tuple(name for name in TOOLS if name not in ("quiet", "once"))
    for past in (START, after("look", "quiet"), after("picky")):
        assert chosen(rules, past) == (others, "auto")
    refused = rules.refusal("once", START)
    assert refused == f"Not run: once can be called only right after look or write. Allowed now: {', '.join(others)}."


@pytest.mark.parametrize(
    ("key", "output", "same"),
    [
        ("true", "true", True), ("True", "true", True), ("true", "1", False), ("false", "", False),
        ("1", "1", True), ("1", "1.0", True), ("1", "true", False), ("1", "one", False), ("007", "7", True),
        ("2.5", "2.50", True), ("-1e3", "-1000", True), ("1", "\u0661", False), ("1", "1_0", False),
        ("9" * 40, "9" * 39 + "8", False), ("yes", "yes\n", True), ("yes", "Yes", False), ("", "  ", True),
        ("1e999", "1e998", False), ("nan", "nan", True), ("1", "1" * 5000, False),
    ],
)  # fmt: skip
def test_an_output_is_compared_as_what_it_reads_as(key: str, output: str, same: bool) -> None:
    """Truth values, whole numbers, numbers, text: in this order, and one kind never equals another."""
    rules = book(Conditional(tool="look", mapping={key: "write"}, default="once"))
    assert chosen(rules, after("look", output=output))[1] == ("write" if same else "once")


def test_an_output_that_is_no_key_picks_the_default_or_nothing() -> None:
    """Where a key is required it is a fault of the rules, told without the output."""
    mapping = {"yes": "write"}
    assert chosen(book(Conditional(tool="look", mapping=mapping)), after("look", output="hm")) == (tuple(TOOLS), "auto")
    strict = book(Conditional(tool="look", mapping=mapping, require_mapping=True))
    choice = strict.choice(after("look", output="hm"))
    assert (choice.tools, choice.forced, choice.ask) == ((), True, "none")
    assert choice.fault == (
        "the rules leave no tool to call after look: conditional look (its output is no key of the mapping)"
    )


def test_exit_and_continue_stand_over_what_the_tool_says() -> None:
    """A tool without such a rule does as it says itself."""
    rules = book(Exit(tool="look"), Continue(tool="bye"))
    assert [name for name in TOOLS if rules.ends_turn(name)] == ["look"]
    assert book().ends_turn("bye")


def test_what_is_required_keeps_the_turn_from_ending() -> None:
    """Tools that end it are refused, words are not enough; the required tool may itself be the end."""
    rules = book(RequiredBeforeExit(tool="look"), RequiredBeforeExit(tool="write"), Exit(tool="once"))
    refused = rules.refusal("bye", after("look")) or ""
    assert refused.startswith("Not run: bye ends the turn, and before that write must be called. Allowed now: look")
    assert rules.refusal("once", START) is not None
    assert [rules.owed(past) for past in (START, after("look"))] == ["look and write", "write"]
    done = after("write", "look")
    assert (rules.owed(done), rules.refusal("bye", done), rules.refusal("once", done)) == (None, None, None)
    assert book(RequiredBeforeExit(tool="bye")).refusal("bye", START) is None


def test_a_tool_is_spent_after_its_count() -> None:
    """Failures count, refusals do not; where it was required it no longer is."""
    rules = book(MaxCount(tool="look", count=2), RequiredBeforeExit(tool="look"))
    failed_twice = Past((), "", ("look", "look"))
    assert rules.refusal("look", Past((), "", ("look", "write"))) is None
    assert "look may be called 2 times in a turn, and was" in (rules.refusal("look", failed_twice) or "")
    assert (rules.owed(START), rules.owed(failed_twice)) == ("look", None)


def test_where_nothing_may_be_called_and_nothing_has_to_be_words_are_left() -> None:
    """No fault: the model is told that it can call nothing."""
    rules = book(MaxCount(tool="look", count=1), tools={"look": spec("look")})
    assert chosen(rules, after("look")) == ((), "none")
    refused = "Not run: look may be called once in a turn, and was. No tool can be called now."
    assert rules.refusal("look", after("look")) == refused
    assert chosen(Rulebook(), START) == ((), "auto")


def test_rules_at_once_intersect() -> None:
    """Each can only take away."""
    rules = book(
        Children(tool="look", children=("write", "once", "quiet")),
        Parent(tool="look", children=("once", "quiet", "picky")),
        MaxCount(tool="quiet", count=1),
    )
    assert chosen(rules, after("look")) == (("once", "quiet"), "required")
    assert chosen(rules, after("quiet", "look")) == (("once",), "once")


def test_rules_that_come_to_nothing_in_a_turn_say_so() -> None:
    """Naming each that took part; never all tools."""
    rules = book(Children(tool="look", children=("once", "bye")), MaxCount(tool="once", count=1),
                 RequiredBeforeExit(tool="write"))  # fmt: skip
    choice = rules.choice(after("once", "look"))
    assert choice.tools == ()
    assert choice.fault == (
        "the rules leave no tool to call after look: children look, max_count once, required_before_exit write"
    )
    assert rules.choice(after("write", "once", "look")).tools == ("bye",)


def test_a_rule_may_set_arguments() -> None:
    """For the call that it allows, and for no other."""
    rules = book(
        RunFirst(tool="look", args={"x": 1}), Children(tool="look", children=("once",), args={"once": {"y": 2}})
    )
    assert rules.fixed("look", START) == Fixed("run_first look", "/0/args", {"x": 1})
    assert rules.fixed("once", after("look")) == Fixed("children look", "/1/args/once", {"y": 2})
    assert rules.fixed("look", after("once")) is None
    assert rules.fixed("once", START) is None


def test_only_its_own_arguments_are_blamed_on_a_rule() -> None:
    """By the field that each part of the fault names."""
    fixed = Fixed("run_first look", "/0/args", {"x": 0, "a.b": 1})
    fault = "y: is missing; x/0: is wrong; xx: too much; a.b: no"
    assert fixed.blamed(fault) == "x/0: is wrong; a.b: no"
    assert fixed.blamed("y: is missing; acb: no") is None
    assert Fixed("run_first look", "/0/args", {"a/b~": 1}).blamed("a~1b~0: is wrong") == "a~1b~0: is wrong"


def test_approval_is_a_question() -> None:
    """Asked by name."""
    rules = book(RequiresApproval(tool="write"))
    assert [name for name in TOOLS if rules.needs_approval(name)] == ["write"]


@pytest.mark.parametrize(
    ("rules", "tool", "running", "waits"),
    [
        ((Children(tool="look", children=("once",)),), "once", "look", False),
        ((Children(tool="look", children=("once",)),), "write", "look", True),
        ((Parent(tool="look", children=("once",)),), "once", "look", True),
        ((RunFirst(tool="look"),), "once", "look", True),
        ((Conditional(tool="look", mapping={"1": "once"}),), "once", "look", True),
        ((MaxCount(tool="look", count=1),), "look", "look", False),
        ((Children(tool="look", children=("once",), args={"once": {"x": 1}}),), "once", "look", True),
        ((RunFirst(tool="look", args={"x": 1}), Children(tool="look", children=("look",))), "look", "look", True),
        ((), "once", "look", False),
    ],
)
def test_a_call_waits_where_the_ones_before_it_decide(rules: Any, tool: str, running: str, waits: bool) -> None:
    """Whether it may run, or what is set for it, hangs on their outcome."""
    assert book(*rules).undecided(tool, Past((), "", (running,)), (running,)) is waits


@settings(max_examples=500, deadline=None)
@given(any_rules, calls, st.sampled_from(["yes", "1", "hm"]))
def test_the_choice_is_never_empty_without_a_fault(rules: list[Any], made: list[tuple[str, bool]], output: str) -> None:
    """What is forced and empty says why; a refusal is given exactly for what is not allowed, and names what is."""
    try:
        rulebook = book(*rules)
    except RuleError:
        return
    past = Past(tuple(name for name, ok in made if ok), output, tuple(name for name, _ in made))
    choice = rulebook.choice(past)
    assert (choice.fault is not None) is (choice.forced and not choice.tools)
    assert [name for name in TOOLS if rulebook.refusal(name, past) is None] == list(choice.tools)
    for name in set(TOOLS) - set(choice.tools):
        assert all(other in (rulebook.refusal(name, past) or "") for other in choice.tools)
    expected = "required" if len(choice.tools) > 1 else choice.tools[0] if choice.tools else "none"
    assert choice.ask == (expected if choice.forced or not choice.tools else "auto")


@settings(max_examples=500, deadline=None)
@given(any_rules, calls)
def test_a_further_rule_never_allows_more(rules: list[Any], made: list[tuple[str, bool]]) -> None:
    """Rules of order and limits only take away, whatever was called."""
    adding = [rule for rule in rules if isinstance(rule, Children | Conditional | MaxCount)]
    past = Past(tuple(name for name, ok in made if ok), "yes", tuple(name for name, _ in made))
    allowed = set(TOOLS)
    for count in range(len(adding) + 1):
        try:
            choice = book(*adding[:count]).choice(past)
        except RuleError:
            return
        assert set(choice.tools) <= allowed
        allowed = set(choice.tools)
