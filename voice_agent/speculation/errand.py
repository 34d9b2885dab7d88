"""Work that may outlive who asked for it: a task of a group that lasts longer than they do."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Errand:
    """Runs `work`, which raises nothing, as a task of `tasks`. Who waits for it and is cancelled takes it along.

    Unless they were let go before: then it goes on, for whoever waits next, until it is `dropped`.
    """

    def __init__(self, work: Coroutine[Any, Any, None], tasks: asyncio.TaskGroup) -> None:
        self.dropped = False
        self._over = asyncio.Event()
        self._waiter: object | None = None
        self._task: asyncio.Task[None] | None = tasks.create_task(work)
        self._task.add_done_callback(self._on_done)

    async def over(self) -> None:
        """Wait for its end, in the place of whoever waited before."""
        waiter = self._waiter = object()
        try:
            await self._over.wait()
        except asyncio.CancelledError:
            if self._waiter is waiter:
                self.drop()
            raise

    def let_go(self) -> None:
        """Nobody waits any more, and it goes on."""
        self._waiter = None

    def drop(self) -> None:
        """Cancel it, if it is under way."""
        if self._task is not None:
            self.dropped = self._task.cancel()

    def _on_done(self, _: asyncio.Task[None]) -> None:
        self._task = None  # a cancelled task holds its frames: nothing may lead back to it
        self._over.set()
