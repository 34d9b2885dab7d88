"""The whole product as its users run it: `voice-gateway serve` and `simulate` as real processes, and their ends.

Everything that is started here is ended here with all it started itself, whatever the test did to it.
"""

import asyncio
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import aiohttp

from tests.commands import environment, started
from tests.stores import gone
from voice_agent.clock import SystemClock
from voice_agent.store.base import Pair
from voice_agent.store.connection import Connection
from voice_agent.store.keys import journal, open_turns, shard
from voice_agent.store.redis_jobs import GROUP
from voice_agent.store.redis_memory import RedisMemory

PATIENCE_S = 20.0
STOP_S = 15.0
REST_S = 0.01
# The jobs in a stream (key) that were handed out to a group (argument) and not finished: to whom, how often, fields.
_HELD = """
local found = {}
if redis.call('EXISTS', KEYS[1]) == 0 then return found end
for _, held in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 100)) do
  local entry = redis.call('XRANGE', KEYS[1], held[1], held[1])[1]
  if entry then found[#found + 1] = {held[2], held[4], entry[2]} end
end
return found
"""


async def eventually(holds: Callable[[], Awaitable[bool]], what: str, patience_s: float = PATIENCE_S) -> None:
    """Look again and again, with rests between, until a condition holds; AssertionError naming it at the deadline."""
    clock = SystemClock()
    deadline = clock.now() + patience_s
    while not await holds():
        assert clock.now() < deadline, f"waited {patience_s:g} s in vain: {what}"
        await rest()


async def rest() -> None:
    """Let the processes work for a moment."""
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(REST_S, over.set)
    await over.wait()


class Served:
    """A running `voice-gateway serve`: what it printed (`banner`), where it is, and the file its processes log to."""

    def __init__(self, process: Process, data: Path, banner: str, log: Path) -> None:
        found = re.search(r"is ready at (http://\S+)", banner)
        assert found is not None, f"no banner: {banner!r}; it said: {log.read_text()}"
        self.process = process
        self.data = data
        self.banner = banner
        self.log = log
        self.url = found[1]

    def gateway(self) -> int | None:
        """The process id of its gateway, if one runs just now."""
        return self._child("gateway", "gateway")

    def worker(self) -> int | None:
        """The process id of its sleeptime worker, if one runs just now."""
        return self._child("sleeptime")

    def _child(self, *module: str) -> int | None:
        commands = ((pid, command(pid)) for pid in children(self.process.pid))
        return next((pid for pid, words in commands if words[3 : 3 + len(module)] == list(module)), None)

    async def family(self) -> list[int]:
        """All that it consists of: supervisor, gateway, worker, the store's server and its keeper."""
        server = await server_of(self.data)
        return [self.process.pid, *children(self.process.pid), server, parent(server)]

    async def until_ready(self) -> None:
        """The gateway lets callers in."""
        await eventually(self._is_ready, "the gateway is ready")

    async def _is_ready(self) -> bool:
        try:
            async with aiohttp.ClientSession() as http, http.get(f"{self.url}/readyz") as reply:
                return reply.status == 200
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def served(data: Path, *options: str, **settings: str) -> AsyncIterator[Served]:
    """`voice-gateway serve`, on a free port if VOICE_PORT is not among the settings, once it has said it is ready."""
    log = data.with_suffix(".log")
    words = (sys.executable, "-m", "gateway", "serve", "--data-dir", str(data), *options)
    given = environment(**{"VOICE_PORT": "0", **settings})
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(*words, stdin=DEVNULL, stdout=PIPE, stderr=errors, env=given)
    try:
        yield Served(process, data, await _banner(process), log)
    finally:
        await _end(process)


@asynccontextmanager
async def simulated() -> AsyncIterator[dict[str, str]]:
    """`voice-gateway simulate` on a free port; yields the settings by which a gateway takes it for OpenAI."""
    async with started("gateway", "simulate", "--port", "0", "--first-token-ms", "5", "--token-ms", "5") as process:
        assert process.stdout is not None
        found = re.search(r"OPENAI_BASE_URL=(\S+)", (await process.stdout.readline()).decode())
        assert found is not None
        yield {"OPENAI_BASE_URL": found[1], "OPENAI_API_KEY": "any-key"}


async def _banner(process: Process) -> str:
    assert process.stdout is not None
    told = ""
    async with asyncio.timeout(PATIENCE_S):
        while (line := (await process.stdout.readline()).decode()) and "Ctrl-C" not in line:
            told += line
    return told


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await process.wait()
    if process.returncode is None:
        process.kill()
    await process.communicate()


# ---- what the system says of processes ----


def parent(pid: int) -> int:
    """The process that started it."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def children(pid: int) -> list[int]:
    """The processes that it started and that live."""
    found = []
    for name in os.listdir("/proc"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if name.isdecimal() and parent(int(name)) == pid:
                found.append(int(name))
    return found


def command(pid: int) -> list[str]:
    """The words that it was started with; none for one that has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


async def none_names(text: str) -> bool:
    """Whether no living process has `text` in its command."""
    return not any(text in " ".join(command(int(name))) for name in os.listdir("/proc") if name.isdecimal())


async def all_gone(pids: list[int]) -> bool:
    """Whether none of the processes runs."""
    return all([await gone(pid) for pid in pids])


# ---- what the store of a data directory holds, asked past every gateway ----


@asynccontextmanager
async def store_of(data: Path) -> AsyncIterator[Connection]:
    """A connection to it that keeps nothing alive."""
    async with aclosing(Connection(f"unix://{(data / 'keeper').read_text()}", shards=16)) as connection:
        yield connection


async def server_of(data: Path) -> int:
    """The process id of the store's server."""
    async with store_of(data) as connection:
        return int((await connection.call("INFO", "server"))["process_id"])


async def endings(data: Path, user: str) -> list[tuple[str, str]]:
    """The turns in the user's log with the demo agent, and how each ended."""
    async with store_of(data) as connection:
        passages = await RedisMemory(connection).read_passages(Pair("demo", user), "")
    return [(turn.record.turn_id, turn.record.reason) for turn in passages.turns]


async def journalled(data: Path, user: str) -> list[set[str]]:
    """What is journalled of each open turn of the user's: `head`, and the numbers of its finished steps."""
    async with store_of(data) as connection:
        tag = connection.keys.tag(Pair("demo", user))
        members = [member.decode() for member in await connection.call("ZRANGE", open_turns(tag), 0, -1)]
        mine = [journal(tag, member) for member in members if member.startswith(f"demo:{user}:")]
        return [{field.decode() for field in await connection.call("HKEYS", key)} for key in mine]


class Held(NamedTuple):
    """A job that was handed out: to which sleeptime worker, dead or alive, and how often until now."""

    worker: str
    deliveries: int


async def held_jobs(data: Path) -> dict[Pair, Held]:
    """The jobs that are handed out."""
    async with store_of(data) as connection:
        held = {}
        for tag in connection.keys.tags:
            for worker, deliveries, fields in await connection.call("EVAL", _HELD, 1, shard(tag).jobs, GROUP):
                held[Pair(fields[1].decode(), fields[3].decode())] = Held(worker.decode(), int(deliveries))
        return held
