"""What is said while a caller waits: when, in which order, never over other speech."""

import asyncio
from typing import Any

import pytest

from tests.test_run import Listener
from tests.turns import FINISHED, ScriptedModel, call, setup, spec
from tests.virtual_time import VirtualClock, run
from tests.waits import CLIENTS, FILLERS, FIRST, LAST, SAID, SECOND, bench, fillers, kinds, times
from voice_agent import events as ev
from voice_agent.rules.kinds import RequiresApproval
from voice_agent.run import Inbox, run_turn
from voice_agent.turn import Turn

# ---- a call without an utterance ----


@pytest.mark.parametrize(
    ("tool", "told"), [("look", "ToolCalled"), ("phone", "ClientToolNeeded"), ("lone", "ApprovalNeeded")]
)
def test_a_call_without_an_utterance_brings_a_filler_at_once(tool: str, told: str) -> None:
    """With its flush, before the call starts, waits for the client, or for a person."""
    waiting = bench(tools=CLIENTS, rules=[RequiresApproval(tool="lone")])
    out = waiting.feed(call(0, tool))
    assert out[:2] == [ev.Spoke("t1", FIRST, "filler"), ev.Flushed("t1", "filler")]
    assert type(out[2]).__name__ == told


@pytest.mark.parametrize(
    "events",
    [
        [call(0, "look", SAID)],
        [ev.TextDelta("Let me see."), call(0, "look")],
        [call(0, "quiet")],
        [call(0, "nosuch")],
        [call(0, "look", '{"a":')],
        [call(0, "bye"), FINISHED],
    ],
)
def test_nothing_is_said_where_it_is_not_wanted(events: list[Any]) -> None:
    """After an utterance or words; for a silent tool, for a call that is not run, and before hanging up."""
    waiting = bench()
    waiting.feed(*events)
    assert fillers(waiting) == []


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ([call(0, "look")], [FIRST]),
        ([call(0, "look", SAID)], ["Let me see now."]),
        ([ev.TextDelta("Let me see."), call(0, "look")], ["Let me see."]),
    ],
)
def test_calls_side_by_side_are_announced_once(before: list[Any], said: list[str]) -> None:
    """However long ago; an utterance of a later call's own is said where none was before."""
    waiting = bench()
    waiting.feed(*before)
    waiting.feed(call(1, "look"), at=9.0)
    assert [event.text for event in waiting.of(ev.Spoke)] == said
    waiting = bench()
    waiting.feed(call(0, "look"), call(1, "look", SAID))
    assert [event.text for event in waiting.of(ev.Spoke)] == [FIRST, "Let me see now."]


def test_the_next_step_has_the_next_phrase() -> None:
    """In their order over the turn, and the last again and again."""
    waiting = bench()
    for number in range(4):
        waiting.feed(call(0, "look"), FINISHED, ev.ToolReturned(f"call_x_{number}", "ok"), at=10.0 * number)
    assert fillers(waiting) == [FIRST, SECOND, LAST, LAST]


def test_no_filler_is_said_over_what_is_still_being_said() -> None:
    """The step before is heard out: its second of speech, and then a second and a half of silence."""
    waiting = bench()
    waiting.feed(call(0, "look", SAID), FINISHED, ev.ToolReturned("call_x_0", "ok"), call(0, "look"), at=0.5)
    assert fillers(waiting) == []
    assert times(waiting, 3.0) == [3.0]


# ---- a tool that takes long ----


def test_silence_after_an_utterance_is_filled_at_growing_intervals() -> None:
    """Each begins when the one before was heard: 1.5, 3 and 6 seconds of silence; none after the result."""
    waiting = bench()
    waiting.feed(call(0, "look", SAID), FINISHED)  # heard by 1.0
    assert times(waiting, 20.0) == [2.5, 6.5, 13.5]
    assert fillers(waiting) == [FIRST, SECOND, LAST]
    waiting.feed(ev.ToolReturned("call_x_0", "ok"), ev.TextDelta("Done."), FINISHED)
    waiting.wait(100.0)
    assert kinds(waiting)[-1] == "reply"


def test_a_tool_that_returns_in_time_brings_none() -> None:
    """Nor does a result that comes at the very moment."""
    waiting = bench()
    waiting.feed(call(0, "look", SAID), FINISHED)
    waiting.wait(2.45)
    waiting.feed(ev.ToolReturned("call_x_0", "ok"), at=2.5)
    assert times(waiting, 4.0) == []


