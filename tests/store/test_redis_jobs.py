"""What only a server can show of jobs: groups that are lost, consumers that pile up, readers that wait, lag."""

import asyncio
from contextlib import aclosing

from tests.store.turns import PAIR, commit, result, take
from tests.stores import fresh_store, store_url, until
from voice_agent.store.base import Pair
from voice_agent.store.connection import Connection
from voice_agent.store.keys import ShardKeys, shard
from voice_agent.store.redis import RedisConversations
from voice_agent.store.redis_memory import RedisMemory

START = "0-0"


def shared(connection: Connection) -> ShardKeys:
    """The keys of the pair's shard."""
    return shard(connection.keys.tag(PAIR))


async def length(connection: Connection, stream: str) -> int:
    """Entries of a stream."""
    return int(await connection.call("XLEN", stream))


async def server_ms(connection: Connection) -> int:
    """The server's clock."""
    seconds, micros = await connection.call("TIME")
    return int(seconds) * 1000 + int(micros) // 1000


async def test_jobs_from_before_the_first_worker_are_handed_out() -> None:
    """The group is made when first asked for, from the stream's beginning, and claiming needs none."""
    async with fresh_store() as connection:
        talk, memory = RedisConversations(connection), RedisMemory(connection)
        await commit(talk, "t1")
        await memory.raise_job(PAIR, "request")
        assert await memory.claim_jobs("w1", 0, 16) == ()
        assert (await take(memory)).pair == PAIR


async def test_groups_that_are_lost_are_made_again() -> None:
    """A worker goes on after the groups, and all there was, went away, also while it waited."""
    async with fresh_store() as connection:
        talk, memory = RedisConversations(connection), RedisMemory(connection)
        await commit(talk, "t1")
        await memory.raise_job(PAIR, "request")
        job = await take(memory)
        await connection.call("XGROUP", "DESTROY", shared(connection).jobs, "sleep")
        assert (await take(memory)).id == job.id
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(memory.next_jobs("w1", 16, 2000))
            await until(lambda: _blocked(connection), "the worker waits")
            await connection.call("FLUSHALL")
            await commit(talk, "t2")
            await memory.raise_job(PAIR, "request")
        found = waiting.result() or await memory.next_jobs("w1", 16, 0)
        assert [job.pair for job in found] == [PAIR]


async def _blocked(connection: Connection) -> bool:
    return int((await connection.call("INFO", "clients"))["blocked_clients"]) > 0


async def test_a_finished_job_leaves_nothing_in_the_stream() -> None:
    """Neither entry nor pending mark is left of jobs that were finished, buried or forgotten."""
    async with fresh_store() as connection:
        talk, memory, jobs = RedisConversations(connection), RedisMemory(connection), shared(connection).jobs
        for number in range(3):
            entry = await commit(talk, f"t{number}")
            await memory.raise_job(PAIR, "request")
            job = await take(memory)
            if number == 0:
                await memory.finish_job(job, result(START, entry))
            elif number == 1:
                await memory.bury_job(job, "poison")
            else:
                await memory.forget(PAIR)
            assert await length(connection, jobs) == 0
            assert (await connection.call("XPENDING", jobs, "sleep"))["pending"] == 0


async def test_a_job_whose_entry_is_gone_counts_for_none() -> None:
    """Somebody who cleared the job stream does not silence a pair for good."""
    async with fresh_store() as connection:
        talk, memory = RedisConversations(connection), RedisMemory(connection)
        first = await commit(talk, "t1")
        await memory.raise_job(PAIR, "request")
        await connection.call("DEL", shared(connection).jobs)
        assert (await memory.memory_health(PAIR)).pending_jobs == 0
        await memory.raise_job(PAIR, "request")
        assert await memory.finish_job(await take(memory), result(START, first)) == 1


