"""Tool rules: what each allows and forces, how a turn obeys them, and what holds for any rules and any calls."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tests.test_turn import _script, play, without_times
from tests.turns import FINISHED, TOOLS, Bench, call, check_valid_for_providers, setup, spec
from voice_agent import events as ev
from voice_agent.rules import Children, Continue, Exit, Fixed, Rulebook, RuleError, RunFirst, ToolRule
from voice_agent.turn import Turn
from voice_agent.turn_states import State

CHAIN = (
    RunFirst(tool="look"),
    Children(tool="look", children=("quiet", "once")),
    Continue(tool="bye"),
    Exit(tool="write"),
)


def book(*rules: Any) -> Rulebook:
    """Rules over the tests' tools."""
    return Rulebook(rules, TOOLS)


def bench(*rules: Any, **changes: Any) -> Bench:
    """A turn under these rules."""
    return Bench(Turn(setup(rules=book(*rules), **changes)))


def ok(*call_numbers: int) -> list[ev.ToolReturned]:
    """Successes of the turn's n-th calls."""
    return [ev.ToolReturned(f"call_x_{number}", "ok") for number in call_numbers]


def choices(of: Bench) -> list[str]:
    """What each request says of calls."""
    return [effect.request.tool_choice for effect in of.of(ev.CallModel)]


# ---- the rules by themselves ----


def test_rules_are_read_by_their_type() -> None:
    """As JSON, with a fault for a type that there is not and for a field that there is not."""
    read = TypeAdapter(tuple[ToolRule, ...]).validate_python
    rows = [{"type": "run_first", "tool": "a"}, {"type": "children", "tool": "a", "children": ["b"]}]
    assert read([*rows, {"type": "continue", "tool": "b"}, {"type": "exit", "tool": "c"}]) == (
        RunFirst(tool="a"), Children(tool="a", children=("b",)), Continue(tool="b"), Exit(tool="c"),
    )  # fmt: skip
    for wrong in ({"type": "first", "tool": "a"}, {"type": "exit", "tool": "a", "x": 1}, {"type": "exit"}):
        with pytest.raises(ValidationError):
            read([wrong])


def test_the_first_call_is_one_of_the_first_tools() -> None:
    """After it any may be called."""
    rules = book(RunFirst(tool="look"), RunFirst(tool="once"))
    assert rules.forced(()) == ("look", "once")
    assert rules.refusal("quiet", ()) == "Not run: quiet can't be called now. Call one of look, once."
    assert rules.refusal("once", ()) is None
    assert rules.forced(("once",)) == ()
    assert rules.refusal("quiet", ("once",)) is None


def test_after_a_parent_only_its_children() -> None:
    """The last call counts, and several such rules of one tool add up."""
    rules = book(Children(tool="look", children=("quiet",)), Children(tool="look", children=("once", "quiet")))
    assert rules.forced(("look",)) == ("quiet", "once")
    assert rules.refusal("look", ("look",)) is not None
    assert rules.forced(("look", "quiet")) == ()
    assert rules.forced(()) == ()


def test_exit_and_continue_stand_over_what_the_tool_says() -> None:
    """A tool without such a rule does as it says itself."""
    rules = book(Exit(tool="look"), Continue(tool="bye"))
    ends = {name: rules.ends_turn(name, exits=TOOLS[name].exits) for name in TOOLS}
    assert [name for name, does in ends.items() if does] == ["look"]
    assert book().ends_turn("bye", exits=True)


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ([RunFirst(tool="nosuch")], "run_first nosuch: there is no tool 'nosuch'"),
        ([Children(tool="look", children=("gone",))], "children look: there is no tool 'gone'"),
        ([Children(tool="look", children=("once",), args={"gone": {}})], "there is no tool 'gone'"),
        ([Exit(tool="look"), Continue(tool="look")], "continue look: the tool can't both end the turn and go on"),
    ],
)
def test_rules_that_no_turn_can_follow_are_refused_at_once(rules: list[Any], says: str) -> None:
    """An empty choice is an error in the rules, never "all tools"."""
    with pytest.raises(RuleError, match=says):
        book(*rules)
    with pytest.raises(ValidationError):
        Children(tool="look", children=())


def test_a_rule_may_set_arguments() -> None:
    """For the call that it allows, and for no other."""
    children = Children(tool="look", children=("once",), args={"once": {"y": 2}})
    rules = book(RunFirst(tool="look", args={"x": 1}), children)
    assert rules.fixed("look", ()) == Fixed("run_first look", {"x": 1})
    assert rules.fixed("once", ("look",)) == Fixed("children look", {"y": 2})
    assert rules.fixed("look", ("once",)) is None
    assert rules.fixed("once", ()) is None


