"""Retention: each agent's own days, over all its users, again and again."""

import asyncio

import pytest

from tests.store.runs import WEEK_S, waiting
from tests.store.runs import run as a_run
from tests.store.turns import commit
from tests.stores import fresh_store
from tests.virtual_time import VirtualClock, run
from voice_agent.agent import Agent
from voice_agent.clock import SystemClock
from voice_agent.memory.archive import Query
from voice_agent.memory.archives import Archives
from voice_agent.retention import drop_old, keep_to_retention
from voice_agent.store.base import Pair
from voice_agent.store.directory import RedisDirectory
from voice_agent.store.recorder import Recorder
from voice_agent.store.redis import RedisConversations
from voice_agent.store.redis_memory import RedisMemory
from voice_agent.store.redis_runs import RedisRuns

DAY_S = 86_400
USERS = ("ann", "bob")


def agent(name: str, days: int | None) -> bytes:
    """An agent that keeps things for so long."""
    return Agent(id=name, name=name, retention_days=days).document()


async def test_each_agent_keeps_for_as_long_as_it_says() -> None:
    """One day, two days and for ever; a definition that cannot be read holds up nobody."""
    async with fresh_store() as connection:
        directory, talk, memory = RedisDirectory(connection), RedisConversations(connection), RedisMemory(connection)
        await directory.write_agent("broken", b"{}", 0)
        for name, days in (("short", 1), ("long", 2), ("ever", None)):
            await directory.write_agent(name, agent(name, days), 0)
            for user in USERS:
                await commit(talk, "t1", pair=Pair(name, user))
        archives, clock = Archives(memory, SystemClock()), SystemClock()
        assert await archives.search(Pair("short", "ann"), Query("t1"))
        tomorrow = clock.wall() + 1.5 * DAY_S
        assert await drop_old(directory, talk, memory, clock.wall()) == 0
        assert await drop_old(directory, talk, memory, tomorrow) == 2
        assert await drop_old(directory, talk, memory, tomorrow) == 0
        kept = {name: len((await memory.read_memory(Pair(name, "bob"))).turns) for name in ("short", "long", "ever")}
        assert kept == {"short": 0, "long": 1, "ever": 1}
        assert not await archives.search(Pair("short", "ann"), Query("t1"))


async def test_runs_and_turns_that_wait_are_kept_no_longer() -> None:
    """Of a user too of whom nothing else is held."""
    async with fresh_store() as connection:
        directory, talk, memory = RedisDirectory(connection), RedisConversations(connection), RedisMemory(connection)
        runs, clock = RedisRuns(connection), SystemClock()
        for name, days in (("short", 1), ("ever", None)):
            pair = Pair(name, "ann")
            await directory.write_agent(name, agent(name, days), 0)
            run_id = (await waiting(talk, runs, pair)).session_id
            await runs.write_run(a_run(run_id, "requires_approval", pair=pair), WEEK_S)
        assert await drop_old(directory, talk, memory, clock.wall()) == 0
        found = [await runs.suspended(Pair(name, "ann")) for name in ("short", "ever")]
        assert [turn is None for turn in found] == [True, False]
        assert await talk.list_users("short", "", 10) == ()
        kept = await connection.call("KEYS", "*r:run-*")
        assert [key.decode() for key in kept] == [connection.keys.run(run_id)]


def test_it_is_looked_for_by_the_hour_and_a_store_that_is_away_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """What is a day old at noon is gone by one."""
    clock = VirtualClock()
    store = Recorder(clock)
    pair = Pair("short", "ann")

    async def main() -> None:
        await store.write_agent("short", agent("short", 1), 0)
        await commit(store, "t1", pair=pair)
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(keep_to_retention(store, store, store, clock))
            await asyncio.sleep(1)
            store.down = True
            await asyncio.sleep(DAY_S)
            store.down = False
            assert len((await store.load(pair)).turns) == 1
            await asyncio.sleep(3600)
            assert (await store.load(pair)).turns == ()
            keeping.cancel()

    run(main())
    assert "what is too old stays for now" in caplog.text
