"""Python functions as tools: async ones run in the event loop, others in a thread, isolated ones in a process."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import msgspec

from voice_agent.agent import ToolSpec
from voice_agent.tools.base import NotStarted, Tool, ToolContext, ToolFault
from voice_agent.tools.isolate.frames import Job, Place
from voice_agent.tools.isolate.pool import WorkerDied, Workers
from voice_agent.tools.outcome import as_text
from voice_agent.tools.parameters import Parameters
from voice_agent.tools.threads import Threads


class Isolation(msgspec.Struct, frozen=True):
    """What a call in a worker process may take.

    `memory_mb` megabytes beyond those that the process has when the function's module is read, `cpu_s` seconds of
    processor time; None: as many as `timeout_s` allows.
    """

    memory_mb: int = 256
    cpu_s: int | None = None


class ToolFunction(msgspec.Struct, frozen=True):
    """What `@tool` makes of a function: all that is known of it. `hosted` makes it a tool that can run."""

    spec: ToolSpec
    function: Callable[..., Any]
    parameters: Parameters
    timeout_s: float = 15.0
    return_char_limit: int = 50_000
    isolation: Isolation | None = None

    @property
    def name(self) -> str:
        return self.spec.schema.name

    def hosted(self, threads: Threads, workers: Workers) -> Tool:
        """The tool; it runs in `threads` or `workers` if it is one that has to."""
        if self.isolation is not None:
            return _Isolated(self, self.isolation, workers)
        return _Threaded(self, threads) if self.spec.threaded else _InLoop(self)


def _ready(result: object) -> object:
    """The result, unless that is yet to come. Raises TypeError."""
    if not inspect.iscoroutine(result):
        return result
    result.close()
    raise TypeError("it returned a coroutine, which nobody awaits; the function has to be async and await it")


class _Hosted:
    def __init__(self, made: ToolFunction) -> None:
        self._made = made
        self.spec = made.spec
        self.timeout_s = made.timeout_s
        self.return_char_limit = made.return_char_limit


class _InLoop(_Hosted):
    async def run(self, arguments: dict[str, Any], context: ToolContext) -> object:
        return _ready(await self._made.function(**self._made.parameters.bind(arguments, context)))


class _Threaded(_Hosted):
    def __init__(self, made: ToolFunction, threads: Threads) -> None:
        super().__init__(made)
        self._threads = threads

    async def run(self, arguments: dict[str, Any], context: ToolContext) -> object:
        """The result as text, which can take long to write. A thread that has begun is left to itself if cancelled."""
        bound = self._made.parameters.bind(arguments, context)
        future = self._threads.submit(lambda: as_text(_ready(self._made.function(**bound))))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if future.cancelled():
                raise NotStarted("no thread was free") from None
            self._threads.leave(future)
            raise


class _Isolated(_Hosted):
    def __init__(self, made: ToolFunction, isolation: Isolation, workers: Workers) -> None:
        super().__init__(made)
        self._workers = workers
        self._cpu_s = isolation.cpu_s
        self._place = Place(made.name, made.function.__module__, made.function.__qualname__, isolation.memory_mb)

    async def run(self, arguments: dict[str, Any], context: ToolContext) -> object:
        """The result as text. Cancelling kills the process, and all that it has started."""
        if fault := self.spec.check(arguments):
            raise ToolFault(f"{self._place.name} failed: {fault}")
        job = Job(arguments, context, self.return_char_limit, self._cpu_s)
        try:
            answer = await self._workers.run(self._place, job)
        except WorkerDied as fault:
            unsure = "" if self.spec.effects == "none" else " It may have taken effect."
            raise ToolFault(f"{self._place.name} failed: {fault}.{unsure}") from None
        if answer.status != "ok":
            raise ToolFault(answer.text, answer.status)
        return answer.text
