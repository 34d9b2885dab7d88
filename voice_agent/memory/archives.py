"""The archives that this process has at hand, made from the store and brought up to date before each search.

The store is the truth and a cached archive only saves reading: the one that was asked for longest ago goes when there
are too many. Indexing gives way to other work every few milliseconds, and what a deadline cuts short the next search
goes on with.
"""

import asyncio
import logging
from collections import OrderedDict, deque

import msgspec

from voice_agent.clock import Clock
from voice_agent.memory.archive import Archive, Found, Item, Query, items
from voice_agent.store.base import Pair, StoreError
from voice_agent.store.memory import MemoryStore

log = logging.getLogger(__name__)

_MOST_PASSAGES = 100_000
_MOST_PAIRS = 2_000
# The longest that speech of other calls is kept waiting, in seconds.
_SLICE_S = 0.002


class Answer(msgspec.Struct, frozen=True):
    """What a search found; not `complete` if there was no time, or no store, to bring the archive up to date."""

    found: tuple[Found, ...]
    complete: bool


class _Reader:
    """One pair's archive, its place in the store, and what was read and is not indexed yet."""

    def __init__(self, pair: Pair, store: MemoryStore, clock: Clock) -> None:
        self.archive = Archive()
        self._pair = pair
        self._store = store
        self._clock = clock
        self._place = ""
        self._backlog: deque[Item] = deque()
        self._catching_up = asyncio.Lock()

    async def catch_up(self) -> None:
        """Take in everything that is stored by now. Raises StoreError; cancelled, it keeps what it has."""
        async with self._catching_up:
            await self._index()
            passages = await self._store.read_passages(self._pair, self._place)
            if passages.anew:
                self.archive = Archive()
            self._backlog.extend(items(passages))
            self._place = passages.place
            await self._index()

    async def _index(self) -> None:
        since = self._clock.now()
        while self._backlog:
            self.archive.take(self._backlog.popleft())
            if self._clock.now() - since > _SLICE_S:
                await asyncio.sleep(0)
                since = self._clock.now()


class Archives:
    """Search in any pair's archive. `most_passages` bounds what is kept over all pairs, at about 1.5 kB each."""

    def __init__(
        self,
        store: MemoryStore,
        clock: Clock,
        *,
        most_pairs: int = _MOST_PAIRS,
        most_passages: int = _MOST_PASSAGES,
    ) -> None:
        self._store = store
        self._clock = clock
        self._most_pairs = most_pairs
        self._most_passages = most_passages
        self._readers: OrderedDict[Pair, _Reader] = OrderedDict()

    def __contains__(self, pair: Pair) -> bool:
        return pair in self._readers

    async def warm(self, pair: Pair) -> None:
        """Bring the pair's archive up to date, however long it takes. Raises StoreError."""
        await self._catch_up(pair, self._reader(pair))

    async def search(self, pair: Pair, query: Query) -> tuple[Found, ...]:
        """Search everything that is stored by now. Raises StoreError."""
        reader = self._reader(pair)
        await self._catch_up(pair, reader)
        return reader.archive.search(query)

    async def search_within(self, pair: Pair, query: Query, seconds: float) -> Answer:
        """Search what is at hand after this long at most, or if the store is down."""
        reader = self._reader(pair)
        complete = True
        try:
            async with asyncio.timeout(seconds):
                await self._catch_up(pair, reader)
        except (TimeoutError, StoreError) as fault:
            complete = False
            log.warning("searched an archive that is not up to date: %s", fault or f"no time after {seconds:g} s")
        return Answer(reader.archive.search(query), complete)

    def drop(self, pair: Pair) -> None:
        """Let go of what is at hand of a pair, as when it is forgotten."""
        self._readers.pop(pair, None)

    async def _catch_up(self, pair: Pair, reader: _Reader) -> None:
        try:
            await reader.catch_up()
        finally:
            self._shrink(pair)

    def _reader(self, pair: Pair) -> _Reader:
        reader = self._readers.get(pair)
        if reader is None:
            reader = self._readers[pair] = _Reader(pair, self._store, self._clock)
        self._readers.move_to_end(pair)
        return reader

    def _shrink(self, keep: Pair) -> None:
        held = sum(len(reader.archive) for reader in self._readers.values())
        while len(self._readers) > self._most_pairs or held > self._most_passages:
            pair = next(iter(self._readers))
            if pair == keep:
                return
            held -= len(self._readers.pop(pair).archive)
