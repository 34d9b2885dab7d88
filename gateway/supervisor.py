"""The supervisor's craft: keep a few child processes running, restart one that dies, stop them all in order.

Each child has a session of its own (a terminal's Ctrl-C reaches the supervisor alone, which then stops them in order)
and inherits the read end of the lifeline pipe, so that none outlives a supervisor that was killed.
"""

import asyncio
import logging
import os
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence

import msgspec

from voice_agent.clock import Clock

EXIT_CONFIG = 2
log = logging.getLogger(__name__)


class Child(msgspec.Struct, frozen=True):
    """A process to keep. Its command gets `--lifeline FD` appended; `grace_s` is its time to stop after SIGTERM.

    `again` is appended too where the process takes the place of one that has ended.
    """

    name: str
    command: tuple[str, ...]
    grace_s: float
    again: tuple[str, ...] = ()


class Pace(msgspec.Struct, frozen=True):
    """How soon a child that died is started again, in seconds: twice as late each time, until it lived `steady_s`."""

    first_s: float = 0.2
    most_s: float = 10.0
    steady_s: float = 10.0

    def after(self, last_s: float, lived_s: float) -> float:
        """The delay now, given the last one (0: there was none) and how long the child lived."""
        if last_s == 0 or lived_s >= self.steady_s:
            return self.first_s
        return min(last_s * 2, self.most_s)


class _Post:
    """The place of one child, whichever process fills it just now."""

    def __init__(self, child: Child, lifeline: int, clock: Clock, pace: Pace) -> None:
        self.child = child
        self._lifeline = lifeline
        self._clock = clock
        self._pace = pace
        self._stopping = asyncio.Event()
        self._vacant = asyncio.Event()
        self._process: Process | None = None

    async def keep(self) -> int | None:
        """Keep the place filled until `stop`: None. An exit code: the first start failed, trying again is no use."""
        try:
            return await self._refill()
        finally:
            self._vacant.set()

    async def _refill(self) -> int | None:
        delay = 0.0
        first = True
        while True:
            began = self._clock.now()
            self._process = process = await self._spawn(() if first else self.child.again)
            if self._stopping.is_set():  # asked to stop while the process was being made
                process.terminate()
            code = await process.wait()
            self._process = None
            if self._stopping.is_set():
                return None
            if first and code == EXIT_CONFIG:
                return code
            first = False
            delay = self._pace.after(delay, self._clock.now() - began)
            log.warning("%s ended with code %d, starting it again in %.1f s", self.child.name, code, delay)
            if await self._asked_to_stop_within(delay):
                return None

    async def _spawn(self, more: tuple[str, ...]) -> Process:
        command = (*self.child.command, *more, "--lifeline", str(self._lifeline))
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, pass_fds=(self._lifeline,), start_new_session=True
        )
        log.debug("%s runs as process %d", self.child.name, process.pid)
        return process

    async def _asked_to_stop_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._stopping.wait()
        except TimeoutError:
            return False

    async def stop(self) -> None:
        """Ask the child to go, give it its grace, then kill it. Returns when it is gone."""
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()
        try:
            async with asyncio.timeout(self.child.grace_s):
                await self._vacant.wait()
        except TimeoutError:
            log.warning("%s did not stop within %.0f s and is killed", self.child.name, self.child.grace_s)
            self.kill()
            await self._vacant.wait()

    def kill(self) -> None:
        """SIGKILL, now."""
        if self._process is not None:
            self._process.kill()


class Supervisor:
    """Keeps `children`, given in the order in which they are to be stopped."""

    def __init__(self, children: Sequence[Child], clock: Clock, pace: Pace | None = None) -> None:
        self._children = tuple(children)
        self._clock = clock
        self._pace = pace or Pace()
        self._stop = asyncio.Event()
        self._posts: tuple[_Post, ...] = ()
        self._code = 0

    async def run(self) -> int:
        """Run until `stop`, then stop the children in order: 0.

        A child that ends with code 2 at its first start (it has said why on stderr) ends everything, with that code.
        """
        read, write = os.pipe()
        self._posts = tuple(_Post(child, read, self._clock, self._pace) for child in self._children)
        try:
            async with asyncio.TaskGroup() as group:
                for post in self._posts:
                    group.create_task(self._tend(post))
                await self._stop.wait()
                for post in self._posts:
                    await post.stop()
        finally:
            self.kill()
            os.close(read)
            os.close(write)
        return self._code

    async def _tend(self, post: _Post) -> None:
        code = await post.keep()
        if code is not None:
            self._code = self._code or code
            self._stop.set()

    def stop(self) -> None:
        """Stop the children in order; asked a second time, kill them at once."""
        if self._stop.is_set():
            self.kill()
        self._stop.set()

    def kill(self) -> None:
        """SIGKILL every child that is left."""
        for post in self._posts:
            post.kill()
