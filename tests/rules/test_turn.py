"""Turns under rules: how each type acts in one, how it ends, and what holds for any rules and any events."""

import json
from typing import Any

from tests.turns import FINISHED, Bench, call, setup, spec
from voice_agent import events as ev
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
from voice_agent.turn import Turn
from voice_agent.turn_states import State

CHAIN = (
    RunFirst(tool="look"),
    Children(tool="look", children=("quiet", "once")),
    Continue(tool="bye"),
    Exit(tool="write"),
)
WORDS = ev.TextDelta("I would rather talk.")


def bench(*rules: Any, **changes: Any) -> Bench:
    """A turn under these rules."""
    return Bench(Turn(setup(rules=rules, **changes)))


def ok(*call_numbers: int, output: str = "ok") -> list[ev.ToolReturned]:
    """Successes of the turn's n-th calls."""
    return [ev.ToolReturned(f"call_x_{number}", output) for number in call_numbers]


def choices(of: Bench) -> list[str]:
    """What each request says of calls."""
    return [effect.request.tool_choice for effect in of.of(ev.CallModel)]


def ran(of: Bench) -> list[str]:
    """The tools that were run."""
    return [effect.name for effect in of.of(ev.RunTool)]


def last_told(of: Bench) -> str:
    """What the model read last."""
    return of.of(ev.CallModel)[-1].request.turn[-1].text


# ---- forced calls ----


def test_a_forced_step_asks_for_a_call() -> None:
    """By name where there is only one; a step in which none is forced leaves it to the model."""
    turn = bench(*CHAIN)
    turn.feed(call(0, "look"), FINISHED, *ok(0))
    turn.feed(call(0, "quiet"), FINISHED, *ok(1))
    assert choices(turn) == ["look", "required", "auto"]
    turn.feed(call(0, "write"), FINISHED, *ok(2))
    assert turn.ended.reason == "tool_rule"


def test_a_call_that_the_rules_do_not_allow_is_not_run() -> None:
    """The model reads which are, and is still forced."""
    turn = bench(*CHAIN)
    turn.feed(call(0, "write"), FINISHED)
    assert ran(turn) == []
    assert last_told(turn) == "Not run: write can't be called now. Call look."
    assert choices(turn) == ["look", "look"]


def test_a_call_that_failed_does_not_count() -> None:
    """The model may mend it, and nothing that follows it is allowed."""
    turn = bench(*CHAIN)
    turn.feed(call(0, "look"), FINISHED, ev.ToolReturned("call_x_0", "no", "error"))
    turn.feed(call(0, "quiet"), call(1, "look"), FINISHED)
    assert ran(turn) == ["look", "look"]


def test_an_answer_in_words_is_met_by_one_reminder_and_then_ends_the_turn() -> None:
    """The reminder names the tools, stands in the history, and the end says what was wrong."""
    turn = bench(*CHAIN)
    turn.feed(WORDS, FINISHED)
    assert choices(turn) == ["look", "look"]
    reminder = turn.of(ev.CallModel)[1].request.turn[-1]
    assert (reminder.role, "Call look." in reminder.text) == ("context", True)
    turn.feed(FINISHED)
    assert turn.ended.reason == "invalid_tool_call"
    assert [event.code for event in turn.of(ev.Failed)] == ["provider"]
    assert "no valid call: the model answered in words where it must call look" in turn.of(ev.Failed)[0].message
    assert len(turn.of(ev.CallModel)) == 2


def test_a_call_after_the_reminder_goes_on() -> None:
    """There is one reminder in a turn: the next answer in words ends it, wherever it comes."""
    turn = bench(*CHAIN)
    turn.feed(FINISHED)
    turn.feed(call(0, "look"), FINISHED, *ok(0))
    turn.feed(ev.TextDelta("Well."), FINISHED)
    assert turn.ended.reason == "invalid_tool_call"
    assert ran(turn) == ["look"]


def test_a_turn_that_ends_for_its_rules_is_not_met_with_silence() -> None:
    """A caller who heard nothing hears the notice; one who heard something needs none."""
    turn = bench(*CHAIN, failure_notice="Sorry.")
    turn.feed(FINISHED)
    turn.feed(FINISHED)
    assert [event.text for event in turn.of(ev.Spoke)] == ["Sorry."]
    turn = bench(*CHAIN, failure_notice="Sorry.")
    turn.feed(WORDS, FINISHED)
    turn.feed(FINISHED)
    assert [event.kind for event in turn.of(ev.Spoke)] == ["reply"]


def test_words_where_nothing_is_forced_end_the_turn() -> None:
    """As without rules."""
    turn = bench(Exit(tool="look"), MaxCount(tool="look", count=1), RequiresApproval(tool="write"))
    turn.feed(ev.TextDelta("Hi."), FINISHED)
    assert turn.ended.reason == "end_turn"


def test_the_last_step_forces_nothing() -> None:
    """The turn ends for want of steps, whatever the rules want."""
    turn = bench(*CHAIN, RequiredBeforeExit(tool="once"), max_steps=1)
    turn.feed(ev.TextDelta("Hm."), FINISHED)
    assert (choices(turn), turn.ended.reason) == (["none"], "max_steps")