_rules = st.lists(
    st.one_of(
        st.builds(lambda tool: RunFirst(tool=tool), st.sampled_from(list(TOOLS))),
        st.builds(
            lambda tool, children: Children(tool=tool, children=tuple(children)),
            st.sampled_from(list(TOOLS)),
            st.lists(st.sampled_from(list(TOOLS)), min_size=1, max_size=3),
        ),
        st.builds(lambda tool: Exit(tool=tool), st.sampled_from(["look", "write"])),
        st.builds(lambda tool: Continue(tool=tool), st.sampled_from(["bye", "once"])),
    ),
    max_size=5,
)


@given(_rules, st.lists(st.sampled_from(list(TOOLS)), max_size=4))
def test_there_is_always_a_legal_call_and_a_refusal_names_it(rules: list[Any], called: list[str]) -> None:
    """A call is refused exactly where others are forced, and then the model is told which."""
    rulebook = Rulebook(rules, TOOLS)
    forced = rulebook.forced(called)
    legal = [name for name in TOOLS if rulebook.refusal(name, called) is None]
    assert set(legal) == set(forced or TOOLS)
    for name in set(TOOLS) - set(legal):
        assert all(other in (rulebook.refusal(name, called) or "") for other in forced)


# ---- a turn under rules ----


def test_a_forced_step_asks_for_a_call() -> None:
    """And a step in which none is forced leaves it to the model."""
    turn = bench(*CHAIN)
    turn.feed(call(0, "look"), FINISHED, *ok(0))
    turn.feed(call(0, "quiet"), FINISHED, *ok(1))
    assert choices(turn) == ["required", "required", "auto"]
    turn.feed(call(0, "write"), FINISHED, *ok(2))
    assert turn.ended.reason == "tool_rule"


def test_a_call_that_the_rules_do_not_allow_is_not_run() -> None:
    """The model reads which are, and is still forced."""
    turn = bench(*CHAIN)
    turn.feed(call(0, "write"), FINISHED)
    assert turn.of(ev.RunTool) == []
    request = turn.of(ev.CallModel)[1].request
    assert request.turn[-1].text == "Not run: write can't be called now. Call look."
    assert request.tool_choice == "required"


def test_a_call_that_failed_does_not_count() -> None:
    """The model may mend it, and nothing that follows it is allowed."""
    turn = bench(*CHAIN)
    turn.feed(call(0, "look"), FINISHED, ev.ToolReturned("call_x_0", "no", "error"))
    turn.feed(call(0, "quiet"), call(1, "look"), FINISHED)
    assert [effect.name for effect in turn.of(ev.RunTool)] == ["look", "look"]


def test_parallel_calls_go_as_far_as_the_rules_allow_each() -> None:
    """One that is only legal after another waits for its result; one that is legal in any case does not."""
    turn = bench(*CHAIN)
    turn.feed(call(0, "look"), call(1, "quiet"), call(2, "once"), call(3, "look"), FINISHED)
    assert turn.running == ["call_x_0"]
    turn.feed(*ok(0))
    assert turn.running == ["call_x_1", "call_x_2"]
    turn.feed(*ok(1))
    assert turn.running == ["call_x_2", "call_x_3"]
    free = bench()
    free.feed(call(0, "look"), call(1, "quiet"), FINISHED)
    assert free.running == ["call_x_0", "call_x_1"]


def test_an_answer_in_words_is_met_by_one_reminder_and_then_ends_the_turn() -> None:
    """The reminder names the tools, stands in the history, and the end says what was wrong."""
    turn = bench(*CHAIN)
    turn.feed(ev.TextDelta("I would rather talk."), FINISHED)
    assert choices(turn) == ["required", "required"]
    reminder = turn.of(ev.CallModel)[1].request.turn[-1]
    assert (reminder.role, "Call look." in reminder.text) == ("context", True)
    turn.feed(FINISHED)
    assert turn.ended.reason == "invalid_tool_call"
    assert [event.code for event in turn.of(ev.Failed)] == ["provider"]
    assert "no valid call" in turn.of(ev.Failed)[0].message
    assert len(turn.of(ev.CallModel)) == 2


def test_a_call_after_the_reminder_goes_on() -> None:
    """There is one reminder in a turn: the next answer in words ends it, wherever it comes."""
    turn = bench(*CHAIN)
    turn.feed(FINISHED)
    turn.feed(call(0, "look"), FINISHED, *ok(0))
    turn.feed(ev.TextDelta("Well."), FINISHED)
    assert turn.ended.reason == "invalid_tool_call"
    assert [effect.name for effect in turn.of(ev.RunTool)] == ["look"]


