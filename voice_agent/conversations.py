"""The conversations open in this process: who writes them down, and what they hear of changes made elsewhere."""

import asyncio
import logging
from collections.abc import Callable

from voice_agent.conversation import Conversation
from voice_agent.messages import TurnRecord
from voice_agent.store.base import ConversationStore, Pair, StoreError
from voice_agent.store.memory import Change, MemoryStore

_FOLLOW_MS, _FOLLOW_RETRY_S = 2000, 0.5
log = logging.getLogger(__name__)


class Conversations:
    """The conversations open in this process. `run` owns their writers; a closed one stays until all is stored.

    `forget` is told of pairs that were forgotten, `cancels` of runs that are to stop, here or in another process.
    """

    def __init__(
        self,
        store: ConversationStore,
        memory: MemoryStore,
        forget: Callable[[Pair], None] = lambda _: None,
        hold_s: float = 5.0,
    ) -> None:
        self._store = store
        self._memory = memory
        self._forget = forget
        self._hold_s = hold_s
        self.cancels: set[Callable[[str], None]] = set()
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
            conversation = self._open[pair] = Conversation(pair, self._store, self._memory)
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

    def adopt(self, pair: Pair, record: TurnRecord, entry_id: str) -> None:
        """A turn of the pair that died elsewhere was closed here: a live session must know of it too."""
        if pair in self._open:
            self._open[pair].adopt(record, entry_id)

    async def follow(self) -> None:
        """Take up what changes in memory, here or in another process, as it happens. Never returns."""
        places: dict[str, str] = {}
        while True:
            try:
                changes = await self._memory.changes(places, _FOLLOW_MS)
            except StoreError as fault:
                log.warning("changes in memory are not seen just now: %s", fault)
                await asyncio.sleep(_FOLLOW_RETRY_S)
                continue
            for change in changes:
                await self._insist(change)

    async def _insist(self, change: Change) -> None:
        """A change was read and will not be told again: it is taken up, however long the store is away."""
        while True:
            try:
                return await self._changed(change)
            except StoreError as fault:
                log.warning("a change in memory waits for the store: %s", fault)
                await asyncio.sleep(_FOLLOW_RETRY_S)
            except Exception:
                log.exception("the memory of %s cannot be read", change.pair)
                return None

    async def _changed(self, change: Change) -> None:
        if change.kind == "cancel":
            for cancel in tuple(self.cancels):
                cancel(change.run)
            return
        if change.kind == "forgotten":
            self._forget(change.pair)
        conversation = self._open.get(change.pair)
        if conversation is None:
            return
        async with conversation.loading:  # what is being loaded now may be older than the change
            if not conversation.loaded:
                return
            if change.kind == "forgotten":
                conversation.forget()
            conversation.remember(await self._memory.read_memory(change.pair))
        for listener in tuple(conversation.listeners):
            listener(change)

    async def _write(self, conversation: Conversation) -> None:
        while conversation.sessions or conversation.journal.holds:
            await conversation.journal.flush()
            if conversation.sessions:
                await conversation.journal.waiting()
        del self._open[conversation.pair]
