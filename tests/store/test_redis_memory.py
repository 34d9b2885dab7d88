"""What only a server can show of memory: lost replies, round trips, bounds, and what is left."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.store.proxy import forgetful
from tests.store.runs import WEEK_S, run, waiting
from tests.store.turns import OWNER, PAIR, commit, human, opened, record, ref, result, take
from tests.stores import fresh_store, server
from voice_agent.store.base import StoreDown
from voice_agent.store.connection import Connection
from voice_agent.store.keys import ShardKeys, shard
from voice_agent.store.memory import Document
from voice_agent.store.redis import RedisConversations
from voice_agent.store.redis_memory import RedisMemory
from voice_agent.store.redis_runs import RedisRuns
from voice_agent.store.server import connect

START = "0-0"


def shared(connection: Connection) -> ShardKeys:
    """The keys of the pair's shard."""
    return shard(connection.keys.tag(PAIR))


async def length(connection: Connection, stream: str) -> int:
    """Entries of a stream."""
    return int(await connection.call("XLEN", stream))


async def test_a_lost_reply_does_not_double_a_write(tmp_path: Path) -> None:
    """The reply of each kind of write is dropped once; repeated, it succeeds, and its effects are there once."""
    async with forgetful(tmp_path) as (proxy, connection):
        talk, memory = RedisConversations(connection), RedisMemory(connection)
        first = await commit(talk, "t1")
        second = ref("t2")

        async def lost(verb: Callable[[], Awaitable[object]]) -> object:
            proxy.swallow = True
            with pytest.raises(StoreDown, match="cannot be reached"):
                await verb()
            assert not proxy.swallow
            return await verb()

        await lost(lambda: talk.commit_turn(second, record(second), first))
        assert await length(connection, shared(connection).jobs) == 1
        assert await lost(lambda: memory.raise_job(PAIR, "request")) is True
        assert await length(connection, shared(connection).jobs) == 1
        assert await lost(lambda: memory.write_block(PAIR, human("Ann", 1))) is True
        job = await take(memory)
        assert await lost(lambda: memory.finish_job(job, result(START, first, human("Ann, Oslo", 2)))) == 2
        names = await lost(lambda: memory.add_documents(PAIR, (Document("one"), Document("two"))))
        passages = await memory.read_passages(PAIR, "")
        assert (len(passages.turns), len(passages.keys)) == (2, 1)
        assert tuple(document.id for document in passages.documents) == names
        assert len(await memory.block_history(PAIR, "human")) == 2
        await lost(lambda: memory.bury_job(replace(job, id=f"{job.id[:-1]}9"), "of no job"))
        doomed = await take(memory)
        await lost(lambda: memory.bury_job(doomed, "poison"))
        assert len(await memory.dead_jobs(10)) == 1
        assert (await memory.memory_health(PAIR)).dead == 1
        changes = await length(connection, shared(connection).changes)
        assert changes == 2


async def test_each_of_the_worker_and_commit_is_one_command() -> None:
    """A commit that evicts, the read for a job, its finish, and reading an archive that has nothing new."""
    async with fresh_store() as connection:
        talk, memory = RedisConversations(connection), RedisMemory(connection)
        first = await commit(talk, "t1")
        await commit(talk, "t2", evict=first)
        await memory.read_memory(PAIR)
        await memory.finish_job(await take(memory), result(START, first, human("Ann", 1)))
        place = (await memory.read_passages(PAIR, "")).place
        verbs: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: commit(talk, "t4", evict=second),
            lambda: memory.read_memory(PAIR),
            lambda: memory.finish_job(job, result(first, second, human("Ann, Oslo", 2))),
        )
        second = await commit(talk, "t3")
        await memory.raise_job(PAIR, "request")
        job = await take(memory)
        for verb in verbs:
            await connection.call("CONFIG", "RESETSTAT")
            await verb()
            stats = await connection.call("INFO", "commandstats")
            assert stats["cmdstat_evalsha"]["calls"] == 1
            assert "cmdstat_eval" not in stats
        assert (await memory.read_passages(PAIR, place)).place != place


async def test_all_keys_of_a_pair_and_its_shard_have_one_tag() -> None:
    """In a cluster each script finds its keys in one place."""
    async with fresh_store() as connection:
        keys, tag = connection.keys, f"{{{connection.keys.tag(PAIR)}}}"
        named = {**{name: getattr(keys.pair(PAIR), name) for name in keys.pair(PAIR).__struct_fields__}}
        named |= {name: getattr(shared(connection), name) for name in ShardKeys.__struct_fields__}
        assert all(tag in key for key in named.values())
        assert len(set(named.values())) == len(named) == 15


