"""Servers that are away, unfit or strange, replies that get lost: what is raised and said, and that nothing doubles."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from tests.store.proxy import forgetful
from tests.store.turns import OWNER, PAIR, answered, opened, record, ref, said
from tests.stores import fresh_store, server, store_url
from voice_agent.store.base import Health, StoreDown, StoreError
from voice_agent.store.connection import Connection
from voice_agent.store.directory import RedisDirectory
from voice_agent.store.keys import STORE, Keys
from voice_agent.store.redis import RedisConversations
from voice_agent.store.server import Server, connect, read_health


async def length(connection: Connection) -> int:
    """Entries in the pair's log."""
    return int(await connection.call("XLEN", connection.keys.pair(PAIR).log))


async def test_a_lost_reply_does_not_double_a_write(tmp_path: Path) -> None:
    """The reply of each kind of write is dropped once; repeated, it succeeds and is in the log once."""
    async with forgetful(tmp_path) as (proxy, connection):
        store, of = RedisConversations(connection), ref("t1")
        warm = ref("warm")
        await store.begin_turn(opened(warm))
        await store.save_step(warm, 0, (answered("warm"),))
        await store.commit_turn(warm, record(warm))
        await store.commit_heard(warm, (said("warm"),))
        before = await length(connection)
        writes: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: store.begin_turn(opened(of)),
            lambda: store.save_step(of, 0, (answered("t1"),)),
            lambda: store.commit_turn(of, record(of)),
            lambda: store.commit_heard(of, (said("t1"),)),
        )
        for count, write in enumerate(writes, 1):
            proxy.swallow = True
            with pytest.raises(StoreDown, match="cannot be reached"):
                await write()
            await write()
            assert proxy.swallowed == count
        assert await length(connection) == before + 2
        assert [turn.record.turn_id for turn in (await store.load(PAIR)).turns] == ["warm", "t1"]
        assert await connection.call("HGET", connection.keys.pair(PAIR).meta, "turns") == b"2"
        assert await store.orphans() == ()


async def test_a_commit_is_one_command(tmp_path: Path) -> None:
    """A turn with three steps is committed in one round trip, and the keys it leaves are the log's."""
    async with fresh_store() as connection:
        store, of = RedisConversations(connection), ref("t1")
        await store.open_session(PAIR, "s1", OWNER)
        await store.begin_turn(opened(of))
        for index in range(3):
            await store.save_step(of, index, (answered("t1"),))
        await store.commit_turn(ref("t0"), record(ref("t0")))
        await connection.call("CONFIG", "RESETSTAT")
        await store.commit_turn(of, record(of))
        stats = await connection.call("INFO", "commandstats")
        assert stats["cmdstat_evalsha"]["calls"] == 1
        assert "cmdstat_eval" not in stats
        held = connection.keys.pair(PAIR)
        wanted = {held.log, held.seen, held.meta, held.users, connection.keys.session(PAIR, "s1"), STORE}
        assert {key.decode() for key in await connection.call("KEYS", "*")} == wanted


async def test_only_the_last_thousand_turns_are_known_by_key() -> None:
    """What makes commits repeatable does not grow with the log, and holds for the last thousand."""
    async with fresh_store() as connection:
        store = RedisConversations(connection)
        for number in range(1003):
            await store.commit_turn(ref(f"t{number}"), record(ref(f"t{number}")))
        assert await connection.call("ZCARD", connection.keys.pair(PAIR).seen) == 1000
        ids = [await store.commit_turn(ref(f"t{number}"), record(ref(f"t{number}"))) for number in (3, 1002)]
        assert await length(connection) == 1003
        assert len(set(ids)) == 2
        assert len((await store.load(PAIR)).turns) == 1003


async def test_a_server_that_lost_its_scripts_gets_them_again() -> None:
    """A restarted server knows no script; the caller does not notice."""
    async with fresh_store() as connection:
        store = RedisConversations(connection)
        first = await store.commit_turn(ref("t1"), record(ref("t1")))
        await connection.call("SCRIPT", "FLUSH")
        assert await store.commit_turn(ref("t1"), record(ref("t1"))) == first


