"""The turn with which a session is doing its work, and where it tells of it."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from voice_agent import events as ev
from voice_agent.clock import Clock
from voice_agent.false_alarm import Outliving
from voice_agent.llm.base import Speaker
from voice_agent.run import TurnRun
from voice_agent.tools.base import ToolRunner
from voice_agent.turn import Turn
from voice_agent.turn_setup import TurnSetup
from voice_agent.work import Work


class Sink(Protocol):
    """Where a session's events go. Neither call may block."""

    def emit(self, event: ev.TurnEvent) -> None:
        """Send the event after those before it."""
        ...

    def recall(self, turn_id: str) -> int:
        """Take back the turn's speech that has not left yet; returns its length in code points."""
        ...


class Host(Protocol):
    """The session, as its live turn sees it."""

    def on_turn_event(self, live: "LiveTurn", event: ev.TurnEvent) -> None:
        """The turn tells something."""
        ...

    def on_step(self, live: "LiveTurn", step: ev.SaveStep) -> None:
        """A step is complete."""
        ...

    def on_late(self, finished: ev.ToolFinished, output: str) -> None:
        """A tool that outlived the turn has finished."""
        ...


class TurnTools:
    """Runs a turn's calls, each with a runner that knows what the turn shows by then."""

    def __init__(self, make: Callable[[], ToolRunner]) -> None:
        self._make = make

    async def run(self, call: ev.RunTool) -> ev.ToolReturned:
        """See `ToolRunner.run`."""
        return await self._make().run(call)


class LiveTurn:
    """A turn under way; its run's listener. Its speech goes to `sink`, all else to its `host`.

    If it is `resumable`, `model` can have its reply go on when the turn is cut short.
    """

    def __init__(self, work: Work, setup: TurnSetup, host: Host, sink: Sink, *, resumable: bool = False) -> None:
        self.work = work
        self.turn = Turn(setup)
        self.model: Outliving | None = None
        self._resumable = resumable
        self._run: TurnRun | None = None
        self._host = host
        self._say = sink.emit

    async def run(self, model: Speaker, tools: ToolRunner, clock: Clock, tasks: asyncio.TaskGroup) -> None:
        """To its end. Replies and tools are `tasks`; some may outlive it."""
        ahead = self.work.ahead
        if ahead is not None:
            model, tools = ahead.model(model), ahead.tools(tools)
        if self._resumable:
            model = self.model = Outliving(model, tasks)
        self._run = TurnRun(self.turn, model, tools, self.work.inbox, self, clock)
        self._run.begin(tasks)
        try:
            await self._run.ended()
        finally:
            self._run = None  # its tools lead back to this
            if ahead is not None:
                ahead.close()

    @property
    def outliving(self) -> int:
        """How many of its tools go on although it was cut short."""
        return 0 if self._run is None else self._run.outliving

    def on_event(self, event: ev.TurnEvent) -> None:
        if isinstance(event, ev.Spoke):  # by far the most
            self._say(event)
        else:
            self._host.on_turn_event(self, event)

    def on_step(self, step: ev.SaveStep) -> None:
        self._host.on_step(self, step)

    def on_late(self, finished: ev.ToolFinished, output: str) -> None:
        self._host.on_late(finished, output)
