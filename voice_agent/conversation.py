"""One (agent, user)'s conversation in this process: window, turn order and writes, shared by all its sessions."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from voice_agent.journal import Journal
from voice_agent.memory.history import START, Buffer, WindowTurn, after, drop, evict, hide, order, prompt
from voice_agent.messages import Message, TurnRecord
from voice_agent.overflow import Gauge
from voice_agent.store.base import (
    BlockValue,
    ConversationStore,
    Fenced,
    Pair,
    Snapshot,
    StoreDown,
    StoreError,
    TurnRef,
)  # fmt: skip
from voice_agent.store.memory import Change, MemoryStore
from voice_agent.turn import Turn

log = logging.getLogger(__name__)


@dataclass
class Tail:
    """An ended turn whose heard text can still move; the key of its `ref` is its place in the window.

    `stored` is what was last stored of it, after so many `moves` of its ledger.
    """

    turn: Turn
    ref: TurnRef
    cut: bool
    guarded_until: float
    stored: tuple[Message, ...]
    moves: int

    def settled(self) -> tuple[Message, ...]:
        return self.turn.settled(interrupted=self.cut)


class Conversation:
    """`turns` is held while a turn runs: sessions of one user take turns. `listeners` are told of memory's changes.

    `sessions` need it still, `calls` are those of them that have not hung up. `answering` is held while a turn that
    waits for its client is taken up.

    The window only grows at its end; turns leave its beginning when memory has taken them over.
    """

    def __init__(self, pair: Pair, store: ConversationStore, memory: MemoryStore) -> None:
        self.pair = pair
        self.store = store
        self._memory = memory
        self.journal = Journal()
        self.turns = asyncio.Lock()
        self.answering = asyncio.Lock()
        self.loading = asyncio.Lock()
        self.loaded = False
        self.sessions = 0
        self.calls = 0
        self.memory_version = 0
        self.blocks: tuple[BlockValue, ...] = ()
        self.buffer = Buffer()
        self.listeners: set[Callable[[Change], None]] = set()
        self._window: tuple[WindowTurn, ...] = ()
        self._shown: tuple[WindowTurn, ...] = ()
        self._gauge = Gauge()
        self._leaving = self._hidden = START
        self._tails: dict[tuple[str, str], Tail] = {}
        self._adopted: list[tuple[TurnRecord, str]] = []

    async def load(self) -> None:
        """Take up what is stored."""
        snapshot = await self.store.load(self.pair)
        self._window = tuple(WindowTurn(turn.record.key, turn.record.messages, turn.id) for turn in snapshot.turns)
        self.remember(snapshot)
        self.loaded = True
        for record, entry_id in self._adopted:
            self.adopt(record, entry_id)

    def adopt(self, record: TurnRecord, entry_id: str) -> None:
        """A turn that died elsewhere was stored: it enters the window, unless what was loaded had it already."""
        if not self.loaded:
            self._adopted.append((record, entry_id))
        elif all(turn.key != record.key for turn in self._window):
            self._window += (WindowTurn(record.key, record.messages, entry_id),)

    def remember(self, snapshot: Snapshot) -> None:
        """Take up blocks and watermark as they are stored now: turns that memory has taken over leave the window."""
        self._window = after(self._window, snapshot.start)
        self._leaving = max(self._leaving, snapshot.evict, key=order)
        self.memory_version = snapshot.memory_version
        self.blocks = snapshot.blocks

    def forget(self) -> None:
        """Nothing that was said before is known any more; a turn under way ends as it began."""
        self._tails.clear()
        self._window, self._leaving, self._hidden = (), START, START

    def history(self) -> tuple[Message, ...]:
        """What of the conversation goes to the model."""
        self._hidden = hide(self._window, self._hidden, self.buffer)
        self._shown = () if self.buffer.autoclear else after(self._window, self._hidden)
        return () if self.buffer.autoclear else prompt(self._window, self._hidden)

    def in_prompt(self, dropped: int = 0) -> frozenset[str]:
        """The ids of the stored messages that `history` shows, once its first `dropped` messages were left out."""
        border = drop(self._window, self._shown, dropped, self._hidden)
        shown = () if self.buffer.autoclear else after(self._window, border)
        return frozenset(f"{turn.id}.{n}" for turn in shown if turn.id for n in range(len(turn.messages)))

    def append(self, key: str, messages: tuple[Message, ...], tokens: int | None = None) -> None:
        """Settled messages enter the window; they weigh so many `tokens`, if a provider has counted them."""
        self._window += (WindowTurn(key, messages, counted=tokens),)

    async def commit(self, ref: TurnRef, record: TurnRecord) -> None:
        """Move a turn into the log, and ask in the same step for the eviction of those that are too many."""
        # What its model had no room for is to leave, too.
        upto = max(evict(self._window, self._leaving, self.buffer) or START, self._hidden, key=order)
        going = upto if order(upto) > order(self._leaving) else None
        try:
            entry_id = await self.store.commit_turn(ref, record, going)
        except Fenced:
            # Its new owner stores it, in its own words.
            self._window = tuple(turn for turn in self._window if turn.key != record.key)
            raise
        self._leaving = going or self._leaving
        self._window = tuple(
            msgspec.structs.replace(turn, id=entry_id) if turn.key == record.key else turn for turn in self._window
        )

    async def is_stored_in(self, seconds: float) -> bool:
        """Whether all that was said is stored, or will be in so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self.journal.drained()
        except TimeoutError:
            return False
        return True

    def entry_id(self, key: str) -> str:
        """The log entry of a turn in the window; empty while it has none."""
        return next((turn.id for turn in reversed(self._window) if turn.key == key), "")

    def consolidate(self, reason: str) -> None:
        """Ask the sleeptime worker to deal with all that was said, after what is being written now."""
        self.journal.submit(lambda: self._memory.raise_job(self.pair, reason))

    def append_turn(
        self, turn: Turn, ref: TurnRef, messages: tuple[Message, ...], *, cut: bool, guarded_until: float
    ) -> None:
        """An ended turn enters the window. It ignores interruptions until the clock's `now` is `guarded_until`."""
        self._tails[ref.session_id, turn.setup.turn_id] = Tail(
            turn, ref, cut, guarded_until, messages, turn.ledger.moves
        )
        self._hidden = drop(self._window, self._shown, turn.history.dropped, self._hidden)
        first = self._window[0].key if self._window else ref.key
        beside = (turn.setup.prompt.system, first, self._hidden, turn.history.dropped)
        self.append(ref.key, messages, self._gauge.weigh(turn.history.tokens, beside))

    def tails(self, session_id: str) -> list[Tail]:
        """A session's turns whose heard text can still move, in their order."""
        return [tail for tail in self._tails.values() if tail.ref.session_id == session_id]

    def resettle(self, tail: Tail) -> None:
        """Take the tail's marks into the window."""
        self._window = tuple(
            msgspec.structs.replace(turn, messages=tail.settled()) if turn.key == tail.ref.key else turn
            for turn in self._window
        )

    def keep_heard(self, tail: Tail) -> None:
        """Store the tail's heard text if it moved since it was last stored."""
        if tail.moves == tail.turn.ledger.moves:
            return
        tail.moves = tail.turn.ledger.moves
        messages = tail.settled()
        if messages != tail.stored:
            tail.stored = messages
            self.journal.submit(lambda: self._commit_heard(tail.ref, messages))

    async def _commit_heard(self, ref: TurnRef, messages: tuple[Message, ...]) -> None:
        try:
            await self.store.commit_heard(ref, messages)
        except (StoreDown, Fenced):
            raise
        except StoreError as fault:
            # Refused for good, by a store that lost the turn: no turn behind it shall wait for that.
            log.warning("what was heard of a turn is not kept: %s", fault)

    def freeze(self) -> None:
        """The next request is about to be sent: what it says of heard speech stays said."""
        for tail in self._tails.values():
            self.keep_heard(tail)
        self._tails.clear()
