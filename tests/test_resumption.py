"""Suspended turns that go on: what they take up, what they take from the client, and how they are closed."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.suspensions import ALL, gave, no, pending, results, resume, state_of, stored, suspending, yes
from tests.test_run import Listener, Tools
from tests.turns import FINISHED, TOOLS, Bench, ScriptedModel, call, check_valid_for_providers, spec
from tests.virtual_time import VirtualClock, run
from voice_agent import events as ev
from voice_agent.messages import Opaque, Usage
from voice_agent.prompt import provider_arguments
from voice_agent.resumption import Resumed, cancelled
from voice_agent.rules.kinds import MaxCount, RunFirst
from voice_agent.run import Inbox, run_turn
from voice_agent.turn import Turn
from voice_agent.turn_states import State


def test_answers_of_every_kind_finish_the_step() -> None:
    """In one go: approved, denied and returned; the step is saved whole, and the model asked once."""
    bench = Bench(Turn(suspending()))
    bench.feed(call(0, "write"), call(1, "write"), call(2, "phone"), FINISHED)
    assert pending(bench) == [("call_x_0", "decision"), ("call_x_1", "decision"), ("call_x_2", "decision")]
    bench = resume(bench, yes(2))
    assert pending(bench)[2] == ("call_x_2", "result")
    bench = resume(bench, gave(2, "rang"), no(1, "too late"), yes(0))
    assert bench.of(ev.TurnStarted) == []
    assert bench.running == ["call_x_0"]
    bench.feed(gave(0, "wrote"))
    assert results(bench) == ["wrote", "Denied by a person: too late", "rang"]
    (step,) = bench.of(ev.SaveStep)
    assert step.index == 0
    assert [(message.failed, message.refused, message.denied) for message in step.messages[1:]] == [
        (False, False, False), (True, True, True), (False, False, False),
    ]  # fmt: skip
    bench.feed(ev.TextDelta("Done."), FINISHED)
    check_valid_for_providers(bench.ended.messages)
    assert bench.ended.usage == Usage(steps=2, input_tokens=6, output_tokens=4)


def test_an_approved_call_and_its_result_may_come_together() -> None:
    """One request brings both."""
    bench = Bench(Turn(suspending()))
    bench.feed(call(0, "phone"), FINISHED)
    assert results(resume(bench, yes(0), gave(0, "rang"))) == ["rang"]


def test_a_call_takes_only_the_answer_that_it_waits_for() -> None:
    """A client can't bring the result of what runs here, nor of what nobody has decided on, nor decide twice."""
    bench = Bench(Turn(suspending()))
    bench.feed(call(0, "write"), call(1, "phone"), FINISHED)
    again = resume(bench, gave(0, "forged"), gave(1, "forged"), yes(7))
    assert pending(again) == pending(bench)
    again = resume(bench, yes(0), no(0), gave(0, "forged"), no(1))
    assert again.running == ["call_x_0"]
    again.feed(gave(0, "wrote"))
    assert results(again) == ["wrote", "Denied by a person."]


def test_calls_behind_the_pending_ones_wait_on() -> None:
    """One that runs alone, one whose arguments are no object, and one that ends the turn, in their order."""
    bench = Bench(Turn(suspending()))
    bench.feed(call(0, "write"), call(1, "lone"), call(2, "look", '{"a": oops'), call(3, "bye"), FINISHED)
    assert pending(bench) == [("call_x_0", "decision")]
    bench = resume(bench, yes(0))
    bench.feed(gave(0))
    assert bench.running == ["call_x_1"]
    bench.feed(gave(1))
    assert bench.running == ["call_x_3"]
    bench.feed(gave(3, "bye"))
    assert (bench.ended.reason, bench.ended.leaves) == ("tool_rule", "hang_up")
    assert [message.text for message in bench.ended.messages[2:]] == [
        "ok", "ok", "The arguments are not one JSON object. Call again with valid JSON.", "bye",
    ]  # fmt: skip
    assert provider_arguments(bench.ended.messages[1].tool_calls[2]) == '{"malformed_arguments":"{\\"a\\": oops"}'


@pytest.mark.parametrize(
    "written",
    [
        '{"malformed_arguments":"{\\"a\\":1}"}',
        '{"malformed_arguments":""}',
        '{"malformed_arguments":1}',
        '{"malformed_arguments":"x","b":1}',
    ],
)
def test_an_argument_of_that_name_is_an_argument(written: str) -> None:
    """A call that looks like a broken one and is none is run as it was written."""
    bench = Bench(Turn(suspending()))
    bench.feed(call(0, "write"), call(1, "lone", written), FINISHED)
    bench = resume(bench, no(0))
    assert bench.of(ev.RunTool)[0].arguments == msgspec.json.decode(written)


