"""The archives of a process: read once, then only what is new, from a real store; bounded; cut short without loss."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.memory.archives import document
from tests.store.turns import PAIR, ref
from tests.stores import fresh_store
from tests.virtual_time import VirtualClock, run
from voice_agent.clock import SystemClock
from voice_agent.memory.archive import Query
from voice_agent.memory.archives import Archives
from voice_agent.messages import Message, TurnRecord
from voice_agent.store.base import ConversationStore, Pair, StoreDown
from voice_agent.store.memory import Passages
from voice_agent.store.recorder import Recorder
from voice_agent.store.redis import RedisConversations
from voice_agent.store.redis_memory import RedisMemory

OTHER = Pair("demo", "bob")


async def say(store: ConversationStore, turn_id: str, words: str, pair: Pair = PAIR) -> str:
    """Commit a turn of one message."""
    of = ref(turn_id, pair=pair)
    return await store.commit_turn(of, TurnRecord(of.key, "end_turn", (Message("user", words, 1.5),), 1.5))


async def texts(archives: Archives, words: str, pair: Pair = PAIR) -> list[str]:
    """The texts that are found."""
    return [found.passage.text for found in await archives.search(pair, Query(words))]


class Watched(Recorder):
    """Tells from where it was read, and can keep a reader waiting."""

    def __init__(self) -> None:
        super().__init__(VirtualClock())
        self.places: list[str] = []
        self.delay_s = 0.0

    async def read_passages(self, pair: Pair, place: str) -> Passages:
        self.places.append(place)
        await asyncio.sleep(self.delay_s)
        return await super().read_passages(pair, place)


class Busy(VirtualClock):
    """Each look at it takes a while, so that every slice of indexing is over at once."""

    def __init__(self) -> None:
        self.looks = 0

    def now(self) -> float:
        self.looks += 1
        return super().now() + self.looks


@pytest.fixture
async def server() -> AsyncIterator[tuple[RedisConversations, RedisMemory]]:
    """An empty real store."""
    async with fresh_store() as connection:
        yield RedisConversations(connection), RedisMemory(connection)


async def test_what_is_stored_is_found_at_the_next_search(server: tuple[RedisConversations, RedisMemory]) -> None:
    """Messages, documents, late heard marks and deletions, over a real server."""
    talk, memory = server
    archives = Archives(memory, SystemClock())
    assert await texts(archives, "zebra") == []
    await say(talk, "t1", "a zebra at the zoo")
    (added,) = await memory.add_documents(PAIR, (document(1, "zebra crossing"),))
    assert set(await texts(archives, "zebra")) == {"a zebra at the zoo", "zebra crossing"}
    await talk.commit_heard(ref("t1"), (Message("user", "a zebra at the zoo", 1.5, heard="a lion"),))
    await memory.delete_document(PAIR, added)
    assert await texts(archives, "zebra") == []
    assert await texts(archives, "lion") == ["a lion"]


async def test_a_new_process_finds_the_same(server: tuple[RedisConversations, RedisMemory]) -> None:
    """The store is the truth, and pairs share nothing."""
    talk, memory = server
    for n in range(30):
        await say(talk, f"t{n}", f"thing {n} is zebra{n}")
    await say(talk, "t1", "zebra5 of bob", OTHER)
    grown, fresh = Archives(memory, SystemClock()), Archives(memory, SystemClock())
    await grown.warm(PAIR)
    await say(talk, "t30", "zebra5 again")
    assert await texts(grown, "zebra5") == await texts(fresh, "zebra5")
    assert (await texts(fresh, "zebra5"))[:2] == ["zebra5 again", "thing 5 is zebra5"]
    assert await texts(fresh, "zebra5", OTHER) == ["zebra5 of bob"]


async def test_a_forgotten_pair_is_forgotten_here_too(server: tuple[RedisConversations, RedisMemory]) -> None:
    """What was at hand is void, even if nobody told this process."""
    talk, memory = server
    archives = Archives(memory, SystemClock())
    await say(talk, "t1", "my zebra")
    assert await texts(archives, "zebra") == ["my zebra"]
    await memory.forget(PAIR)
    assert await texts(archives, "zebra") == []
    await say(talk, "t2", "a new zebra")
    assert await texts(archives, "zebra") == ["a new zebra"]


def test_each_search_reads_on_from_where_the_last_one_stopped() -> None:
    """The whole log is read once."""

    async def play() -> None:
        store = Watched()
        archives = Archives(store, VirtualClock())
        for n in range(3):
            await say(store, f"t{n}", f"zebra {n}")
            assert len(await texts(archives, "zebra")) == n + 1
        assert store.places[0] == ""
        assert len(set(store.places)) == 3
        archives.drop(PAIR)
        assert PAIR not in archives
        await archives.warm(PAIR)
        assert store.places[3] == ""

    run(play())


def test_searches_at_the_same_time_index_everything_once() -> None:
    """They wait for each other."""

    async def play() -> None:
        store = Watched()
        store.delay_s = 1.0
        archives = Archives(store, VirtualClock())
        await say(store, "t1", "zebra")
        async with asyncio.TaskGroup() as tasks:
            both = [tasks.create_task(texts(archives, "zebra")) for _ in range(2)]
        assert [task.result() for task in both] == [["zebra"], ["zebra"]]
        assert store.places[0] == ""
        assert store.places[1] != ""

    run(play())


def test_a_deadline_gives_what_is_at_hand_and_says_so() -> None:
    """A slow store and one that is down cost the answer nothing but its last words."""

    async def play() -> None:
        store = Watched()
        archives = Archives(store, VirtualClock())
        await say(store, "t1", "zebra one")
        first = await archives.search_within(PAIR, Query("zebra"), 0.15)
        assert first.complete
        await say(store, "t2", "zebra two")
        store.delay_s = 60.0
        began = VirtualClock().now()
        slow = await archives.search_within(PAIR, Query("zebra"), 0.15)
        assert VirtualClock().now() - began == pytest.approx(0.15)
        store.delay_s, store.down = 0.0, True
        down = await archives.search_within(PAIR, Query("zebra"), 0.15)
        for answer in (slow, down):
            assert not answer.complete
            assert [found.passage.text for found in answer.found] == ["zebra one"]
        with pytest.raises(StoreDown):
            await archives.search(PAIR, Query("zebra"))
        store.down = False
        assert len(await texts(archives, "zebra")) == 2

    run(play())


def test_indexing_gives_way_and_a_cut_loses_nothing() -> None:
    """What one search had no time to take in, the next one does, and takes nothing twice."""

    async def play() -> None:
        store = Watched()
        for n in range(10):
            await say(store, f"t{n}", f"zebra {n}")
        archives = Archives(store, Busy())
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(archives.warm(PAIR))
            for _ in range(6):
                await asyncio.sleep(0)
            first.cancel()
        answer = await archives.search_within(PAIR, Query("zebra", limit=50), 0.0)
        assert 0 < len(answer.found) < 10
        assert not answer.complete
        assert len(await archives.search(PAIR, Query("zebra", limit=50))) == 10

    run(play())


def test_the_archive_asked_for_longest_ago_goes_first() -> None:
    """By the number of pairs, and by that of passages; the one in use stays, however large."""

    async def play() -> None:
        store = Watched()
        pairs = [Pair("demo", name) for name in ("a", "b", "c")]
        for pair in pairs:
            for n in range(4):
                await say(store, f"t{n}", "zebra", pair)
        few = Archives(store, VirtualClock(), most_pairs=2)
        small = Archives(store, VirtualClock(), most_passages=8)
        for archives in (few, small):
            for pair in (*pairs[:2], pairs[0], pairs[2]):
                await archives.warm(pair)
            assert [pair in archives for pair in pairs] == [True, False, True]
            assert len(await texts(archives, "zebra", pairs[1])) == 4
        tiny = Archives(store, VirtualClock(), most_passages=1)
        await tiny.warm(pairs[0])
        assert pairs[0] in tiny

    run(play())


def test_an_archive_that_goes_while_it_is_read_still_answers() -> None:
    """Two callers at once where there is room for one, and a store that is down leaves nothing behind."""

    async def play() -> None:
        store = Watched()
        await say(store, "t1", "zebra")
        await say(store, "t1", "zebra of bob", OTHER)
        archives = Archives(store, VirtualClock(), most_pairs=1)
        store.delay_s = 1.0
        async with asyncio.TaskGroup() as tasks:
            both = [tasks.create_task(texts(archives, "zebra", pair)) for pair in (PAIR, OTHER)]
        assert [task.result() for task in both] == [["zebra"], ["zebra of bob"]]
        store.down = True
        for pair in (PAIR, OTHER, Pair("demo", "cy")):
            await archives.search_within(pair, Query("zebra"), 5.0)
        assert [pair in archives for pair in (PAIR, OTHER, Pair("demo", "cy"))] == [False, False, True]

    run(play())
