"""How fast one worker process works off a store full of jobs, and whether it grows while it does."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure
from benchmarks.talk import AGENT, INSTANT, turn
from tests.commands import environment
from voice_agent.clock import SystemClock
from voice_agent.store.base import Pair
from voice_agent.store.connection import Connection
from voice_agent.store.keys import shard
from voice_agent.store.redis import RedisConversations
from voice_agent.store.redis_memory import RedisMemory

USERS = 10_000
_TURNS = 4
_WRITERS = 16
_SAMPLE_S = 0.05
_DEADLINE_S = 300.0


async def drain(data: Path, store: Connection, users: int = USERS) -> tuple[Figure, Figure]:
    """Raise a job for each of so many users, start a worker, and watch it.

    Raises RuntimeError if it ends or gives a job up, TimeoutError if it is not done in five minutes: then there is
    nothing to tell of its speed.
    """
    await _fill(store, users)
    async with asyncio.timeout(_DEADLINE_S), _worker(data) as worker:
        per_s, sizes = await _watch(store, worker, users)
    if await RedisMemory(store).dead_jobs(1):
        raise RuntimeError("the worker gave jobs up")
    return (
        Figure(f"{users} pending jobs, one worker process", per_s, "jobs/s", 300, over=True),
        Figure(f"its memory ({sizes[-1] >> 20} MB), last quarter against the second", growth(sizes), "%", 10),
    )


def growth(sizes: Sequence[int]) -> float:
    """By how many percent the last quarter's mean is away from the second's."""
    quarters = np.array_split(np.array(sizes, float), 4)
    return abs(float(quarters[3].mean() / quarters[1].mean()) - 1) * 100


async def _watch(store: Connection, worker: Process, users: int) -> tuple[float, list[int]]:
    """Jobs per second, and the process's size in bytes as it was every 50 ms."""
    clock, sizes = SystemClock(), list[int]()
    began = over = clock.now()
    left = users
    while left:
        if worker.returncode is not None:
            raise RuntimeError(f"the worker ended with code {worker.returncode}, {left} jobs before the end")
        await asyncio.sleep(_SAMPLE_S)
        left, over = await _waiting(store), clock.now()
        if left == users:
            # Its start is not part of its speed.
            began = over
        else:
            sizes.append(_size(worker.pid))
    return users / (over - began), sizes


async def _fill(store: Connection, users: int) -> None:
    conversations, memory = RedisConversations(store), RedisMemory(store)

    async def write(names: Sequence[str]) -> None:
        for name in names:
            for number in range(_TURNS):
                await conversations.commit_turn(*turn(name, number))
            await memory.raise_job(Pair(AGENT.id, name), "request")

    names = [f"u{number}" for number in range(users)]
    async with asyncio.TaskGroup() as writers:
        for first in range(_WRITERS):
            writers.create_task(write(names[first::_WRITERS]))


async def _waiting(store: Connection) -> int:
    return sum(await store.pipe([("XLEN", shard(tag).jobs) for tag in store.keys.tags]))


@asynccontextmanager
async def _worker(data: Path) -> AsyncIterator[Process]:
    words = (sys.executable, "-m", "sleeptime", "--data-dir", str(data))
    process = await asyncio.create_subprocess_exec(
        *words, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, env=environment(**INSTANT)
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _size(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