def test_an_utterance_survives_though_it_was_not_heard() -> None:
    """It is no argument of the tool's, and goes back to the model as it would have."""
    bench = Bench(Turn(suspending()))
    said = '{"pre_exec_msg":"Hm \\"so\\".","q":1}'
    bench.feed(ev.TextDelta("Well."), call(0, "write", said), call(1, "lone", said), FINISHED)
    bench = resume(bench, yes(0))
    assert bench.of(ev.RunTool) == [ev.RunTool("call_x_0", "write", {"q": 1})]
    bench.feed(gave(0), gave(1))
    made = bench.of(ev.CallModel)[0].request.turn[1]
    assert [(made.utterance, made.heard) for made in made.tool_calls] == [('Hm "so".', "")] * 2
    assert made.text == "Well."


def test_arguments_that_a_rule_set_are_set_and_judged_once() -> None:
    """A decision is about the arguments that were shown."""
    judged: list[dict[str, Any]] = []

    def check(given: dict[str, Any]) -> None:
        judged.append(dict(given))

    tools = ALL | {"write": spec("write", check=check)}
    bench = Bench(Turn(suspending(RunFirst(tool="write", args={"x": 1}), tools=tools)))
    bench.feed(call(0, "write", '{"x":5,"y":2}'), FINISHED)
    again = resume(bench, yes(0), rules=suspending(tools=tools).rules)
    assert again.of(ev.RunTool) == [ev.RunTool("call_x_0", "write", {"x": 1, "y": 2})]
    assert judged == [{"x": 1, "y": 2}]


def test_a_rule_with_bad_arguments_ends_the_turn_after_the_answers() -> None:
    """What was wrong is still known then."""
    rules = (RunFirst(tool="picky", args={"y": 1}), RunFirst(tool="write"))
    bad = ALL | {"picky": spec("picky", check=lambda _: "y: is wrong")}
    bench = Bench(Turn(suspending(*rules, tools=bad)))
    bench.feed(call(0, "picky"), call(1, "write"), FINISHED)
    bench = resume(bench, no(1))
    assert bench.ended.reason == "invalid_tool_call"
    assert "the rule run_first picky sets arguments that do not fit" in bench.of(ev.Failed)[0].message


def test_reasoning_is_replayed_in_its_place() -> None:
    """Piece by piece as the waiting turn would, before and between the calls."""
    bench = Bench(Turn(suspending()))
    bench.feed(Opaque("m", "thought", "a"), Opaque("m", "thought", "b"), ev.TextDelta("Hi"))
    bench.feed(call(0, "write"), Opaque("m", "signed", "c", call=0), call(1, "look"), FINISHED, gave(1))
    bench = resume(bench, no(0))
    assert bench.of(ev.CallModel)[0].request.turn[1].opaque == (
        Opaque("m", "thought", "ab"),
        Opaque("m", "signed", "c", call=0, after_text=2, after_calls=1),
    )


def test_a_repeated_call_and_one_too_many_are_refused_after_a_resumption() -> None:
    """What was called before counts, in the same step and in earlier ones."""
    bench = Bench(Turn(suspending(MaxCount(tool="write", count=1))))
    bench.feed(call(0, "once", '{"a":1}'), call(1, "write"), FINISHED, gave(0))
    bench = resume(bench, yes(1))
    bench.feed(gave(1))
    bench.feed(call(0, "once", '{"a":1}'), call(1, "write"), call(2, "phone"), FINISHED)
    assert pending(bench) == [("call_x_4", "decision")]
    bench = resume(bench, no(4))
    assert [text.partition(" ")[0] for text in results(bench)[2:]] == ["once", "Not", "Denied"]


def test_a_call_that_waited_is_judged_by_all_that_the_turn_has_done() -> None:
    """In earlier steps as in its own."""
    bench = Bench(Turn(suspending(MaxCount(tool="lone", count=1))))
    bench.feed(call(0, "lone"), FINISHED, gave(0))
    bench.feed(call(0, "write"), call(1, "lone"), FINISHED)
    bench = resume(bench, no(1))
    assert results(bench)[-1].startswith("Not run: lone may be called once in a turn, and was.")


def test_what_was_decided_stays_decided() -> None:
    """A denial, a failure and a refusal are what they were when the turn was suspended."""
    bench = Bench(Turn(suspending()))
    bench.feed(call(0, "write"), call(1, "look"), call(2, "picky"), call(3, "write"), FINISHED)
    bench.feed(ev.ToolReturned("call_x_1", "broke", "timeout"))
    bench = resume(resume(bench, no(0)), no(3))
    flags = [(message.failed, message.refused, message.denied) for message in bench.of(ev.SaveStep)[0].messages[1:]]
    assert flags == [(True, True, True), (True, False, False), (True, True, False), (True, True, True)]


