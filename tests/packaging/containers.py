"""Containers without Docker: a process that gets a container's words and environment, and nothing of this machine's."""

import asyncio
import os
import signal
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.packaging.image import Image
from tests.processes import eventually

STOP_S = 15.0


class Container(NamedTuple):
    """A place to run commands of the image: `home` is an empty folder, and all that is not in `settings` is unset."""

    image: Image
    home: Path
    settings: dict[str, str]

    async def start(self, words: Sequence[str], log: Path | None = None) -> Process:
        """Run words, which stand for a program of the image, in the image's working directory."""
        environment = self.image.environment | {"HOME": str(self.home)} | self.settings
        program = Path(environment["PATH"].split(os.pathsep)[0]) / words[0]
        with (log or Path(os.devnull)).open("ab") as told:
            return await asyncio.create_subprocess_exec(
                program, *words[1:], cwd=self.image.below(self.image.last("WORKDIR")), env=environment,
                stdin=DEVNULL, stdout=told, stderr=told,
            )  # fmt: skip

    async def ends_with(self, words: Sequence[str], log: Path | None = None) -> int:
        """Run words to their end; returns the exit code."""
        return await (await self.start(words, log)).wait()

    @asynccontextmanager
    async def running(self, words: Sequence[str], health: Sequence[str]) -> AsyncIterator[None]:
        """Run words as the container's process, from its first good health to SIGTERM, after which its code is 0."""
        log = self.home.with_suffix(".log")
        process = await self.start(words, log)

        async def healthy() -> bool:
            assert process.returncode is None, f"it ended with {process.returncode}: {log.read_text()}"
            return await self.ends_with(health) == 0

        try:
            await eventually(healthy, f"{' '.join(health)} says that {' '.join(words)} is well")
            yield
        finally:
            code = await stopped(process)
        assert code == 0, log.read_text()
        assert list(self.home.iterdir()) == [], "something was written outside of the volume"


async def stopped(process: Process) -> int | None:
    """Ask a process to stop, as Docker does; returns its exit code, None if it had to be killed."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_S):
            return await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None


def free_port() -> int:
    """A port of the loopback address that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