@pytest.mark.parametrize("rules", [[], [RequiresApproval(tool="quiet")]])
def test_a_silent_tool_is_waited_for_all_the_same(rules: list[Any]) -> None:
    """Nothing at once, but when it, or whoever decides on it, takes long."""
    waiting = bench(rules=rules)
    waiting.feed(call(0, "quiet"), FINISHED, at=1.0)
    assert times(waiting, 3.0) == [2.5]


@pytest.mark.parametrize("tool", ["phone", "lone"])
def test_the_client_and_a_person_are_waited_for_too(tool: str) -> None:
    """Whatever keeps the caller waiting; the turn ends as it would."""
    waiting = bench(tools=CLIENTS, rules=[RequiresApproval(tool="lone")])
    waiting.feed(call(0, tool, SAID), FINISHED)
    assert times(waiting, 4.0) == [2.5]
    waiting.feed(ev.UserInterrupted())
    assert waiting.ended.reason == "interrupted"


def test_a_tool_that_runs_while_the_model_still_writes_is_waited_for() -> None:
    """Once it has said its sentence; words that come meanwhile begin the silence anew."""
    waiting = bench()
    waiting.feed(call(0, "look", SAID), ev.ToolCallDelta(1, "p1", "look", '{"pre_exec_msg":""'))
    assert times(waiting, 2.0) == []
    waiting.feed(ev.TextDelta("x" * 15))
    assert times(waiting, 5.0) == [4.5]


@pytest.mark.parametrize(("other_half", "filled"), [('ok for."', [7.0]), ("", [5.65])])
def test_half_an_utterance_is_waited_for(other_half: str, filled: list[float]) -> None:
    """Longer than a tool is, which runs beside it; but a model that has stopped there is none that speaks."""
    waiting = bench()
    waiting.feed(call(0, "look"), ev.ToolCallDelta(1, "p1", "look", '{"pre_exec_msg":"Let me lo'))
    assert times(waiting, 5.0) == []
    waiting.feed(ev.ToolCallDelta(1, json=other_half))
    assert times(waiting, 8.0) == filled


def test_a_client_that_is_too_late_is_no_reason_for_a_filler() -> None:
    """The result that stands for it comes first."""
    late = CLIENTS | {"phone": spec("phone", effects="none", client_timeout_s=2.5)}
    waiting = bench(tools=late)
    waiting.feed(call(0, "phone", SAID), FINISHED)
    waiting.wait(2.6)
    assert fillers(waiting) == []
    assert waiting.turn.state.name == "THINKING"


def test_a_mark_moves_the_silence() -> None:
    """A caller who has heard all of it waits from then on."""
    waiting = bench()
    waiting.feed(ev.TextDelta("x" * 150), call(0, "look"), FINISHED)
    waiting.feed(ev.PlaybackMoved("t1", done=True), at=2.0)
    assert times(waiting, 4.0) == [3.5]


@pytest.mark.parametrize("end", [ev.UserInterrupted(), ev.UserLeft()])
def test_nothing_is_said_after_the_end(end: Any) -> None:
    """Of a turn that was cut into, or left."""
    waiting = bench()
    waiting.feed(call(0, "look", SAID), FINISHED, end)
    assert waiting.turn.deadline() is None
    assert waiting.turn.on_deadline(50.0) == []


def test_who_is_not_listened_to_says_nothing() -> None:
    """Without fillers, and where nobody is there to wait."""
    for silent in (bench(fillers=None), bench(suspends=True)):
        silent.feed(call(0, "look"), FINISHED)
        silent.wait(19.0)
        assert silent.of(ev.Spoke) == []


# ---- a model that takes long ----


def test_a_model_that_says_nothing_by_its_deadline_is_filled_in_for() -> None:
    """A moment later, so that a failure comes first; then at growing intervals, until it speaks."""
    waiting = bench()
    assert times(waiting, 12.0) == [4.05, 8.05]
    waiting.feed(ev.TextDelta("Here."), FINISHED)
    assert times(waiting, 60.0) == []
    assert kinds(waiting) == ["filler", "filler", "reply"]


def test_a_model_that_stops_in_the_middle_of_its_words_is_filled_in_for() -> None:
    """Silence is silence, whatever was said before it; the words that come after all are those of the same reply."""
    waiting = bench()
    waiting.feed(ev.TextDelta("x" * 30), at=1.0)
    assert times(waiting, 7.1) == [7.05]
    waiting.feed(ev.TextDelta("y" * 15), FINISHED)
    assert kinds(waiting) == ["reply", "filler", "reply"]
    _, filler, reply = waiting.ended.messages
    assert (filler.heard, reply.heard, waiting.ended.heard) == (
        FIRST,
        "x" * 30 + "y" * 15,
        f"{'x' * 30}{FIRST}{'y' * 15}",
    )


