"""Runs on a server: lost replies, round trips, what stays in it, and a cluster's rule that a script has one shard."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path

import pytest

from tests.store.proxy import forgetful
from tests.store.runs import WEEK_S, ref, run, suspension, waiting
from tests.store.turns import OTHER, OWNER, PAIR, answered, opened, record
from tests.stores import fresh_store, server, until
from voice_agent.store.base import StoreDown
from voice_agent.store.connection import Connection
from voice_agent.store.keys import Keys
from voice_agent.store.redis import RedisConversations
from voice_agent.store.redis_memory import RedisMemory
from voice_agent.store.redis_runs import RedisRuns
from voice_agent.store.server import connect

DAY_S = 86_400


async def test_a_lost_reply_does_not_double_a_write(tmp_path: Path) -> None:
    """The reply of each kind of write is dropped once; repeated, it succeeds with what it would have answered."""
    async with forgetful(tmp_path) as (proxy, connection):
        talk, runs = RedisConversations(connection), RedisRuns(connection)
        run_id = runs.new_id(PAIR)
        of = ref(run_id, await talk.open_session(PAIR, run_id, OWNER))
        await talk.begin_turn(opened(of))

        async def repeated(write: Callable[[], Awaitable[object]]) -> object:
            before, proxy.swallow = proxy.swallowed, True
            with pytest.raises(StoreDown, match="cannot be reached"):
                await write()
            assert proxy.swallowed == before + 1
            return await write()

        # The first time a server sees a script it is sent twice: here it knows it.
        await waiting_once(talk, runs)
        await repeated(lambda: runs.write_run(run(run_id), WEEK_S))
        await repeated(lambda: runs.suspend_turn(of, suspension()))
        found = await runs.suspended(PAIR)
        assert found is not None
        assert await repeated(partial(runs.resume_turn, found, OTHER)) == ref(run_id, of.epoch + 1)
        assert [turn.ref for turn in await talk.orphans()] == [ref(run_id, of.epoch + 1)]
        assert await connection.call("ZCARD", connection.keys.pair(PAIR).runs) == 1


async def waiting_once(talk: RedisConversations, runs: RedisRuns) -> None:
    """A turn that waited, was taken up and ended."""
    await waiting(talk, runs)
    found = await runs.suspended(PAIR)
    assert found is not None
    taken = await runs.resume_turn(found, OTHER)
    assert taken is not None
    await talk.commit_turn(taken, record(taken))


async def test_each_write_is_one_command() -> None:
    """One round trip each."""
    async with fresh_store() as connection:
        talk, runs = RedisConversations(connection), RedisRuns(connection)
        await waiting_once(talk, runs)
        of, found = await waiting(talk, runs), await runs.suspended(PAIR)
        assert found is not None
        item = run(of.session_id)
        await runs.write_run(item, WEEK_S)
        await runs.ask_cancel(item)
        verbs: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: runs.write_run(item, WEEK_S),
            lambda: runs.ask_cancel(item),
            lambda: runs.suspend_turn(of, suspension()),
            lambda: runs.resume_turn(found, OTHER),
        )
        for verb in verbs:
            await connection.call("CONFIG", "RESETSTAT")
            await verb()
            stats = await connection.call("INFO", "commandstats")
            assert stats["cmdstat_evalsha"]["calls"] == 1
            assert "cmdstat_eval" not in stats


async def test_a_turn_waits_longer_than_its_session_is_remembered() -> None:
    """The session's owner and epoch run out within a day; who left the turn is fenced by its taking up all the same."""
    async with fresh_store() as connection:
        talk, runs = RedisConversations(connection), RedisRuns(connection)
        await waiting_once(talk, runs)
        of = await waiting(talk, runs)
        keys = connection.keys
        assert await connection.call("TTL", keys.pair(PAIR).waiting) == -1
        assert await connection.call("TTL", keys.turn(of).journal) == -1
        await connection.call("DEL", keys.session(PAIR, of.session_id))
        found = await runs.suspended(PAIR)
        assert found is not None
        assert await runs.resume_turn(found, OTHER) == ref(of.session_id, of.epoch + 1)
        assert 0 < await connection.call("TTL", keys.pair(PAIR).waiting) <= 7 * DAY_S