async def test_an_unreachable_server_is_named_without_its_password() -> None:
    """The message says host, port and reason; the password in the URL is not shown."""
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    for scheme in ("redis", "rediss"):
        with pytest.raises(StoreDown) as fault:
            await connect(f"{scheme}://ann:hunter2secret@127.0.0.1:{port}/0", shards=16, allow_volatile=False)
        assert f"127.0.0.1:{port}" in str(fault.value)
        assert "refused" in str(fault.value) or "Connect call failed" in str(fault.value)
        assert "hunter2secret" not in str(fault.value)


@pytest.mark.parametrize(
    "url", ["", "http://h:1", "redis://", "unix://", "redis://:hunter2secret@h:notaport", "h:6379"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    """A URL of another kind is an error that says what it takes and does not repeat the URL."""
    with pytest.raises(StoreError, match="must be redis://HOST:PORT") as fault:
        Connection(url, shards=16)
    assert "hunter2secret" not in str(fault.value)


@pytest.mark.parametrize("option", ["nonsense=1", "socket_timeout=soon"])
def test_an_unknown_option_is_refused(option: str) -> None:
    """Options that redis-py does not know are named at once, not at the first command."""
    with pytest.raises(StoreError, match=option.partition("=")[0]):
        Connection(f"redis://127.0.0.1:1/0?{option}", shards=16)


async def test_a_wrong_password_is_no_outage(tmp_path: Path) -> None:
    """Credentials that the server refuses are an error of configuration: repeating would not help."""
    async with server(tmp_path, "--requirepass", "right", "--appendonly", "yes") as url:
        for tried in (url, url.replace("unix://", "unix://:hunter2secret@")):
            with pytest.raises(StoreError, match="refuses the credentials") as fault:
                await connect(tried, shards=16, allow_volatile=False)
            assert type(fault.value) is StoreError
            assert "hunter2secret" not in str(fault.value)
        good = await connect(url.replace("unix://", "unix://:right@"), shards=16, allow_volatile=False)
        async with aclosing(good) as connection:
            assert (await read_health(connection)).durability == "process"


async def test_a_server_that_keeps_nothing_is_refused_unless_allowed(tmp_path: Path) -> None:
    """appendonly no takes an explicit permission, and is then shown as what it is."""
    async with server(tmp_path, "--appendonly", "no") as url:
        with pytest.raises(StoreError, match="VOICE_ALLOW_VOLATILE"):
            await connect(url, shards=16, allow_volatile=False)
        async with aclosing(await connect(url, shards=16, allow_volatile=True)) as connection:
            assert (await read_health(connection)).durability == "none"


async def test_a_server_that_evicts_is_refused(tmp_path: Path) -> None:
    """A policy that forgets is named, with the one that is needed."""
    async with server(tmp_path, "--appendonly", "yes", "--maxmemory-policy", "allkeys-lru") as url:
        with pytest.raises(StoreError, match=r"allkeys-lru.*noeviction"):
            await connect(url, shards=16, allow_volatile=False)


async def test_a_server_that_hides_its_settings_is_used(tmp_path: Path) -> None:
    """Where CONFIG is forbidden the durability is unknown, and said so."""
    async with server(tmp_path, "--appendonly", "yes", "--rename-command", "CONFIG", "") as url:
        async with aclosing(await connect(url, shards=16, allow_volatile=False)) as connection:
            health = await RedisConversations(connection).health()
        assert health.durability == "unknown"
        assert health.where == url.removeprefix("unix://")


@pytest.mark.parametrize(
    ("engine", "version", "fit"),
    [("Redis", "6.2.14", False), ("Redis", "7.0.0", True), ("Redis", "8.10.2", True), ("Valkey", "7.1.0", False),
     ("Valkey", "7.2.5", True), ("Valkey", "10.0.0", True)],
)  # fmt: skip
def test_the_oldest_version_that_will_do(engine: str, version: str, fit: bool) -> None:
    """Versions compare as numbers; what is too old is said with what is needed."""
    unfit = Server(engine, version, "noeviction", "disk").unfit(allow_volatile=False)
    assert unfit is None if fit else unfit is not None and version in unfit and "Redis 7.0, Valkey 7.2" in unfit


async def test_the_embedded_server_keeps_everything_on_disk() -> None:
    """The level shown for the embedded server is `disk`."""
    async with fresh_store() as connection:
        health = await read_health(connection)
    where = store_url().removeprefix("unix://")
    assert health == Health(engine=health.engine, durability="disk", where=where)
    assert health.engine.startswith("Valkey 9.")


async def test_a_store_made_otherwise_is_refused_with_both_numbers() -> None:
    """Another shard count or schema is an error that says what is there and what was wanted."""
    async with fresh_store() as connection:
        with pytest.raises(StoreError, match="made with 16 shards, VOICE_SHARDS says 4"):
            await connect(store_url(), shards=4, allow_volatile=False)
        await connection.call("HSET", STORE, "schema", 99)
        with pytest.raises(StoreError, match="has schema 99, this program reads schema 1"):
            await connect(store_url(), shards=16, allow_volatile=False)


async def test_a_full_server_is_an_outage_not_a_loss(tmp_path: Path) -> None:
    """While the memory is full the turn is to be held and repeated; then it is stored once."""
    async with (
        server(tmp_path, "--appendonly", "yes") as url,
        aclosing(await connect(url, shards=16, allow_volatile=False)) as connection,
    ):
        store = RedisConversations(connection)
        await store.open_session(PAIR, "s1", OWNER)
        await store.commit_turn(ref("t0"), record(ref("t0")))
        await connection.call("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreDown, match="takes no writes just now"):
            await store.commit_turn(ref("t1"), record(ref("t1")))
        await connection.call("CONFIG", "SET", "maxmemory", "0")
        await store.commit_turn(ref("t1"), record(ref("t1")))
        assert [turn.record.turn_id for turn in (await store.load(PAIR)).turns] == ["t0", "t1"]


async def test_every_verb_says_that_the_store_is_down(tmp_path: Path) -> None:
    """Once the server is gone each verb raises StoreDown naming it, and the same objects work when it is back."""
    options = ("--appendonly", "yes", "--appendfsync", "always")
    async with server(tmp_path, *options) as url:
        connection = await connect(url, shards=16, allow_volatile=False)
        store, directory, of = RedisConversations(connection), RedisDirectory(connection), ref("t1")
        await store.commit_turn(of, record(of))
    async with aclosing(connection):
        for verb in (
            store.open_session(PAIR, "s1", OWNER),
            store.load(PAIR),
            store.begin_turn(opened(of)),
            store.save_step(of, 0, ()),
            store.commit_turn(of, record(of)),
            store.commit_heard(of, ()),
            store.read_messages(PAIR, None, 1),
            store.list_users("demo", "", 1),
            store.beat(OWNER, 1000),
            store.orphans(),
            store.adopt(opened(of), OWNER),
            store.health(),
            directory.write_agent("a", b"", 0),
            directory.list_agents("", 1),
            directory.secret(),
        ):
            with pytest.raises(StoreDown, match=connection.where):
                await verb
        async with server(tmp_path, *options):
            assert [turn.record.turn_id for turn in (await store.load(PAIR)).turns] == ["t1"]


def test_shards_use_evenly_spread_tags() -> None:
    """A pair keeps its shard, all its keys carry the shard's tag, and fewer shards use fewer tags."""
    keys = Keys(16)
    turn, pair = keys.turn(ref("t:1")), keys.pair(PAIR)
    tag = f"{{{keys.tag(PAIR)}}}"
    assert all(tag in key for key in (turn.session, turn.journal, turn.index, pair.log, pair.seen, pair.users))
    assert Keys(3).tags == keys.tags[:3]
    assert turn.member == "demo:ann:s1:t%3A1"