def test_a_model_that_is_in_time_is_not_spoken_for() -> None:
    """In no step, though together they take longer."""
    waiting = bench()
    waiting.feed(call(0, "quiet"), FINISHED, at=3.9)
    waiting.feed(ev.ToolReturned("call_x_0", "ok"), at=5.0)
    waiting.wait(8.9)
    waiting.feed(ev.TextDelta("Here."), FINISHED)
    assert kinds(waiting) == ["reply"]


def test_a_model_that_is_silent_after_a_result_is_filled_in_for() -> None:
    """From the result on, or from when its utterance was heard."""
    waiting = bench()
    waiting.feed(call(0, "look", SAID), FINISHED, ev.ToolReturned("call_x_0", "ok"), at=1.0)
    assert times(waiting, 7.0) == [6.05]  # heard by 2.0


def test_a_model_that_fails_at_its_deadline_is_apologised_for_and_not_waited_for() -> None:
    """One of the two, never both at once; after a filler a failure still has its notice."""
    failing = bench()
    failing.wait(4.0)
    failing.feed(ev.ModelFailed("gone"))
    assert kinds(failing) == ["notice"]
    failing = bench()
    failing.wait(4.1)
    failing.feed(ev.ModelFailed("gone"))
    assert kinds(failing) == ["filler", "notice"]


def test_the_time_that_is_waited_belongs_to_what_was_waited_for() -> None:
    """A filler takes none of it away, and is the first speech, not the first reply."""
    waiting = bench()
    waiting.wait(5.0)
    waiting.feed(call(0, "quiet"), FINISHED, at=5.0)
    waiting.turn.acted(5.0)
    waiting.wait(8.0)
    waiting.feed(ev.ToolReturned("call_x_0", "ok"), at=9.0)
    waiting.feed(ev.TextDelta("Here."), FINISHED, at=9.5)
    latency = waiting.ended.latency
    assert {part.name: part.ms for part in latency.parts} == {"provider": 5500.0, "tool:quiet": 4000.0}
    assert (latency.first_speech, latency.first_reply) == (4050.0, 9500.0)


# ---- carried out ----


class Slow:
    """Tools that take so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def run(self, call: ev.RunTool) -> ev.ToolReturned:
        await asyncio.sleep(self._seconds)
        return ev.ToolReturned(call.call_id, "ok")


class Times(Listener):
    """Keeps when speech of each kind came."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[tuple[str, float]] = []

    def on_event(self, event: ev.TurnEvent) -> None:
        if isinstance(event, ev.Spoke):
            self.times.append((event.kind, round(VirtualClock().now(), 2)))
        super().on_event(event)


def carry_out(takes: float, *replies: list[Any], **changes: Any) -> Times:
    """A turn in virtual time, to its end, whose tools take so many seconds."""
    listener = Times()
    turn = Turn(setup(**{"fillers": FILLERS, "failure_notice": "Sorry.", "stall_s": 60.0, **changes}))
    run(run_turn(turn, ScriptedModel(*replies), Slow(takes), Inbox(), listener, VirtualClock()))
    return listener


def test_the_clock_of_a_run_brings_the_fillers() -> None:
    """Of a tool and of the model, with no event to wake the turn."""
    reply = [ev.TextDelta("Here."), FINISHED]
    heard = carry_out(8.0, [call(0, "look", SAID), FINISHED], [5.0, *reply])
    assert heard.times == [("utterance", 0.0), ("filler", 2.5), ("filler", 6.5), ("filler", 12.05), ("reply", 13.0)]
    parts = {part.name: part.ms for part in heard.ended.latency.parts}
    assert parts == pytest.approx({"tool:look": 8000.0, "provider": 5000.0}, abs=0.01)


def test_a_person_who_does_not_decide_wakes_nobody() -> None:
    """The clock does."""
    listener, inbox = Times(), Inbox()
    turn = Turn(setup(fillers=FILLERS, rules=[RequiresApproval(tool="look")]))

    async def play() -> None:
        async with asyncio.TaskGroup() as tasks:
            model = ScriptedModel([call(0, "look", SAID), FINISHED])
            tasks.create_task(run_turn(turn, model, Slow(0.0), inbox, listener, VirtualClock()))
            await asyncio.sleep(4.0)
            inbox.put(ev.UserLeft())

    run(play())
    assert listener.times == [("utterance", 0.0), ("filler", 2.5)]


def test_a_run_without_fillers_is_as_silent_as_it_was() -> None:
    """The timer of a tool belongs to them alone."""
    heard = carry_out(8.0, [call(0, "look"), FINISHED], [ev.TextDelta("Here."), FINISHED], fillers=None)
    assert heard.times == [("reply", 8.0)]
