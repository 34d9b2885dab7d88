"""Whole sessions that think ahead: a town whose model makes of the caller's words what they say, and its calls."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

from tests.await_points import Watch
from tests.calls import PAIR, Caller, World, hold
from tests.speculation.host import Thinker
from tests.virtual_time import run
from voice_agent import events as ev
from voice_agent.messages import ModelRequest, Usage
from voice_agent.tools.base import ToolContext, ToolRunner, TurnContext
from voice_agent.tools.registry import ToolRegistry, tool
from voice_agent.wiring import Wiring
from voice_agent.work import Work


class Busy(Thinker):
    """Knows how many of its replies were under way at once."""

    def __init__(self, first_token_s: float, token_s: float) -> None:
        super().__init__(first_token_s, token_s)
        self.open = self.most_open = 0

    async def reply(self, request: ModelRequest, emit: Callable[[ev.ModelEvent], None]) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await super().reply(request, emit)
        finally:
            self.open -= 1


class Town(World):
    """A world of a model with this pace (see `Thinker`); what its tools did and knew, and all reports, are kept."""

    def __init__(self, pace: tuple[float, float] = (0.3, 0.05), **voice: Any) -> None:
        self.done: list[str] = []
        self.contexts: list[ToolContext] = []
        self.reports: list[tuple[str, Usage]] = []
        self.registry = ToolRegistry((self._look(), self._write()))
        self.mind = Busy(*pace)
        super().__init__(voice=voice)

    def _wiring(self, session_id: str) -> Wiring:
        def runner(work: Work, in_prompt: frozenset[str]) -> ToolRunner:
            context = TurnContext(
                agent_id=PAIR.agent,
                user=PAIR.user,
                session_id=session_id,
                turn_id=work.turn_id,
                user_words=work.opening[-1].text if work.opening else "",
                in_prompt=in_prompt,
            )
            return self._box.runner(self.clock, context)

        def report(outcome: str, wasted: Usage) -> None:
            self.reports.append((outcome, wasted))

        return dataclasses.replace(super()._wiring(session_id), model=self.mind, runner=runner, report=report)

    def _look(self) -> Any:
        @tool(effects="none")
        async def look(context: ToolContext, at: str = "") -> str:
            """Look."""
            self.done.append("look")
            self.contexts.append(context)
            await asyncio.sleep(0.2)
            return "seen"

        return look

    def _write(self) -> Any:
        @tool(on_interrupt="finish")
        async def write() -> str:
            """Write."""
            self.done.append("write")
            await asyncio.sleep(0.3)
            return f"written {self.done.count('write')}"

        return write


def play(town: Town, *callers: Caller, watch: Watch | None = None) -> None:
    """Calls of one user, all at once. When all have hung up nothing is left, and nothing is asked or done any more."""

    async def main() -> None:
        if watch is not None:
            watch.install(asyncio.get_running_loop())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(town.conversations.run())
            await asyncio.sleep(0)
            async with asyncio.TaskGroup() as calls:
                for caller in callers:
                    calls.create_task(hold(town, caller))
            before = len(town.mind.requests), len(town.done)
            await asyncio.sleep(60)
            assert (len(town.mind.requests), len(town.done), town.mind.open) == (*before, 0)
            assert len(asyncio.all_tasks()) == 2  # this one and the conversations'
            town.conversations.stop()

    run(main())
