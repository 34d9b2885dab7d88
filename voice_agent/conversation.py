"""One (agent, user)'s conversation in this process: window, turn order and writes, shared by all its sessions."""

import asyncio
import logging
from dataclasses import dataclass

from voice_agent.journal import Journal
from voice_agent.messages import Message, TurnRecord
from voice_agent.store.base import ConversationStore, Fenced, Pair, StoreDown, StoreError, TurnRef
from voice_agent.turn import Turn

log = logging.getLogger(__name__)


@dataclass
class Tail:
    """An ended turn whose heard text can still move; it stands in the window from `start` on."""

    turn: Turn
    ref: TurnRef
    start: int
    cut: bool
    guarded_until: float
    stored: tuple[Message, ...]

    def settled(self) -> tuple[Message, ...]:
        return self.turn.settled(interrupted=self.cut)


class Conversation:
    """`turns` is held while a turn runs: sessions of one user take turns. `window` only grows at its end.

    `sessions` need it still, `calls` are those of them that have not hung up.
    """

    def __init__(self, pair: Pair, store: ConversationStore) -> None:
        self.pair = pair
        self.store = store
        self.journal = Journal()
        self.turns = asyncio.Lock()
        self.loading = asyncio.Lock()
        self.loaded = False
        self.window: tuple[Message, ...] = ()
        self.sessions = 0
        self.calls = 0
        self.memory_version = 0
        self._tails: dict[tuple[str, str], Tail] = {}
        self._keys: set[str] = set()
        self._adopted: list[TurnRecord] = []

    async def load(self) -> None:
        """Take up what is stored."""
        snapshot = await self.store.load(self.pair)
        self.window = tuple(message for turn in snapshot.turns for message in turn.messages)
        self.memory_version = snapshot.memory_version
        self._keys = {turn.key for turn in snapshot.turns}
        self.loaded = True
        for record in self._adopted:
            self.adopt(record)

    def adopt(self, record: TurnRecord) -> None:
        """A turn that died elsewhere was stored: it enters the window, unless what was loaded had it already."""
        if not self.loaded:
            self._adopted.append(record)
        elif record.key not in self._keys:
            self._keys.add(record.key)
            self.append(record.messages)

    def append(self, messages: tuple[Message, ...]) -> None:
        """Settled messages enter the window."""
        self.window += messages

    def append_turn(
        self, turn: Turn, ref: TurnRef, messages: tuple[Message, ...], *, cut: bool, guarded_until: float
    ) -> None:
        """An ended turn enters the window. It ignores interruptions until the clock's `now` is `guarded_until`."""
        self._tails[ref.session_id, turn.setup.turn_id] = Tail(
            turn, ref, len(self.window), cut, guarded_until, messages
        )
        self.append(messages)

    def tail(self, session_id: str, turn_id: str | None) -> Tail | None:
        """A session's turn with that id, or its last one, while its heard text can still move."""
        if turn_id is not None:
            return self._tails.get((session_id, turn_id))
        return next((tail for tail in reversed(self._tails.values()) if tail.ref.session_id == session_id), None)

    def resettle(self, tail: Tail) -> tuple[Message, ...]:
        """Take the tail's marks into the window; returns its messages as they are now."""
        messages = tail.settled()
        self.window = self.window[: tail.start] + messages + self.window[tail.start + len(messages) :]
        return messages

    def keep_heard(self, tail: Tail) -> None:
        """Store the tail's heard text if it moved since it was last stored."""
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


class Conversations:
    """The conversations open in this process. `run` owns their writers; a closed one stays until all is stored."""

    def __init__(self, store: ConversationStore, hold_s: float = 5.0) -> None:
        self._store = store
        self._hold_s = hold_s
        self._open: dict[Pair, Conversation] = {}
        self._writers: set[asyncio.Task[None]] = set()
        self._tasks: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Until `stop`; then waits for what is unwritten, `hold_s` at most."""
        async with asyncio.TaskGroup() as self._tasks:
            await self._stopping.wait()
            late = (await asyncio.wait(self._writers, timeout=self._hold_s))[1] if self._writers else set()
            for writer in late:
                log.error("%s: not stored, the store stayed away", writer.get_name())
                writer.cancel()

    def stop(self) -> None:
        """No conversation will be opened any more."""
        self._stopping.set()

    async def open(self, pair: Pair) -> Conversation:
        """The pair's conversation, loaded if it is not open yet. Each `open` needs its `close`. Raises StoreError."""
        if self._tasks is None or self._stopping.is_set():
            raise RuntimeError("conversations are opened while `run` runs")
        conversation = self._open.get(pair)
        if conversation is None:
            conversation = self._open[pair] = Conversation(pair, self._store)
        conversation.sessions += 1
        try:
            async with conversation.loading:
                if not conversation.loaded:
                    await conversation.load()
                    writer = self._tasks.create_task(self._write(conversation), name=f"{pair.agent}/{pair.user}")
                    self._writers.add(writer)
                    writer.add_done_callback(self._writers.discard)
        except BaseException:
            self.close(conversation)
            raise
        return conversation

    def close(self, conversation: Conversation) -> None:
        """One session less. The last one leaves the rest to the writer."""
        conversation.sessions -= 1
        if conversation.sessions:
            return
        if conversation.loaded:
            conversation.freeze()
            conversation.journal.wake()
        else:
            del self._open[conversation.pair]

    def adopt(self, pair: Pair, record: TurnRecord) -> None:
        """A turn of the pair that died elsewhere was closed here: a live session must know of it too."""
        if pair in self._open:
            self._open[pair].adopt(record)

    async def _write(self, conversation: Conversation) -> None:
        while conversation.sessions or conversation.journal.holds:
            await conversation.journal.flush()
            if conversation.sessions:
                await conversation.journal.waiting()
        del self._open[conversation.pair]