# ---- the order of calls ----


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


def test_a_child_of_a_parent_runs_right_after_it_and_never_else() -> None:
    """In one reply as well as step by step."""
    turn = bench(Parent(tool="look", children=("quiet",)))
    turn.feed(call(0, "quiet"), call(1, "look"), call(2, "quiet"), call(3, "quiet"), FINISHED)
    turn.feed(*ok(1))
    assert ran(turn) == ["look", "quiet"]
    turn.feed(*ok(2))
    assert ran(turn) == ["look", "quiet"]
    told = [message.text for message in turn.of(ev.CallModel)[1].request.turn if message.refused]
    assert len(told) == 2
    assert all(text.startswith("Not run: quiet can be called only right after look.") for text in told)
    turn.feed(call(0, "look"), FINISHED, *ok(4))
    assert choices(turn) == ["auto", "auto", "quiet"]


def test_an_output_picks_the_next_tool() -> None:
    """A call that came with it waits for the output; in the next step the model is asked for the tool by name."""
    turn = bench(Conditional(tool="look", mapping={"true": "quiet", "2": "once"}, default="lone"))
    turn.feed(call(0, "look"), call(1, "once"), FINISHED)
    assert turn.running == ["call_x_0"]
    turn.feed(*ok(0, output="True"))
    assert choices(turn) == ["auto", "quiet"]
    assert last_told(turn) == "Not run: once can't be called now. Call quiet."
    turn.feed(call(0, "quiet"), call(1, "look"), FINISHED, *ok(2))
    turn.feed(*ok(3, output="2.0"))
    turn.feed(call(0, "once"), FINISHED, *ok(4))
    assert choices(turn) == ["auto", "quiet", "once", "auto"]


def test_an_output_that_no_rule_foresees_ends_the_turn_where_one_has_to() -> None:
    """With clear words, and without asking the model again."""
    turn = bench(Conditional(tool="look", mapping={"yes": "quiet"}, require_mapping=True))
    turn.feed(call(0, "look"), FINISHED, *ok(0, output="hunter2"))
    assert (turn.ended.reason, len(turn.of(ev.CallModel)), turn.ended.usage.steps) == ("invalid_tool_call", 1, 1)
    (failed,) = turn.of(ev.Failed)
    assert failed.message == (
        "the rules leave no tool to call after look: conditional look (its output is no key of the mapping)"
    )


def test_a_tool_that_failed_too_often_to_be_called_again_ends_a_turn_that_needs_it() -> None:
    """The allowed set is empty then, and that is never "all tools"."""
    turn = bench(RunFirst(tool="look"), MaxCount(tool="look", count=2))
    for number in (0, 1):
        turn.feed(call(0, "look"), FINISHED, ev.ToolReturned(f"call_x_{number}", "no", "error"))
    assert turn.ended.reason == "invalid_tool_call"
    assert "at the start of a turn: run_first look, max_count look" in turn.of(ev.Failed)[0].message


def test_calls_are_counted_when_they_run() -> None:
    """Each once, those under way and those that failed too; a refused one is not."""
    turn = bench(MaxCount(tool="picky", count=2))
    turn.feed(call(0, "picky", '{"y":1}'), call(1, "picky", '{"x":1}'), FINISHED)
    turn.feed(ev.ToolReturned("call_x_1", "no", "error"))
    turn.feed(call(0, "picky", '{"x":2}'), call(1, "picky", '{"x":3}'), FINISHED, *ok(2))
    assert [effect.arguments["x"] for effect in turn.of(ev.RunTool)] == [1, 2]
    assert last_told(turn).startswith("Not run: picky may be called 2 times in a turn, and was.")


# ---- the end of a turn ----


def test_continue_takes_the_exit_from_a_tool() -> None:
    """A tool that would end the turn by itself does not."""
    turn = bench(Continue(tool="bye"))
    turn.feed(call(0, "bye"), FINISHED, *ok(0))
    assert turn.turn.state is State.THINKING


def test_a_tool_that_ends_the_turn_is_refused_until_the_required_ones_were_called() -> None:
    """In one reply it waits for them; what is missing is named."""
    turn = bench(RequiredBeforeExit(tool="look"), RequiredBeforeExit(tool="quiet"))
    turn.feed(call(0, "bye"), call(1, "look"), FINISHED, *ok(1))
    assert ran(turn) == ["look"]
    refused = [message.text for message in turn.of(ev.CallModel)[1].request.turn if message.refused]
    assert ["before that look and quiet must be called" in text for text in refused] == [True]
    turn.feed(call(0, "quiet"), call(1, "bye"), FINISHED)
    assert turn.running == ["call_x_2"]
    turn.feed(*ok(2, 3))
    assert (turn.ended.reason, turn.ended.leaves) == ("tool_rule", "hang_up")


