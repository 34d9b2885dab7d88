"""Every benchmark runs to its end over a real store, and counts what is to be counted."""

from pathlib import Path

from benchmarks.commit import commit
from benchmarks.drain import drain
from benchmarks.live import live
from benchmarks.search import search
from benchmarks.talk import AGENT
from tests.stores import fresh_store
from voice_agent.config import read_settings
from voice_agent.store.attach import attached
from voice_agent.store.base import Pair
from voice_agent.store.directory import RedisDirectory
from voice_agent.store.redis_memory import RedisMemory


async def test_a_commit_is_one_round_trip_with_memory_on() -> None:
    """Whether it evicts or not, by the server's own count."""
    async with fresh_store() as store:
        _, _, trips = await commit(Path(), store, 16)
        assert trips.value == 1
        assert (await RedisMemory(store).memory_health(Pair(AGENT.id, "ada"))).pending_jobs == 1


def test_search_is_measured() -> None:
    """Two figures."""
    assert [figure.limit for figure in search(100, 10)] == [2, 1]


async def test_every_eviction_is_told_of(tmp_path: Path) -> None:
    """From commit to frame takes some time, over a gateway and a worker."""
    data = tmp_path / "data"
    async with attached(read_settings(data=data)) as store:
        await RedisDirectory(store).write_agent(AGENT.id, AGENT.document(), 0)
        assert all(figure.value > 0 for figure in await live(data, store, 3))


async def test_what_is_drained_has_become_memory(tmp_path: Path) -> None:
    """Of every user, by a worker process."""
    data = tmp_path / "data"
    async with attached(read_settings(data=data)) as store:
        await RedisDirectory(store).write_agent(AGENT.id, AGENT.document(), 0)
        await drain(data, store, 300)
        memories = [await RedisMemory(store).read_memory(Pair(AGENT.id, f"u{number}")) for number in range(300)]
        assert all(memory.cursor == memory.wanted != "0-0" and memory.blocks for memory in memories)