def test_steps_go_on_counting() -> None:
    """The last one is the last one, however often the turn was suspended."""
    bench = Bench(Turn(suspending(max_steps=2)))
    bench.feed(call(0, "write"), FINISHED)
    bench = resume(bench, no(0))
    assert [effect.request.tool_choice for effect in bench.of(ev.CallModel)] == ["none"]
    bench.feed(call(0, "write"), FINISHED)
    assert (bench.ended.reason, bench.of(ev.SaveStep)[-1].index) == ("max_steps", 1)


def test_a_tool_that_is_gone_meanwhile_is_told_of() -> None:
    """Its pending call still takes the client's result; one that waited finds no tool of its name."""
    bench = Bench(Turn(suspending()))
    bench.feed(call(0, "solo", '{"a":1}'), call(1, "solo", '{"a":2}'), FINISHED)
    assert pending(bench) == [("call_x_0", "result")]
    again = resume(bench, gave(0, "done"), tools=TOOLS)
    assert results(again)[0] == "done"
    assert results(again)[1].startswith("There is no tool named 'solo'")


@pytest.mark.parametrize("end", [ev.UserLeft(), ev.UserInterrupted()])
def test_a_resumed_turn_can_be_cut_short(end: Any) -> None:
    """Calls that wait are closed as ever; what was said before the suspension was heard long ago."""
    bench = Bench(Turn(suspending()))
    bench.feed(ev.TextDelta("A long sentence that takes a while to say."), call(0, "write"), call(1, "phone"))
    bench.feed(call(2, "lone"), FINISHED)
    bench = resume(bench, yes(0))
    bench.feed(end)
    check_valid_for_providers(bench.ended.messages)
    assert [message.text.split()[0] for message in bench.ended.messages[2:]] == ["Still", "Not", "Not"]
    assert bench.ended.heard == "A long sentence that takes a while to say."
    assert bench.ended.suspension is None


def test_a_turn_taken_up_where_somebody_waits_waits() -> None:
    """And hurries the client from then on."""
    bench = Bench(Turn(suspending()))
    bench.feed(call(0, "write"), call(1, "solo"), FINISHED)
    bench = resume(bench, no(0))
    live = resume(bench, suspends=False, received_at=100.0)
    assert state_of(live) is State.ACTING
    assert live.turn.deadline() == 130.0
    live.feed(gave(1))
    assert state_of(live) is State.THINKING


def test_a_run_of_a_resumed_turn_ends_by_itself() -> None:
    """It returns at once where it is suspended again, and after the model's answer where it is not."""
    bench = Bench(Turn(suspending()))
    bench.feed(call(0, "write"), call(1, "write"), FINISHED)
    model, listener = ScriptedModel([ev.TextDelta("Done."), FINISHED]), Listener()

    async def play() -> None:
        first = Turn(bench.turn.setup, resumed=Resumed(stored(bench.ended.suspension), (no(0),)))
        await run_turn(first, model, Tools(), Inbox(), listener, VirtualClock())
        assert model.requests == []
        (ended,) = listener.events[-1:]
        second = Turn(bench.turn.setup, resumed=Resumed(stored(ended.suspension), (yes(1),)))
        await run_turn(second, model, Tools(), Inbox(), listener, VirtualClock())
        assert len(asyncio.all_tasks()) == 1

    run(play())
    assert [event.reason for event in listener.events if isinstance(event, ev.TurnEnded)] == [
        "requires_approval", "end_turn",
    ]  # fmt: skip


# ---- a suspended turn that goes on no more ----


def test_a_suspended_turn_is_closed_without_its_model() -> None:
    """Every call has a result, in call order; one that the client may have run counts as run, the others do not."""
    bench = Bench(Turn(suspending()))
    bench.feed(ev.TextDelta("Well."), call(0, "write"), call(1, "look"), call(2, "phone"), call(3, "lone"), FINISHED)
    bench.feed(gave(1, "seen"))
    bench = resume(bench, yes(2))
    closed = cancelled(stored(bench.ended.suspension), 9.0)
    check_valid_for_providers(closed)
    why = "Cancelled: the run was cancelled."
    assert [(message.text, message.failed, message.refused) for message in closed[2:]] == [
        (why, True, True), ("seen", False, False), (why, True, False), (why, True, True),
    ]  # fmt: skip
    assert closed[0] == bench.turn.setup.opening[0]
    assert (closed[1].heard, closed[1].interrupted, closed[2].at) == ("Well.", False, 9.0)