async def test_records_that_ran_out_take_no_room() -> None:
    """Neither they nor their names; the list itself runs out with the last of them, unless one waits."""
    async with fresh_store() as connection:
        runs, listed = RedisRuns(connection), connection.keys.pair(PAIR).runs
        first, second, third = (runs.new_id(PAIR) for _ in range(3))
        await runs.write_run(run(second), WEEK_S)
        await runs.write_run(run(first), 0.02)
        assert await connection.call("ZCARD", listed) == 2

        async def gone() -> bool:
            return await runs.read_run(first) is None

        await until(gone, "the record ran out")
        await runs.write_run(run(second), WEEK_S)
        assert await connection.call("ZCARD", listed) == 1
        assert 6 * DAY_S < await connection.call("TTL", listed) <= 7 * DAY_S
        await runs.write_run(run(third, "requires_approval"), 0.02)
        assert await connection.call("TTL", listed) == -1
        await runs.write_run(run(third, "completed"), DAY_S)
        assert await connection.call("ZCARD", listed) == 2
        assert 6 * DAY_S < await connection.call("TTL", listed) <= 7 * DAY_S


async def test_a_record_of_a_run_that_was_taken_up_and_never_written_again_runs_out() -> None:
    """It was kept for ever while its turn waited."""
    async with fresh_store() as connection:
        talk, runs = RedisConversations(connection), RedisRuns(connection)
        of = await waiting(talk, runs)
        await runs.write_run(run(of.session_id, "requires_approval"), WEEK_S)
        place = connection.keys.run(of.session_id)
        assert place is not None
        assert await connection.call("TTL", place) == -1
        found = await runs.suspended(PAIR)
        assert found is not None
        await runs.resume_turn(found, OTHER)
        assert 0 < await connection.call("TTL", place) <= 7 * DAY_S


async def test_a_full_server_takes_no_part_of_a_suspension(tmp_path: Path) -> None:
    """Each write is refused whole while the memory is full, and written whole after."""
    async with (
        server(tmp_path, "--appendonly", "yes") as url,
        aclosing(await connect(url, shards=16, allow_volatile=False)) as connection,
    ):
        talk, runs = RedisConversations(connection), RedisRuns(connection)
        run_id = runs.new_id(PAIR)
        of = ref(run_id)
        await talk.begin_turn(opened(of))
        await connection.call("CONFIG", "SET", "maxmemory", "1")
        for write in (runs.suspend_turn(of, suspension()), runs.write_run(run(run_id), WEEK_S)):
            with pytest.raises(StoreDown, match="takes no writes just now"):
                await write
        assert len(await talk.orphans()) == 1
        assert await runs.suspended(PAIR) is None
        await connection.call("CONFIG", "SET", "maxmemory", "0")
        await runs.suspend_turn(of, suspension())
        await connection.call("CONFIG", "SET", "maxmemory", "1")
        found = await runs.suspended(PAIR)
        assert found is not None
        with pytest.raises(StoreDown, match="takes no writes just now"):
            await runs.resume_turn(found, OTHER)
        assert await runs.suspended(PAIR) == found
        assert await talk.orphans() == ()
        await connection.call("CONFIG", "SET", "maxmemory", "0")
        assert await runs.resume_turn(found, OTHER) is not None


async def test_every_script_of_a_run_keeps_to_one_shard(tmp_path: Path) -> None:
    """A server in cluster mode refuses scripts over two slots, by the keys they are given and those they touch."""
    options = ("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--appendonly", "yes")
    async with server(tmp_path, *options) as url, aclosing(Connection(url, shards=16)) as connection:
        await connection.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)

        async def up() -> bool:
            return "cluster_state:ok" in str(await connection.call("CLUSTER", "INFO"))

        await until(up, "the cluster is up")
        talk, memory, runs = RedisConversations(connection), RedisMemory(connection), RedisRuns(connection)
        await waiting_once(talk, runs)
        of = await waiting(talk, runs)
        item = run(of.session_id, "requires_approval")
        await runs.write_run(item, WEEK_S)
        await runs.ask_cancel(item)
        await memory.trim(PAIR, 1.0)
        assert await runs.suspended(PAIR) is not None
        await memory.trim(PAIR, 2.0)
        assert await runs.suspended(PAIR) is None
        of = await waiting(talk, runs)
        await talk.save_step(of, 0, (answered("t1"),))
        await runs.write_run(item, WEEK_S)
        assert await memory.forget(PAIR)


def test_ids_of_runs_name_the_shard() -> None:
    """So that a run is found by its id; an id of a shard that is not in use is none."""
    keys = Keys(16)
    run_id = keys.new_run(PAIR)
    assert run_id.startswith(f"run-{keys.tag(PAIR)}-")
    assert keys.run(run_id) == f"t:{{{keys.tag(PAIR)}}}:r:{run_id}"
    assert Keys(1).run("run-7c18-0123456789abcdef") is None
    assert keys.run("run-7c18-0123456789abcdef") is not None