async def test_forgetting_leaves_no_key_of_the_pair() -> None:
    """But for its sessions' owners, which run out by themselves within a day, and the word that it was forgotten."""
    async with fresh_store() as connection:
        talk, memory, runs = RedisConversations(connection), RedisMemory(connection), RedisRuns(connection)
        await talk.open_session(PAIR, "s1", OWNER)
        first = await commit(talk, "t1")
        await commit(talk, "t2", evict=first)
        await memory.finish_job(await take(memory), result(START, first, human("Ann", 1)))
        (olive,) = await memory.add_documents(PAIR, (Document("olives"),))
        await memory.delete_document(PAIR, olive)
        await talk.begin_turn(opened(ref("t3")))
        run_id = (await waiting(talk, runs)).session_id
        await runs.write_run(run(run_id), WEEK_S)
        named = connection.keys.pair(PAIR)
        held = {key.decode() for key in await connection.call("KEYS", "*:demo:ann:*")}
        wanted = {getattr(named, name) for name in named.__struct_fields__} - {named.users}
        sessions = {connection.keys.session(PAIR, session) for session in ("s1", run_id)}
        journals = {connection.keys.turn(of).journal for of in (ref("t3"), ref("t1", session=run_id))}
        assert wanted | sessions | journals == held
        assert len(await connection.call("KEYS", f"*r:{run_id}")) == 1
        assert await memory.forget(PAIR)
        left = {key.decode() for pattern in ("*demo*", "*run-*") for key in await connection.call("KEYS", pattern)}
        assert left == sessions
        for session in sessions:
            assert await connection.call("TTL", session) > 0


async def test_versions_that_are_not_kept_take_no_room() -> None:
    """A block that is rewritten every day does not grow for ever."""
    async with fresh_store() as connection:
        memory = RedisMemory(connection)
        for version in range(1, 103):
            await memory.write_block(PAIR, human("Ann", version))
        assert await connection.call("HLEN", connection.keys.pair(PAIR).versions) == 100


async def test_the_change_stream_is_capped() -> None:
    """About ten thousand changes are kept on each shard, whoever reads them or not."""
    async with fresh_store() as connection:
        stream = shared(connection).changes
        fill = "for n = 1, 20000 do redis.call('XADD', KEYS[1], '*', 'n', n) end"
        await connection.call("EVAL", fill, 1, stream)
        await RedisMemory(connection).write_block(PAIR, human("Ann", 1))
        assert 10_000 <= await length(connection, stream) < 10_200


async def test_a_full_server_takes_no_part_of_a_job(tmp_path: Path) -> None:
    """While the memory is full a finish is refused whole; repeated, it is written whole."""
    async with (
        server(tmp_path, "--appendonly", "yes") as url,
        aclosing(await connect(url, shards=16, allow_volatile=False)) as connection,
    ):
        talk, memory = RedisConversations(connection), RedisMemory(connection)
        first = await commit(talk, "t1")
        await memory.raise_job(PAIR, "request")
        job = await take(memory)
        before = await memory.read_memory(PAIR)
        await connection.call("CONFIG", "SET", "maxmemory", "1")
        for verb in (
            memory.finish_job(job, result(START, first, human("Ann", 1))),
            memory.bury_job(job, "poison"),
            memory.write_block(PAIR, human("Ann", 1)),
            memory.add_documents(PAIR, (Document("one"),)),
        ):
            with pytest.raises(StoreDown, match="takes no writes just now"):
                await verb
        await connection.call("CONFIG", "SET", "maxmemory", "0")
        assert await memory.read_memory(PAIR) == before
        assert await memory.finish_job(job, result(START, first, human("Ann", 1))) == 1
        assert await memory.dead_jobs(10) == ()


async def test_every_verb_says_that_the_store_is_down(tmp_path: Path) -> None:
    """Once the server is gone each verb raises StoreDown naming it, and the same objects work when it is back."""
    options = ("--appendonly", "yes", "--appendfsync", "always")
    async with server(tmp_path, *options) as url:
        connection = await connect(url, shards=16, allow_volatile=False)
        talk, memory = RedisConversations(connection), RedisMemory(connection)
        first = await commit(talk, "t1")
        await memory.raise_job(PAIR, "request")
        job = await take(memory)
    async with aclosing(connection):
        for verb in (
            memory.read_memory(PAIR),
            memory.write_block(PAIR, human("Ann", 1)),
            memory.block_history(PAIR, "human"),
            memory.raise_job(PAIR, "request"),
            memory.next_jobs("w1", 1, 10),
            memory.claim_jobs("w1", 0, 1),
            memory.renew_jobs("w1", (job,)),
            memory.finish_job(job, result(START, first)),
            memory.fail_job(job, "x"),
            memory.bury_job(job, "x"),
            memory.dead_jobs(1),
            memory.retry_job("1768-1-1"),
            memory.drop_job("1768-1-1"),
            memory.memory_health(PAIR),
            memory.add_documents(PAIR, (Document("one"),)),
            memory.delete_document(PAIR, "d1-1"),
            memory.read_passages(PAIR, ""),
            memory.forget(PAIR),
            memory.changes({}, 10),
        ):
            with pytest.raises(StoreDown, match=connection.where):
                await verb
        async with server(tmp_path, *options):
            assert [held.id for held in await memory.claim_jobs("w1", 0, 1)] == [job.id]
            assert await memory.finish_job(job, result(START, first)) == 1