async def test_consumers_go_when_nothing_is_pending() -> None:
    """Names of processes that ended do not pile up, but one that still holds a job keeps its place."""
    async with fresh_store() as connection:
        talk, memory, jobs = RedisConversations(connection), RedisMemory(connection), shared(connection).jobs
        await commit(talk, "t1")
        await memory.raise_job(PAIR, "request")
        await take(memory, "holds one")
        for worker in ("idle one", "idle two"):
            await memory.next_jobs(worker, 16, 0)
            await connection.call("XGROUP", "CREATECONSUMER", jobs, "sleep", worker)
        await memory.claim_jobs("w1", 60_000, 16)
        assert len(await connection.call("XINFO", "CONSUMERS", jobs, "sleep")) == 3
        await connection.run("claim_jobs", (jobs,), ("w1", 60_000, 16, 0))
        (left,) = await connection.call("XINFO", "CONSUMERS", jobs, "sleep")
        assert b"holds one" in left
        assert len(await memory.claim_jobs("w1", 0, 16)) == 1


async def test_jobs_that_are_not_due_do_not_hide_one_that_is() -> None:
    """More jobs than a page, delivered often and so not due for long, lie before one that is due."""
    async with fresh_store() as connection, aclosing(Connection(store_url(), shards=1)) as single:
        talk, memory, jobs = RedisConversations(single), RedisMemory(single), shard("1768").jobs
        pairs = [Pair("demo", f"user {number}") for number in range(121)]
        for pair in pairs:
            await commit(talk, "t1", pair=pair)
            await memory.raise_job(pair, "request")
        held = await memory.next_jobs("w1", 200, 0)
        entries = [job.id.partition("-")[2] for job in held]
        await connection.call("XCLAIM", jobs, "sleep", "w1", 0, *entries[:-1], "IDLE", 1000, "RETRYCOUNT", 10)
        await connection.call("XCLAIM", jobs, "sleep", "w1", 0, entries[-1], "IDLE", 1000, "RETRYCOUNT", 1)
        (due,) = await memory.claim_jobs("w2", 900, 16)
        assert (due.pair, due.deliveries) == (pairs[-1], 2)


async def test_a_reader_may_wait_longer_than_commands_may_take() -> None:
    """The waiting client has a timeout of its own: an idle store is not a store that is down."""
    async with fresh_store(), aclosing(Connection(f"{store_url()}?socket_timeout=0.05", shards=16)) as hasty:
        memory = RedisMemory(hasty)
        assert await memory.next_jobs("w1", 16, 200) == ()
        assert await memory.changes({}, 200) == ()


async def test_waiting_readers_hold_no_command_up() -> None:
    """With every waiting connection in use, commands go on."""
    async with fresh_store() as connection:
        talk, memory = RedisConversations(connection), RedisMemory(connection)
        await memory.next_jobs("w1", 1, 0)
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(memory.next_jobs(f"w{number}", 1, 300)) for number in range(32)]
            await until(lambda: _blocked(connection), "the workers wait")
            await commit(talk, "t1")
            assert not any(task.done() for task in waiting)


async def test_lag_counts_from_when_it_was_asked_for() -> None:
    """What was wanted while a job ran has waited since then, not since that job ended."""
    async with fresh_store() as connection:
        talk, memory = RedisConversations(connection), RedisMemory(connection)
        first = await commit(talk, "t1")
        second = await commit(talk, "t2", evict=first)
        job = await take(memory)
        await commit(talk, "t3", evict=second)
        wanted_at = await server_ms(connection)

        async def waited() -> bool:
            return await server_ms(connection) >= wanted_at + 30

        await until(waited, "30 ms go by")
        places: dict[str, str] = {}
        await memory.changes(places, 0)
        await memory.finish_job(job, result(START, first))
        await memory.finish_job(await take(memory), result(first, second))
        lags = [change.lag_ms for change in await memory.changes(places, 0)]
        assert all(lag >= 30 for lag in lags)
        assert len(lags) == 2
