"""One tool call that may outlive who made it: its outcome is kept for whoever makes the same call again."""

import asyncio
import logging

from voice_agent.events import RunTool, ToolReturned
from voice_agent.speculation.errand import Errand
from voice_agent.tools.base import ToolRunner

log = logging.getLogger(__name__)


class CallAhead:
    """The run of `call`, which begins at once, as a task of `tasks`."""

    def __init__(self, runner: ToolRunner, call: RunTool, tasks: asyncio.TaskGroup) -> None:
        self.call = call
        self._outcome: ToolReturned | None = None
        self._errand = Errand(self._run(runner), tasks)

    async def outcome(self) -> ToolReturned | None:
        """What came of it; None if it was stopped. Being cancelled stops it, unless it was told to `detach` before."""
        await self._errand.over()
        return self._outcome

    def detach(self) -> None:
        """Whoever waits for it may go: it runs on."""
        self._errand.let_go()

    def drop(self) -> None:
        """Stop it."""
        self._errand.drop()

    async def _run(self, runner: ToolRunner) -> None:
        try:
            self._outcome = await runner.run(self.call)
        except Exception:
            log.exception("the tool runner raised for %s", self.call.name)
