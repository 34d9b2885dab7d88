"""One run: a turn without a socket, from the words or answers it begins with to the record it leaves.

It takes its place among the turns of its pair, as those of live sessions do, and is heard whole. Whoever asked for it
may listen, or go away: that does not end it.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from msgspec.structs import replace

from voice_agent import events as ev
from voice_agent.conversation import Conversation
from voice_agent.live_turn import TurnTools
from voice_agent.messages import Message
from voice_agent.run import run_turn
from voice_agent.run_record import RunRecord
from voice_agent.runs.account import Account
from voice_agent.runs.conforming import fault_in_last_words
from voice_agent.runs.filing import Filing, Order, Told
from voice_agent.scribe import Scribe
from voice_agent.store.base import Fenced, Pair, StoreDown
from voice_agent.store.runs import RunStore, Suspended
from voice_agent.turn import Turn
from voice_agent.wiring import Wiring
from voice_agent.work import Work

log = logging.getLogger(__name__)


class Run:
    """`run` carries it out. `done` is set when its end is stored; `is_begun` and `is_done` are those of `Filing`.

    `listeners` are told what the turn tells and, last, the record. `refused`: the turn that had to be answered first.
    `asked`: the calls that it has asked its client for.
    """

    def __init__(
        self, order: Order, account: Account, wiring: Wiring, conversation: Conversation, store: RunStore
    ) -> None:
        self.id = order.ref.session_id
        self.refused: Suspended | None = None
        self.asked: set[str] = set()
        self._order = order
        self._account = account
        self._wiring = wiring
        self._clock = wiring.clock
        self._conversation = conversation
        self._store = store
        self._filing = Filing(order, account, conversation, store, wiring.clock)
        self.done = self._filing.done
        self.is_begun, self.is_done = self._filing.is_begun, self._filing.is_done
        self.listeners: set[Callable[[Told], None]] = self._filing.listeners
        self._work = Work("answer", order.ref.turn_id, order.ref, order.opening, order.received_at)
        self._scribe = Scribe(self.id, order.ref.epoch, wiring.owner, conversation, self._clock)
        self._turn: Turn | None = None
        self._steps: tuple[Message, ...] = order.resumed.suspension.done if order.resumed else ()
        self._over = asyncio.Event()
        self._cancelled = False
        self._queueing: asyncio.Timeout | None = None
        if order.resumed is None:
            account.keep(order.opening)
        self._filing.write()

    @property
    def pair(self) -> Pair:
        """Whose turn it is."""
        return self._order.ref.pair

    @property
    def record(self) -> RunRecord:
        """How it stands."""
        return self._filing.record

    @property
    def answered(self) -> frozenset[str]:
        """The calls whose answers it goes on with."""
        resumed = self._order.resumed
        return frozenset(answer.call_id for answer in resumed.answers) if resumed else frozenset()

    def cancel(self, error: str | None = None) -> None:
        """End it, wherever it stands: its model's reply, its tools, its wait. `error`: why, if nobody asked for it."""
        if self._filing.over or self._cancelled:
            return
        self._cancelled = True
        if error is not None:
            self._account.told(ev.Failed("internal", error))
        if self._queueing is not None:
            self._queueing.reschedule(asyncio.get_running_loop().time())
        # Nobody cut in: what was said was heard.
        self._work.inbox.put(ev.PlaybackMoved(self._work.turn_id, done=True))
        self._work.inbox.put(ev.UserLeft("cancelled"))

    def fail(self) -> None:
        """A fault of our own keeps it from going on."""
        if not self._filing.over:
            self._close("error", "the run failed inside the gateway")

    def give_up(self) -> None:
        """This process does no more for it; it did not end, if it was not stored by now."""
        self._filing.given_up = True

    # ---- its turn ----

    async def run(self) -> None:
        """To its end; returns when it is stored, and the last tool that was let run on has finished."""
        contended = self._conversation.turns.locked()
        async with asyncio.TaskGroup() as tasks:
            if await self._turn_comes():
                try:
                    if not (contended and await self._must_wait()):
                        await self._perform(tasks)
                finally:
                    self._conversation.turns.release()
            else:
                self._close("cancelled")
        await self.done.wait()

    async def _turn_comes(self) -> bool:
        """Wait for the turns before. False: it was cancelled meanwhile."""
        if self._cancelled:
            return False
        try:
            async with asyncio.timeout(None) as self._queueing:
                await self._conversation.turns.acquire()
        except TimeoutError:
            return False
        finally:
            self._queueing = None
        return True

    async def _must_wait(self) -> bool:
        """Whether a turn before it waits for the client by now: then these words come too early."""
        if self._order.resumed is None:
            # A store that is away holds turns up, not words.
            with suppress(StoreDown):
                self.refused = await self._store.suspended(self._conversation.pair)
        if self.refused is None:
            return False
        self._account.closed("error", self._clock.wall(), "the turn before it waits for its client")
        self._finish()
        return True

    async def _perform(self, tasks: asyncio.TaskGroup) -> None:
        conversation, wiring, order = self._conversation, self._wiring, self._order
        conversation.freeze()
        if order.resumed is None:
            self._scribe.begin(self._work)
        conversation.buffer = wiring.buffer(conversation.blocks)
        setup = wiring.setup(self._work, conversation.history(), conversation.blocks)
        setup = replace(setup, suspends=True, max_steps=order.max_steps or wiring.agent.run_steps)
        self._turn = Turn(setup, resumed=order.resumed)
        tasks.create_task(self._run_turn(self._turn))
        await self._over.wait()

    async def _run_turn(self, turn: Turn) -> None:
        work, wiring, shown = self._work, self._wiring, self._conversation.in_prompt
        runner = TurnTools(lambda: wiring.runner(work, shown(turn.history.dropped)))
        await run_turn(turn, wiring.model, runner, work.inbox, self, self._clock)
        if not self._filing.over:
            log.error("turn %s never ended", work.turn_id)
            self.fail()

    # ---- what the turn tells ----

    def on_event(self, event: ev.TurnEvent) -> None:
        """See `Listener`."""
        if isinstance(event, ev.TurnEnded):
            self._on_ended(event)
        else:
            if isinstance(event, ev.ApprovalNeeded | ev.ClientToolNeeded):
                self.asked.add(event.call_id)
            self._account.told(event)
            self._filing.tell(event)

    def on_step(self, step: ev.SaveStep) -> None:
        """See `Listener`."""
        self._scribe.step(self._work, step)
        self._steps += step.messages
        self._account.keep(self._order.opening + self._steps)
        self._filing.tell(step)
        self._filing.write()

    def on_late(self, finished: ev.ToolFinished, output: str) -> None:
        """See `Listener`. What the tool brought is for the turns to come."""
        how = "has finished" if finished.status == "ok" else f"has ended ({finished.status})"
        said = f"The tool {finished.name}, still running when its run was cancelled, {how}: {output}"
        self._scribe.keep(self._scribe.note(said))

    def _on_ended(self, event: ev.TurnEnded) -> None:
        """The log, or the place of turns that wait, has it before anybody is told."""
        event = self._judged(event)
        latency = event.latency.until(self._clock.now() - self._order.received_at, "gateway")
        event = replace(event, latency=latency)
        journal, ref = self._conversation.journal, self._order.ref

        def then(fault: Exception | None) -> None:
            self._on_stored(event, fault)

        if (suspension := event.suspension) is not None:
            self._filing.over = True
            journal.submit(lambda: self._store.suspend_turn(ref, suspension), then)
            return
        if self._turn is not None:
            cut = event.reason == "cancelled"
            self._conversation.append_turn(self._turn, ref, event.messages, cut=cut, guarded_until=0.0)
        logged = replace(self._filing.logged(event.reason, event.messages), usage=event.usage, latency=event.latency)
        self._filing.over = True
        self._over.set()
        journal.submit(lambda: self._conversation.commit(ref, logged), then)

    def _judged(self, event: ev.TurnEnded) -> ev.TurnEnded:
        """The end as it is, unless the last words had to fit a schema and do not."""
        if self._order.check is None or event.reason not in ("end_turn", "max_steps"):
            return event
        fault = fault_in_last_words(event.messages, self._order.check)
        if fault is None:
            return event
        self.on_event(ev.Failed("provider", f"the reply does not fit response_format: {fault}", turn_id=event.turn_id))
        return replace(event, reason="invalid_llm_response")

    def _on_stored(self, event: ev.TurnEnded, fault: Exception | None) -> None:
        if isinstance(fault, Fenced) and event.suspension is not None:
            self._over.set()
            self._filing.close("cancelled", "another turn of this user waits for its client", event.suspension)
            return
        if fault is not None:
            taken = isinstance(fault, Fenced)
            why = "another process has taken this run over" if taken else "the turn could not be stored"
            self._account.keep(event.messages)
            self._account.closed("interrupted" if taken else "error", self._clock.wall(), why)
        else:
            event = replace(event, latency=event.latency.until(self._clock.now() - self._order.received_at, "store"))
            entry_id = self._conversation.entry_id(self._order.ref.key)
            self._account.ended(event, entry_id, round(self._clock.wall(), 3))
            self._filing.tell(event)
        self._finish()

    def _close(self, reason: ev.EndReason, error: str | None = None) -> None:
        self._over.set()
        self._filing.close(reason, error)

    def _finish(self) -> None:
        self._over.set()
        self._filing.finish()
