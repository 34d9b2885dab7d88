"""Real stores for tests: one embedded server for the whole test run, emptied for each test, and servers of any kind."""

import asyncio
import atexit
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from functools import cache
from pathlib import Path

from voice_agent.clock import SystemClock
from voice_agent.store.connection import Connection
from voice_agent.store.embedded import attach, find_binary
from voice_agent.store.server import connect

PATIENCE_S = 10.0


@cache
def store_url() -> str:
    """The run's own server, started at first use and gone with the process."""
    data_dir = Path(tempfile.mkdtemp(prefix="store-"))
    attachment = attach(data_dir, None)
    # Removed first: the keeper then ends the server without another look at what was in it.
    atexit.register(attachment.close)
    atexit.register(shutil.rmtree, data_dir, ignore_errors=True)
    return attachment.url


@asynccontextmanager
async def fresh_store() -> AsyncIterator[Connection]:
    """A connection to the run's server, with nothing in it."""
    async with aclosing(Connection(store_url(), shards=16)) as eraser:
        await eraser.call("FLUSHALL")
    async with aclosing(await connect(store_url(), shards=16, allow_volatile=False)) as connection:
        yield connection


@asynccontextmanager
async def server(folder: Path, *options: str) -> AsyncIterator[str]:
    """A server with these options and none other, on a socket in `folder`; yields its URL."""
    path = folder / "own.sock"
    words = ["--port", "0", "--unixsocket", str(path), "--dir", str(folder), *options]
    process = await asyncio.create_subprocess_exec(
        find_binary(None), *words, stdout=asyncio.subprocess.DEVNULL, stdin=asyncio.subprocess.DEVNULL
    )
    try:
        await until(lambda: _accepts(path), "the server answers")
        yield f"unix://{path}"
    finally:
        process.terminate()
        await process.wait()


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for a condition by looking again and again; AssertionError naming it after `PATIENCE_S`."""
    clock = SystemClock()
    deadline = clock.now() + PATIENCE_S
    while not await holds():
        assert clock.now() < deadline, f"waited {PATIENCE_S} s in vain: {what}"
        await asyncio.sleep(0)


async def gone(pid: int) -> bool:
    """Whether no such process runs; one that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


async def _accepts(path: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(str(path))
    except OSError:
        return False
    writer.write(b"PING\r\n")
    reply = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return bool(reply) and not reply.startswith(b"-LOADING")
