"""run_turn: carries out what a Turn asks for. The only user of models and tools.

Every event is decided in the very call that brings it, so a barge-in never queues behind tokens, and what the turn
tells leaves in the same call. Only the model's stream and the tools are tasks, and they live in one TaskGroup.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any, Protocol

from voice_agent import events as ev
from voice_agent.clock import Clock
from voice_agent.llm.base import Speaker
from voice_agent.messages import ModelRequest
from voice_agent.tools.base import ToolRunner
from voice_agent.turn import Output, Turn
from voice_agent.turn_states import State, TurnInput

log = logging.getLogger(__name__)
_LAST = (ev.ModelFinished, ev.ModelFailed)
_ENDED = State.ENDED  # reading a member of an Enum takes a while, and this is read for every token


class Inbox:
    """The way into a turn: events put before it begins wait for it, those put after its end are dropped."""

    def __init__(self) -> None:
        self._waiting: list[TurnInput] = []
        self._deliver: Callable[[TurnInput], None] = self._waiting.append

    def put(self, event: TurnInput) -> None:
        """Hand an event to the turn; it has acted on it when this returns."""
        self._deliver(event)

    def connect(self, deliver: Callable[[TurnInput], None]) -> None:
        """Deliver what waits, and everything from now on at once."""
        self._deliver = deliver
        for event in self._waiting:
            deliver(event)

    def close(self) -> None:
        """Drop everything from now on, and let go of the turn."""
        self._waiting.clear()
        self._deliver = _drop


def _drop(_: TurnInput) -> None:
    """Nobody is there."""


class Listener(Protocol):
    """Who is told of a turn. All of it is synchronous: a slow client can never delay a barge-in."""

    def on_event(self, event: ev.TurnEvent) -> None:
        """The turn tells something."""
        ...

    def on_step(self, step: ev.SaveStep) -> None:
        """A step is complete and can be journalled."""
        ...

    def on_late(self, finished: ev.ToolFinished, output: str) -> None:
        """A tool that was let run on when its turn was cut short has finished, and brought `output`."""
        ...


async def run_turn(
    turn: Turn, model: Speaker, tools: ToolRunner, inbox: Inbox, listener: Listener, clock: Clock
) -> None:
    """Run the turn to its end. Returns when the last of its tools has finished, which may be after `TurnEnded`."""
    run = TurnRun(turn, model, tools, inbox, listener, clock)
    async with asyncio.TaskGroup() as tasks:
        run.begin(tasks)
        await run.ended()


class TurnRun:
    """A turn under way. It begins, and takes each event, in the call that says so: no task has to be woken first."""

    def __init__(
        self, turn: Turn, model: Speaker, tools: ToolRunner, inbox: Inbox, listener: Listener, clock: Clock
    ) -> None:
        self._turn = turn
        self._model = model
        self._tools = tools
        self._inbox = inbox
        self._listener = listener
        self._clock = clock
        self._now = clock.now
        self._tasks: asyncio.TaskGroup | None = None
        self._reply: asyncio.Task[None] | None = None
        self._asked: ModelRequest | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._kept: frozenset[str] = frozenset()
        self._stopped: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = inf
        self._forsaken = False
        self._ended = asyncio.Event()

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Begin; the model's replies and the tools are `tasks`, some of which may outlive the turn."""
        self._tasks = tasks
        self._decide(self._turn.begin)
        self._inbox.connect(self.feed)

    async def ended(self) -> None:
        """Until the turn has ended. Whoever cancels this forsakes the turn: what still comes is not looked at."""
        try:
            await self._ended.wait()
        except asyncio.CancelledError:
            self._forsaken = True
            self._stop_timer()
            raise
        finally:
            self._inbox.close()

    @property
    def outliving(self) -> int:
        """How many of its tools go on although it was cut short."""
        return len(self._kept & self._running.keys())

    def feed(self, event: TurnInput) -> None:
        """Let the turn decide on an event, and act."""
        self._decide(self._turn.handle, event)

    def _decide(self, decide: Callable[..., list[Output]], *event: TurnInput) -> None:
        """Ask the turn, then act. A fault of our own ends the turn; it never ends the session."""
        if self._forsaken:
            return
        faultless = True
        try:
            for output in decide(*event, self._now()):
                faultless = self._performed(output) and faultless
        except Exception:
            log.exception("turn %s cannot go on", self._turn.setup.turn_id)
            faultless = False
        try:
            if not faultless:
                for output in self._turn.abort(self._clock.now()):
                    self._performed(output)
            self._turn.acted(self._now())
        finally:
            if not faultless or self._turn.state is _ENDED:
                self._stop_timer()
                self._ended.set()

    def _performed(self, output: Output) -> bool:
        try:
            if isinstance(output, ev.Spoke):  # by far the most
                self._listener.on_event(output)
            else:
                self._perform(output)
        except Exception:
            log.exception("turn %s: %s failed", self._turn.setup.turn_id, type(output).__name__)
            return False
        return True

    def _perform(self, output: Output) -> None:
        match output:
            case ev.CallModel(request=request):
                self._asked = request
                self._reply = self._start(self._converse(request))
                self._arm()
            case ev.RunTool(call_id=call_id):
                self._running[call_id] = self._start(self._work(output))
                self._arm()
            case ev.StopWork(keep=keep):
                self._stop(keep)
            case ev.SaveStep():
                self._listener.on_step(output)
            case ev.ClientToolNeeded() | ev.ApprovalNeeded():
                self._listener.on_event(output)
                self._arm()
            case _:
                self._listener.on_event(output)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        assert self._tasks is not None
        return self._tasks.create_task(work)

    def _stop(self, keep: frozenset[str]) -> None:
        self._kept = keep
        if self._reply is not None:
            self._reply.cancel()
            self._reply = self._asked = None
        for call_id, task in tuple(self._running.items()):
            if call_id not in keep and task is not asyncio.current_task():
                self._stopped.add(call_id)
                task.cancel()

    async def _converse(self, request: ModelRequest) -> None:
        self._turn.acted(self._now())  # what it took until this task was woken is no time of the provider's
        handle = self._turn.handle

        def take(event: ev.ModelEvent) -> None:
            # A reply that was stopped may have data in hand: it belongs to nobody any more.
            if self._asked is not request:
                return
            if isinstance(event, _LAST):
                self._reply = self._asked = None  # it returns by itself, and can keep its connection
            self._decide(handle, event)

        try:
            await self._model.reply(request, take)
        except Exception:
            log.exception("a model raised instead of reporting its failure")
            take(ev.ModelFailed("the model could not be asked"))

    async def _work(self, call: ev.RunTool) -> None:
        started = self._clock.now()
        try:
            outcome = await self._tools.run(call)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or self._forsaken or call.call_id in self._stopped:
                raise
            # Nobody stopped it but the tool itself, and its call is to have a result.
            task.uncancel()
            outcome = ev.ToolReturned(call.call_id, f"{call.name} cancelled itself.", "error")
        except Exception:
            log.exception("the tool runner raised for %s", call.name)
            outcome = ev.ToolReturned(call.call_id, f"{call.name} could not be run.", "error")
        finally:
            # A cancelled task holds its frames, and they this: nothing may lead back to it.
            self._running.pop(call.call_id, None)
        if call.call_id not in self._kept:
            self.feed(outcome)
            return
        took = round((self._clock.now() - started) * 1000, 3)
        turn_id = self._turn.setup.turn_id
        finished = ev.ToolFinished(turn_id, call.call_id, call.name, outcome.status, took)
        self._listener.on_late(finished, outcome.output)

    def _arm(self) -> None:
        """One timer that is moved when it fires, or is too late: tokens come far more often than stalls."""
        due = self._turn.deadline()
        if due is not None and due < self._fires_at:
            self._stop_timer()
            self._fires_at = due
            delay = max(0.0, due - self._clock.now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._stop_timer()
        self._decide(self._turn.on_deadline)
        self._arm()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._fires_at = None, inf
