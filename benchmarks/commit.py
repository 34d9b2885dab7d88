"""What committing a turn costs with memory on: time, and round trips as the server counts them."""

from pathlib import Path

from benchmarks.figures import Figure, percentile
from benchmarks.talk import turn
from voice_agent.clock import SystemClock
from voice_agent.store.connection import Connection
from voice_agent.store.redis import RedisConversations

COMMITS = 2000
# The default window's 15 to 30 messages, of two a turn, are cut every eighth turn.
_EVICTS_EVERY = 8


async def commit(_data: Path, store: Connection, commits: int = COMMITS) -> tuple[Figure, ...]:
    """One user's turns, one after the other."""
    conversations, clock = RedisConversations(store), SystemClock()
    plain, evicting = list[float](), list[float]()
    entry = await conversations.commit_turn(*turn("ada", 0))
    reads = await _reads(store)
    for number in range(1, commits + 1):
        evicts = number % _EVICTS_EVERY == 0
        began = clock.now()
        entry = await conversations.commit_turn(*turn("ada", number), entry if evicts else None)
        (evicting if evicts else plain).append((clock.now() - began) * 1000)
    # The second look at the counter is itself one of the reads.
    trips = (await _reads(store) - reads - 1) / commits
    return (
        Figure("turn commit: p50", percentile(plain + evicting, 50), "ms", 0.6),
        Figure("turn commit that evicts: p50", percentile(evicting, 50), "ms", 0.6),
        Figure("turn commit: round trips", trips, "each", 1.01),
    )


async def _reads(store: Connection) -> int:
    return int((await store.call("INFO", "stats"))["total_reads_processed"])
