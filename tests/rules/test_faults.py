"""Faults of rules that are found before any turn, and the paths by which a document's reader is told of them."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.api.world import check_model
from tests.turns import TOOLS, book, spec
from voice_agent.agent import Agent, InvalidAgentError
from voice_agent.agent_document import validate_agent
from voice_agent.rules.faults import RuleError
from voice_agent.rules.kinds import Exit, MaxCount, ToolRules
from voice_agent.tools.outward import Guard

NINE: list[dict[str, Any]] = [
    {"type": "run_first", "tool": "look", "args": {"x": 1}},
    {"type": "children", "tool": "look", "children": ["once", "write"], "args": {"once": {"y": 2}}},
    {"type": "parent", "tool": "once", "children": ["picky"]},
    {"type": "conditional", "tool": "picky", "mapping": {"true": "write", "2": "bye"}, "default": "look"},
    {"type": "exit", "tool": "write"},
    {"type": "continue", "tool": "bye"},
    {"type": "required_before_exit", "tool": "look"},
    {"type": "requires_approval", "tool": "bye"},
    {"type": "max_count", "tool": "look", "count": 3},
]


def strict(given: dict[str, Any]) -> str | None:
    """Wants `x` to be 1, and a `y`."""
    faults = ["x: is wrong"] if given.get("x", 1) != 1 else []
    return "; ".join(faults + ([] if "y" in given else ["y: is missing"])) or None


KNOWN = TOOLS | {"strict": spec("strict", check=strict)}


def validated(*rules: Any, **fields: Any) -> Agent:
    """An agent of these rules, with every tool."""
    document = {"id": "ann", "name": "Ann", "tools": list(KNOWN), "tool_rules": list(rules)} | fields
    return validate_agent(document, KNOWN, check_model, Guard().fault, "simulated")


def faults(*rules: Any, **fields: Any) -> dict[str, str]:
    with pytest.raises(InvalidAgentError) as caught:
        validated(*rules, **fields)
    return {fault.path: fault.message for fault in caught.value.faults}


def test_all_nine_types_are_read_stored_and_read_again() -> None:
    """With their types, also where Python made them."""
    agent = validated(*NINE)
    assert [rule.type for rule in agent.tool_rules] == [row["type"] for row in NINE]
    assert Agent.model_validate_json(agent.document()) == agent
    made = Agent(id="a", name="A", tool_rules=(Exit(tool="look"), MaxCount(tool="look", count=1)))
    assert Agent.model_validate_json(made.document()).tool_rules == made.tool_rules
    assert TypeAdapter(ToolRules).validate_python(NINE) == agent.tool_rules


def test_an_agents_rules_are_over_its_tools() -> None:
    """Those that end a turn by themselves are known as such."""
    rules = validated(*NINE[:1]).rulebook(KNOWN)
    assert (rules.ends_turn("bye"), rules.ends_turn("look")) == (True, False)


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({"tool": "look"}, "/type"),
        ({"type": "first", "tool": "look"}, "/type"),
        ("run_first", ""),
        ({"type": "exit"}, "/tool"),
        ({"type": "exit", "tool": "look", "x": 1}, "/x"),
        ({"type": "exit", "tool": 5}, "/tool"),
        ({"type": "children", "tool": "look", "children": []}, "/children"),
        ({"type": "children", "tool": "look", "children": ["once", 5]}, "/children/1"),
        ({"type": "children", "tool": "look", "children": ["once"], "args": {"once": 1}}, "/args/once"),
        ({"type": "parent", "tool": "look"}, "/children"),
        ({"type": "conditional", "tool": "look", "mapping": {}}, "/mapping"),
        ({"type": "conditional", "tool": "look", "mapping": {"a/b": 1}}, "/mapping/a~1b"),
        ({"type": "max_count", "tool": "look", "count": 0}, "/count"),
        ({"type": "max_count", "tool": "look"}, "/count"),
        ({"type": "exit", "tool": "fly"}, "/tool"),
        ({"type": "parent", "tool": "look", "children": ["once", "fly"]}, "/children/1"),
        ({"type": "conditional", "tool": "look", "mapping": {"a~b/c": "fly"}}, "/mapping/a~0b~1c"),
        ({"type": "conditional", "tool": "look", "mapping": {"a": "once"}, "default": "fly"}, "/default"),
        ({"type": "children", "tool": "look", "children": ["once"], "args": {"fly/": {"x": 1}}}, "/args/fly~1"),
        (
            {
                "type": "conditional",
                "tool": "look",
                "mapping": {"1": "once"},
                "default": "bye",
                "require_mapping": True,
            },
            "/default",
        ),
        ({"type": "conditional", "tool": "look", "mapping": {"1": "once", "1.0": "bye"}}, "/mapping/1.0"),
        ({"type": "run_first", "tool": "strict", "args": {"x": 5}}, "/args"),
        ({"type": "children", "tool": "look", "children": ["strict"], "args": {"strict": {"x": 5}}}, "/args/strict"),
    ],
)
def test_a_fault_of_one_rule_has_the_path_to_its_field(rule: Any, path: str) -> None:
    """A JSON pointer into the document as it was written, and only one fault."""
    assert list(faults({"type": "continue", "tool": "write"}, rule)) == [f"/tool_rules/1{path}"]


@pytest.mark.parametrize(
    ("second", "path", "says"),
    [
        ({"type": "run_first", "tool": "look"}, "/1", "there is such a rule for this tool already"),
        ({"type": "parent", "tool": "write", "children": ["look"]}, "", "at the start of a turn: run_first look, pa"),
    ],
)  # fmt: skip
def test_rules_against_each_other_are_a_fault(second: Any, path: str, says: str) -> None:
    """Doubles where the second stands; what several rules come to, at the list of them."""
    found = faults({"type": "run_first", "tool": "look"}, second)
    assert list(found) == [f"/tool_rules{path}"]
    assert says in found[f"/tool_rules{path}"]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ([{"type": "exit", "tool": "look"}, {"type": "continue", "tool": "look"}], "can't both end the turn and go on"),
        (
            [{"type": "children", "tool": "look", "children": ["once"]},
             {"type": "parent", "tool": "look", "children": ["write"]}],
            "leave no tool to call after look: children look, parent look",
        ),
        (
            [{"type": "children", "tool": "look", "children": ["once"]},
             {"type": "conditional", "tool": "look", "mapping": {"yes": "once", "no": "write"}}],
            "after look: children look, conditional look (output 'no')",
        ),
        (
            [{"type": "children", "tool": "look", "children": ["once"]},
             {"type": "conditional", "tool": "look", "mapping": {"yes": "once"}, "default": "write"}],
            "after look: children look, conditional look (default)",
        ),
        (
            [{"type": "children", "tool": "look", "children": ["look"]},
             {"type": "max_count", "tool": "look", "count": 1}],
            "after look: children look, max_count look",
        ),
        (
            [{"type": "children", "tool": "look", "children": ["once"]},
             {"type": "parent", "tool": "write", "children": ["once"]}],
            "after look: children look, parent write",
        ),
        (
            [{"type": "run_first", "tool": "bye"}, {"type": "required_before_exit", "tool": "look"}],
            "at the start of a turn: run_first bye, required_before_exit look",
        ),
        (
            [{"type": "required_before_exit", "tool": "bye"}, {"type": "required_before_exit", "tool": "write"},
             {"type": "exit", "tool": "write"}],
            "bye and write each end the turn",
        ),
    ],
)  # fmt: skip
def test_rules_that_no_turn_can_follow_are_refused_at_creation(rules: list[Any], says: str) -> None:
    """With the names of all that take part; at the start and after each tool, for each output that a rule names."""
    (message,) = faults(*rules).values()
    assert says in message
    with pytest.raises(RuleError) as caught:
        book(*TypeAdapter(ToolRules).validate_python(rules))
    assert says in str(caught.value)


def test_a_turn_can_begin_with_some_tool() -> None:
    """Where each comes only after another, none is ever called."""
    says = "the rules leave no tool to call at the start of a turn: parent look"
    assert faults({"type": "parent", "tool": "look", "children": list(KNOWN)}) == {"/tool_rules": says}


def test_what_is_required_can_be_reached() -> None:
    """By some order of calls, whatever they bring; otherwise no turn could end."""
    required = {"type": "required_before_exit", "tool": "write"}
    circle: list[Any] = [
        {"type": "run_first", "tool": "look"},
        {"type": "children", "tool": "look", "children": ["once"]},
        {"type": "conditional", "tool": "once", "mapping": {"1": "look"}, "require_mapping": True},
    ]
    assert faults(*circle, required) == {"/tool_rules/3": "the other rules never let it be called"}
    circle[2]["mapping"]["2"] = "write"
    assert validated(*circle, required).tool_rules
    ended = [{"type": "exit", "tool": "once"}, {"type": "parent", "tool": "once", "children": ["write"]}]
    assert list(faults(*ended, required)) == ["/tool_rules/2"]


def test_rules_are_told_of_beside_all_other_faults() -> None:
    """In one answer, whatever else is wrong; a tool the agent lacks is no tool of its rules."""
    rule = {"type": "exit", "tool": "get_time"}
    found = faults(rule, {"type": "run_first", "tool": "strict", "args": {"x": 5}}, name="", tools=["strict", "fly"])
    assert found == {
        "/name": "String should have at least 1 character",
        "/tools/1": f"there is no tool 'fly'; known: {', '.join(sorted(KNOWN))}",
        "/tool_rules/0/tool": "the agent has no tool 'get_time'",
        "/tool_rules/1/args": "strict does not take this: x: is wrong",
    }
    assert set(faults(rule, tools=["look", {"type": "client"}])) == {
        "/tools/1/name", "/tools/1/description", "/tool_rules/0/tool",
    }  # fmt: skip


def test_what_the_model_has_to_fill_in_is_no_fault_of_a_rule() -> None:
    """Only what is set is checked."""
    assert validated({"type": "run_first", "tool": "strict", "args": {"x": 1}}).tool_rules[0].tool == "strict"


def test_there_is_an_end_to_rules() -> None:
    """So that reading them takes no time worth speaking of; no value of theirs is in a message."""
    many = [{"type": "max_count", "tool": f"t{number}", "count": 1} for number in range(201)]
    assert list(faults(*many)) == ["/tool_rules"]
    names = ["look"] * 201
    assert list(faults({"type": "children", "tool": "look", "children": names})) == ["/tool_rules/0/children"]
    mapping = {str(number): "look" for number in range(201)}
    assert list(faults({"type": "conditional", "tool": "look", "mapping": mapping})) == ["/tool_rules/0/mapping"]
    assert len(faults(*[{"type": "exit", "tool": "look"}] * 200)) == 199
    assert "hunter2" not in str(faults({"type": "hunter2", "tool": "look"}))