def test_words_where_nothing_is_forced_end_the_turn() -> None:
    """As without rules."""
    turn = bench(Exit(tool="look"))
    turn.feed(ev.TextDelta("Hi."), FINISHED)
    assert turn.ended.reason == "end_turn"


def test_continue_takes_the_exit_from_a_tool() -> None:
    """A tool that would end the turn by itself does not."""
    turn = bench(Continue(tool="bye"))
    turn.feed(call(0, "bye"), FINISHED, *ok(0))
    assert turn.turn.state is State.THINKING


def test_the_last_step_forces_nothing() -> None:
    """The turn ends for want of steps, whatever the rules want."""
    turn = bench(*CHAIN, max_steps=1)
    turn.feed(ev.TextDelta("Hm."), FINISHED)
    assert (choices(turn), turn.ended.reason) == (["none"], "max_steps")


def test_arguments_of_a_rule_stand_over_the_models() -> None:
    """They are checked, run, and remembered as if the model had written them."""
    turn = bench(RunFirst(tool="picky", args={"x": 1}))
    turn.feed(call(0, "picky", '{"x":5,"y":2}'), FINISHED)
    assert turn.of(ev.RunTool)[0].arguments == {"x": 1, "y": 2}
    turn.feed(*ok(0))
    assert json.loads(turn.of(ev.SaveStep)[0].messages[0].tool_calls[0].arguments) == {"x": 1, "y": 2}


def test_a_bad_argument_of_a_rule_ends_the_turn() -> None:
    """The end names the rule; a fault in the model's own arguments does not end it."""
    check = spec("strict", check=lambda given: next((f"{name}: is wrong" for name in given if given[name] == 0), None))
    rules = Rulebook([RunFirst(tool="strict", args={"x": 0})], ["strict"])
    turn = Bench(Turn(setup(rules=rules, tools={"strict": check})))
    turn.feed(call(0, "strict", '{"y":1}'), FINISHED)
    assert turn.ended.reason == "invalid_tool_call"
    assert "run_first strict" in turn.of(ev.Failed)[0].message
    sound = Rulebook([RunFirst(tool="strict", args={"x": 1})], ["strict"])
    other = Bench(Turn(setup(rules=sound, tools={"strict": check})))
    other.feed(call(0, "strict", '{"y":0}'), FINISHED)
    assert other.turn.state is State.THINKING


# ---- for any rules and any events ----


@settings(max_examples=300, deadline=None)
@given(_rules, _script)
def test_no_call_runs_that_the_rules_do_not_allow(rules: list[Any], script: list[Any]) -> None:
    """Judged when it starts, by the calls that have succeeded until then; the turn ends once, with a valid history."""
    rulebook = Rulebook(rules, TOOLS)
    turn = play(Turn(setup(rules=rulebook)), script)
    names: dict[str, str] = {}
    order: list[str] = []
    succeeded: set[str] = set()
    for output in turn.out:
        if isinstance(output, ev.RunTool):
            # Names count in call order, and the ids are numbered in it.
            called = [names[each] for each in sorted(succeeded, key=order.index)]
            assert rulebook.refusal(output.name, called) is None
            names[output.call_id] = output.name
            order.append(output.call_id)
        elif isinstance(output, ev.ToolFinished) and output.status == "ok":
            succeeded.add(output.call_id)
    check_valid_for_providers(tuple(m for m in turn.ended.messages if m.role != "context"))
    assert sum(message.role == "context" for message in turn.ended.messages) <= 1


@settings(max_examples=300, deadline=None)
@given(_rules, _script, st.integers(0, 4))
def test_a_turn_under_rules_can_be_rebuilt_at_any_step_border(rules: list[Any], script: list[Any], border: int) -> None:
    """Which calls succeeded, and whether it was reminded, stands in its messages."""
    rulebook = Rulebook(rules, TOOLS)
    whole = play(Turn(setup(rules=rulebook)), script)
    saved = whole.of(ev.SaveStep)
    if border >= len(saved):
        return
    rest = whole.out[whole.out.index(saved[border]) + 1 :]
    if not rest or not isinstance(rest[0], ev.CallModel):
        return
    done = tuple(message for effect in saved[: border + 1] for message in effect.messages)
    asked = sum(isinstance(output, ev.CallModel) for output in whole.out)
    asked -= sum(isinstance(output, ev.CallModel) for output in rest)
    again = play(Turn(setup(rules=rulebook), done), script[asked:])
    assert again.out[0] == rest[0]
    assert again.ended.reason == whole.ended.reason
    assert without_times(again.ended.messages) == without_times(whole.ended.messages)
