"""run_turn: what goes wrong around a turn ends the turn, and nothing else."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.models import Unseen
from tests.turns import FINISHED, ScriptedModel, call, setup
from tests.virtual_time import VirtualClock, run
from voice_agent import events as ev
from voice_agent.llm.base import Model
from voice_agent.messages import ModelRequest
from voice_agent.run import Inbox, run_turn
from voice_agent.tools.base import ToolRunner
from voice_agent.turn import Turn


class Listener:
    """Keeps what it is told; raises at the first event of a kind, if it is to."""

    def __init__(self, raise_at: type | None = None) -> None:
        self.events: list[Any] = []
        self.late: list[tuple[ev.ToolFinished, str]] = []
        self._raise_at = raise_at

    def on_event(self, event: ev.TurnEvent) -> None:
        if self._raise_at is not None and isinstance(event, self._raise_at):
            self._raise_at = None
            raise RuntimeError("a fault of our own")
        self.events.append(event)

    def on_step(self, step: ev.SaveStep) -> None:
        self.events.append(step)

    def on_late(self, finished: ev.ToolFinished, output: str) -> None:
        self.late.append((finished, output))

    @property
    def ended(self) -> ev.TurnEnded:
        (event,) = [event for event in self.events if isinstance(event, ev.TurnEnded)]
        return event


class Tools:
    """Takes a second for each call, or raises."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.cancelled: list[str] = []
        self._fault = fault

    async def run(self, call: ev.RunTool) -> ev.ToolReturned:
        if self._fault is not None:
            raise self._fault
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            self.cancelled.append(call.name)
            raise
        return ev.ToolReturned(call.call_id, "done")


def play(model: Model, tools: ToolRunner, listener: Listener, *inputs: tuple[float, Any]) -> float:
    """Run a turn with inputs at given times; returns the time at which `run_turn` returned."""

    async def main() -> float:
        inbox = Inbox()
        loop = asyncio.get_running_loop()
        for at, event in inputs:
            loop.call_at(at, inbox.put, event)
        await run_turn(Turn(setup(stall_s=5.0, failure_notice="Sorry.")), model, tools, inbox, listener, VirtualClock())
        return loop.time()

    return run(main())


class RaisingModel(ScriptedModel):
    """Raises what no model should."""

    async def reply(self, request: ModelRequest, emit: Callable[[ev.ModelEvent], None]) -> None:
        raise KeyError("secret")


def test_a_model_that_raises_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    """The caller hears an apology and no internals; the log has the stack."""
    listener = Listener()
    play(RaisingModel(), Tools(), listener)
    assert listener.ended.reason == "llm_api_error"
    assert "secret" not in str(listener.events)
    assert any(record.exc_info for record in caplog.records)


def test_a_runner_that_raises_is_a_tool_error(caplog: pytest.LogCaptureFixture) -> None:
    """The model is told that the tool could not be run, and goes on."""
    listener = Listener()
    with caplog.at_level(logging.CRITICAL):
        play(ScriptedModel([call(0, "look"), FINISHED], [FINISHED]), Tools(ValueError("x")), listener)
    assert listener.ended.reason == "end_turn"
    assert [event.status for event in listener.events if isinstance(event, ev.ToolFinished)] == ["error"]


def test_a_tool_that_cancels_itself_has_a_result() -> None:
    """As every call has; the turn goes on."""

    class Cancelling(Tools):
        async def run(self, call: ev.RunTool) -> ev.ToolReturned:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            return await super().run(call)

    listener = Listener()
    play(ScriptedModel([call(0, "look"), FINISHED], [ev.TextDelta("So."), FINISHED]), Cancelling(), listener)
    assert (listener.ended.reason, listener.ended.generated) == ("end_turn", "So.")
    assert [event.status for event in listener.events if isinstance(event, ev.ToolFinished)] == ["error"]


@pytest.mark.parametrize("kind", [ev.TurnStarted, ev.Spoke, ev.ToolCalled, ev.TurnSpoken])
def test_a_fault_of_our_own_ends_the_turn_and_not_the_session(kind: type, caplog: pytest.LogCaptureFixture) -> None:
    """Exactly one end, whatever it was that failed."""
    listener = Listener(raise_at=kind)
    model = ScriptedModel([ev.TextDelta("Hi"), call(0, "look"), FINISHED], [FINISHED])
    with caplog.at_level(logging.CRITICAL):
        play(model, Tools(), listener)
    # A turn that had ended by itself keeps its reason.
    assert listener.ended.reason == ("end_turn" if kind is ev.TurnSpoken else "error")


def test_what_a_stopped_reply_still_brings_belongs_to_nobody() -> None:
    """After a merge only the second request speaks."""
    listener = Listener()
    model = ScriptedModel([0.5, ev.TextDelta("first"), FINISHED], [0.5, ev.TextDelta("second"), FINISHED])
    play(model, Tools(), listener, (0.2, ev.UserSpoke("more")))
    assert listener.ended.generated == "second"
    assert model.closed == 1


def test_a_silent_model_is_given_up_and_its_stream_closed() -> None:
    """Tokens move the deadline; silence does not."""
    listener = Listener()
    model = ScriptedModel([3.0, ev.TextDelta("a"), 3.0, ev.TextDelta("b"), 60.0, FINISHED])
    assert play(model, Tools(), listener) == 11.0
    assert (listener.ended.reason, listener.ended.generated, model.closed) == ("llm_api_error", "abSorry.", 1)


def test_a_barge_in_cancels_reads_and_waits_for_writes() -> None:
    """The turn is over at once; the run returns when the write has finished, and tells of it."""
    listener, tools = Listener(), Tools()
    model = ScriptedModel([call(0, "look"), call(1, "write"), FINISHED])
    assert play(model, tools, listener, (0.5, ev.UserInterrupted())) == 1.0
    assert tools.cancelled == ["look"]
    assert [(finished.name, finished.status, output) for finished, output in listener.late] == [("write", "ok", "done")]


def test_events_before_the_beginning_wait_for_it() -> None:
    """An interruption that comes first is obeyed first."""

    async def main() -> None:
        inbox, listener, model = Inbox(), Listener(), ScriptedModel([ev.TextDelta("never"), FINISHED])
        inbox.put(ev.UserInterrupted())
        await run_turn(Turn(setup()), model, Tools(), inbox, listener, VirtualClock())
        assert (listener.ended.reason, listener.ended.generated) == ("interrupted", "")

    run(main())


def test_a_turn_that_is_cancelled_from_outside_looks_at_nothing_more() -> None:
    """What arrives in the same round as the cancellation neither starts a tool nor tells of an end."""

    class Talking(Unseen):
        async def reply(self, request: ModelRequest, emit: Callable[[ev.ModelEvent], None]) -> None:
            self.emit = emit
            await asyncio.get_running_loop().create_future()

    async def scene() -> list[Any]:
        listener, talking = Listener(), Talking()
        turn = run_turn(Turn(setup()), talking, Tools(), Inbox(), listener, VirtualClock())
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(turn)
            while not hasattr(talking, "emit"):
                await asyncio.sleep(0)
            running.cancel()
            await asyncio.sleep(0)
            talking.emit(call(0, "look"))
        return listener.events

    assert run(scene()) == [ev.TurnStarted("t1", 0)]
