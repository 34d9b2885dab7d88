"""How a run is written down: its record as it goes along, its turn at the end, and who is told when that is done."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from msgspec.structs import replace

from voice_agent import events as ev
from voice_agent.clock import Clock
from voice_agent.conversation import Conversation
from voice_agent.messages import Message, TurnRecord
from voice_agent.resumption import Resumed, cancelled
from voice_agent.run_record import RunRecord
from voice_agent.runs.account import Account
from voice_agent.store.base import StoreDown, TurnRef
from voice_agent.store.runs import RunStore
from voice_agent.suspension import Suspension

Told = ev.TurnEvent | ev.SaveStep | RunRecord
# Whoever waits for a run looks this often whether the store is away, and gives up when it was so many times.
_LOOK_S, _LOOKS = 0.5, 10
log = logging.getLogger(__name__)


class Unstored(StoreDown):
    """What was waited for has come about, but the store has not taken it yet; the message is for the client."""


@dataclass(frozen=True)
class Order:
    """What a run is to do: answer the `opening`, or go on with a turn that waited, `resumed`.

    `received_at` is the clock's `now` at which it was asked for. `check` finds what is wrong with the last words, once
    they are read as JSON. Records are kept for `ttl_s`.
    """

    ref: TurnRef
    opening: tuple[Message, ...]
    received_at: float
    ttl_s: float
    resumed: Resumed | None = None
    check: Callable[[dict[str, object]], str | None] | None = None
    max_steps: int | None = None


class Filing:
    """All writes go through the conversation's journal: in order, behind the speech, until they are stored.

    `begun` and `done` are set when the record is stored, at first and at its end; `over`: the end is decided;
    `given_up`: this process stores nothing more of it. `listeners` are told what the run tells and, last, the record.
    """

    def __init__(
        self, order: Order, account: Account, conversation: Conversation, store: RunStore, clock: Clock
    ) -> None:
        self.order = order
        self.account = account
        self.begun = asyncio.Event()
        self.done = asyncio.Event()
        self.over = False
        self.given_up = False
        self.listeners: set[Callable[[Told], None]] = set()
        self._conversation = conversation
        self._store = store
        self._clock = clock

    @property
    def record(self) -> RunRecord:
        """How the run stands."""
        return self.account.record(self._clock.now())

    async def is_begun(self) -> None:
        """Wait until it is known of. Raises Unstored."""
        await self._stored(self.begun, "goes on")

    async def is_done(self) -> None:
        """Wait for its end. Raises Unstored."""
        await self._stored(self.done, "has ended")

    async def _stored(self, event: asyncio.Event, how: str) -> None:
        looks = 0
        while not event.is_set():
            if self.given_up:
                raise Unstored(f"run {self.order.ref.session_id!r} was cut off while the store was away")
            if looks == _LOOKS:
                raise Unstored(f"run {self.order.ref.session_id!r} {how}, and is kept until the store takes it")
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await event.wait()
            awaited = self.over or event is self.begun
            looks = looks + 1 if awaited and self._conversation.journal.refused else 0

    def tell(self, told: Told) -> None:
        """Let the listeners know."""
        for listener in tuple(self.listeners):
            listener(told)

    def write(self) -> None:
        """Store the record as it will be by then, but for its traces: each request repeats the one before it."""
        self._conversation.journal.submit(self._write_on, lambda _: self.begun.set())

    def finish(self) -> None:
        """Everything is decided: once it is written down, those who wait are told."""
        self.over = True
        self._conversation.journal.submit(self._write, self._on_finished)

    def close(self, reason: ev.EndReason, error: str | None = None, suspension: Suspension | None = None) -> None:
        """End the run without a further word of its turn's: what was asked enters the log, and what came of it.

        Calls that waited, by the `suspension` it began with unless there is a later one, are cancelled.
        """
        self.over = True
        at, ref = round(self._clock.wall(), 3), self.order.ref
        if suspension is None and self.order.resumed is not None:
            suspension = self.order.resumed.suspension
        messages = self.order.opening if suspension is None else cancelled(suspension, at)
        logged = replace(self.logged(reason, messages), usage=None if suspension is None else suspension.usage)
        self._conversation.append(ref.key, messages)

        def then(_: Exception | None) -> None:
            self.account.keep(messages, self._conversation.entry_id(ref.key))
            self.account.closed(reason, at, error)
            self.finish()

        self._conversation.journal.submit(lambda: self._conversation.commit(ref, logged), then)

    def logged(self, reason: ev.EndReason, messages: tuple[Message, ...]) -> TurnRecord:
        """The turn as the log is to have it."""
        return TurnRecord(self.order.ref.key, reason, messages, self.record.created_at)

    async def _write_on(self) -> None:
        record = self.account.record(self._clock.now(), traced=False)
        await self._store.write_run(record, self.order.ttl_s)

    async def _write(self) -> None:
        await self._store.write_run(self.record, self.order.ttl_s)

    def _on_finished(self, fault: Exception | None) -> None:
        if fault is not None:
            log.error("the record of run %s is not stored: %s", self.order.ref.session_id, fault)
        self.begun.set()
        self.done.set()
        self.tell(self.record)
