"""An MCP server as a process: messages by its stdin and stdout, a line each, and what it says on stderr for the log.

It runs under a warden, so that it ends with the connection or with the gateway, and all that it has started with it.
The library's own way of doing this takes time in the square of a message's length, and bounds none.
"""

import asyncio
import errno
import logging
import os
import shutil
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self, TextIO

import anyio
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter

from voice_agent.tools import warden
from voice_agent.tools.mcp.definitions import Stdio

LONGEST_MESSAGE = 32 * 1024 * 1024
_LONGEST_LINE = 8192
_ENDING_S = 2 * warden.GRACE_S + 1

_log = logging.getLogger(__name__)


class Talk:
    """Both streams that an MCP client speaks by. `ended` is told why if they end before the process."""

    def __init__(self, process: Process, ended: Callable[[str], None]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout
        self._ended = ended

    async def send(self, item: SessionMessage) -> None:
        """Write a message. Raises BrokenResourceError, which is how the client knows that nobody reads it."""
        try:
            # Before, and not after: what a server leaves unread must not pile up here.
            await self._stdin.drain()
        except ConnectionError:
            self._ended("it reads no more")
            raise anyio.BrokenResourceError from None
        self._stdin.write(item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")

    async def receive(self) -> SessionMessage | Exception:
        """The next message, or why a line is none. Raises EndOfStream."""
        # A flood of messages must not keep the loop to itself.
        await asyncio.sleep(0)
        try:
            line = await self._stdout.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            raise anyio.EndOfStream from None
        except asyncio.LimitOverrunError:
            self._ended(f"it sent a message of more than {LONGEST_MESSAGE} bytes")
            raise anyio.EndOfStream from None
        try:
            return SessionMessage(jsonrpc_message_adapter.validate_json(line.decode("utf-8", "replace"), by_name=False))
        except ValueError as fault:
            return fault

    async def aclose(self) -> None:
        """Nothing: the streams are closed with the process."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


@asynccontextmanager
async def spawned(name: str, place: Stdio, ended: Callable[[str], None]) -> AsyncGenerator[tuple[Talk, Talk]]:
    """The process, ended with all it started: its stdin's end, SIGTERM, SIGKILL. Raises OSError if there is none."""
    environment = get_default_environment() | place.env
    _look_for(place, environment.get("PATH"))
    theirs, ours = os.pipe()
    with os.fdopen(ours, "wb") as lifeline:
        async with _logged(name) as errors:
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-IS", warden.__file__, str(theirs), "command", place.command, *place.args),
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=errors,
                    env=environment,
                    cwd=place.cwd,
                    pass_fds=(theirs,),
                    start_new_session=True,
                    limit=LONGEST_MESSAGE,
                )
            finally:
                # The process has its own ends by now; a pipe ends when all others are closed.
                errors.close()
                os.close(theirs)
            talk = Talk(process, ended)
            try:
                yield talk, talk
            finally:
                lifeline.close()
                await _end(process)


async def _end(process: Process) -> None:
    """Close its input, and wait until it has gone, cancelled or not. The rest is the warden's."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        await _gone(process)
    except asyncio.CancelledError:
        await _gone(process)
        raise


async def _gone(process: Process) -> None:
    assert process.stdout is not None
    with suppress(TimeoutError):
        async with asyncio.timeout(_ENDING_S):
            while await process.stdout.read(65536):
                pass
            await process.wait()


def _look_for(place: Stdio, path: str | None) -> None:
    """Raises FileNotFoundError for a command that is not there: the warden would notice too late to say so."""
    where = str(Path(place.cwd or "", place.command)) if os.sep in place.command else place.command
    if shutil.which(where, path=path) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


@asynccontextmanager
async def _logged(name: str) -> AsyncGenerator[TextIO]:
    """A file for a process to write to; each line becomes a record of our log."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "w") as sink:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: _Lines(name), source)
        try:
            yield sink
        finally:
            transport.close()


class _Lines(asyncio.Protocol):
    def __init__(self, name: str) -> None:
        self._name = name
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._log(line)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._log(self._rest)

    def _log(self, line: bytes) -> None:
        if text := line[:_LONGEST_LINE].decode("utf-8", "replace").strip():
            _log.debug("the MCP server %s says: %s", self._name, text)
