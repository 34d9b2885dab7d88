"""The product's commands as real processes, with an environment of their own."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

NOT_INHERITED = ("VOICE_", "REDIS_URL", "OPENAI_", "ANTHROPIC_")


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def environment(**settings: str) -> dict[str, str]:
    """This process's environment without the product's settings, and with these."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}  # noqa: TID251
    return own | settings


@asynccontextmanager
async def started(
    module: str, *arguments: str, pass_fds: tuple[int, ...] = (), **settings: str
) -> AsyncIterator[Process]:
    """`python -m MODULE ARGUMENTS`, its input empty and its outputs pipes; killed at the end if it still runs."""
    command = (sys.executable, "-m", module, *arguments)
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, pass_fds=pass_fds, env=environment(**settings)
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run(module: str, *arguments: str, **settings: str) -> Ended:
    """Run a command to its end."""
    async with started(module, *arguments, pass_fds=(), **settings) as process:
        out, err = await process.communicate()
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())


async def line_with(process: Process, text: str) -> str:
    """The first line on the process's stderr that holds `text`."""
    assert process.stderr is not None
    async for line in process.stderr:
        if text in line.decode():
            return line.decode()
    raise AssertionError(f"the process ended without saying {text!r}")