def test_words_do_not_end_a_turn_that_lacks_a_required_call() -> None:
    """One reminder that names it; no call is forced, and the call mends it."""
    turn = bench(RequiredBeforeExit(tool="look"))
    turn.feed(WORDS, FINISHED)
    assert last_told(turn) == "[An answer in words does not count here. Call look.]"
    assert choices(turn) == ["auto", "auto"]
    turn.feed(call(0, "look"), FINISHED, *ok(0))
    turn.feed(WORDS, FINISHED)
    assert turn.ended.reason == "end_turn"
    turn = bench(RequiredBeforeExit(tool="look"))
    turn.feed(WORDS, FINISHED)
    turn.feed(WORDS, FINISHED)
    assert turn.ended.reason == "invalid_tool_call"
    assert "must call look" in turn.of(ev.Failed)[0].message


def test_what_is_required_and_the_number_of_steps_together_end() -> None:
    """A model that calls everything but that runs out of steps."""
    turn = bench(RequiredBeforeExit(tool="look"), max_steps=3)
    for number in range(3):
        turn.feed(call(0, "bye"), FINISHED)
        assert len(turn.of(ev.TurnEnded)) == (number == 2)
    assert (turn.ended.reason, ran(turn)) == ("max_steps", [])


# ---- arguments and approval ----


def test_arguments_of_a_rule_stand_over_the_models() -> None:
    """They are checked, run, and remembered as if the model had written them."""
    turn = bench(
        RunFirst(tool="picky", args={"x": 1}), Children(tool="picky", children=("look",), args={"look": {"z": 3}})
    )
    turn.feed(call(0, "picky", '{"x":5,"y":2}'), call(1, "look", '{"z":1}'), FINISHED)
    assert turn.running == ["call_x_0"]
    turn.feed(*ok(0, 1))
    assert [effect.arguments for effect in turn.of(ev.RunTool)] == [{"x": 1, "y": 2}, {"z": 3}]
    assert json.loads(turn.of(ev.SaveStep)[0].messages[0].tool_calls[0].arguments) == {"x": 1, "y": 2}


def test_a_bad_argument_of_a_rule_ends_the_turn() -> None:
    """As a tool error, and an end that names the rule; a fault in the model's own arguments does not end it."""
    check = spec("strict", check=lambda given: next((f"{name}: is wrong" for name in given if given[name] == 0), None))
    turn = bench(RunFirst(tool="strict", args={"x": 0}), tools={"strict": check})
    turn.feed(call(0, "strict", '{"y":1}'), FINISHED)
    assert turn.ended.reason == "invalid_tool_call"
    assert turn.ended.messages[-1].text == "x: is wrong"
    (failed,) = turn.of(ev.Failed)
    assert failed.message == "the rule run_first strict sets arguments that do not fit: x: is wrong"
    other = bench(RunFirst(tool="strict", args={"x": 1}), tools={"strict": check})
    other.feed(call(0, "strict", '{"y":0}'), FINISHED)
    assert other.turn.state is State.THINKING


def test_a_call_that_a_person_has_to_decide_on_does_not_run_by_itself() -> None:
    """It counts as called while it waits, so that no more are asked about than may run."""
    turn = bench(RequiresApproval(tool="look"), MaxCount(tool="look", count=1))
    turn.feed(call(0, "look"), call(1, "look"), call(2, "quiet"), FINISHED, *ok(2))
    (asked,) = turn.of(ev.ApprovalNeeded)
    assert ran(turn) == ["quiet"]
    assert "look may be called once in a turn" in turn.turn._step.calls[1].result.output  # type: ignore[union-attr]
    turn.feed(ev.ApprovalGiven(asked.call_id, approved=True), *ok(0))
    assert ran(turn) == ["quiet", "look"]
    assert sum(message.refused for message in turn.of(ev.CallModel)[1].request.turn) == 1


def test_what_depends_on_a_call_waits_for_the_decision_on_it() -> None:
    """A tool that may come only right after it, and one that ends the turn."""
    turn = bench(RequiresApproval(tool="look"), Parent(tool="look", children=("write",)))
    turn.feed(call(0, "look"), call(1, "write"), call(2, "bye"), FINISHED)
    (asked,) = turn.of(ev.ApprovalNeeded)
    assert ran(turn) == []
    turn.feed(ev.ApprovalGiven(asked.call_id, approved=False))
    assert "write" not in ran(turn)
    approved = bench(RequiresApproval(tool="look"), Parent(tool="look", children=("write",)))
    approved.feed(call(0, "look"), call(1, "write"), FINISHED)
    (asked,) = approved.of(ev.ApprovalNeeded)
    approved.feed(ev.ApprovalGiven(asked.call_id, approved=True), *ok(0))
    assert ran(approved) == ["look", "write"]


def test_where_a_person_said_no_words_are_an_answer_too() -> None:
    """The rule that forces the call lets go of it, and demands no other."""
    turn = bench(RequiresApproval(tool="look"), RunFirst(tool="look"))
    turn.feed(call(0, "look"), FINISHED)
    (asked,) = turn.of(ev.ApprovalNeeded)
    turn.feed(ev.ApprovalGiven(asked.call_id, approved=False, reason="not now"))
    assert choices(turn) == ["look", "auto"]
    turn.feed(WORDS, FINISHED)
    assert turn.ended.reason == "end_turn"
