"""The live runs of this process: begun, answered, cancelled and found, each in a task that outlives its request."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace as copy

from msgspec.structs import replace

from gateway.answering import (
    Given,
    as_results,
    awaited,
    concerned,
    ids_of,
    refuse_answers,
    refuse_words,
)
from gateway.equipment import Collaborators, read_agent
from gateway.errors import Busy, Conflict, GoingAway, NotFound
from gateway.orders import Asked, Orders, Plan
from gateway.silences import Silences
from voice_agent import events as ev
from voice_agent.agent import Agent
from voice_agent.conversation import Conversation
from voice_agent.llm.base import Preview
from voice_agent.resumption import Resumed
from voice_agent.run_record import RunRecord
from voice_agent.runs.account import Account
from voice_agent.runs.answers import Answer, calls_in
from voice_agent.runs.filing import Filing, Order, Told
from voice_agent.runs.run import Run
from voice_agent.runs.traces import masked_json
from voice_agent.store.base import Pair, StoreDown, TurnRef
from voice_agent.store.runs import RunStore, Suspended
from voice_agent.tools.outward import Outward
from voice_agent.tools.secrets import Secrets
from voice_agent.turn import Turn
from voice_agent.work import Work

# How long runs under way may take to end by themselves when the process stops, and then to be cut short.
_PATIENCE_S, _LEAVING_S = 2.0, 2.0
# Runs under way, and those of one user, which wait for each other: what more is asked is to come later.
_MOST, _MOST_OF_ONE = 2048, 256
# How long, and how often, another process is looked at while its run comes to its end.
_ELSEWHERE_S, _LOOK_S = 5.0, 0.02
_STOPPED = "the gateway that ran it was stopped"
_UNDER_WAY = ("running", "requires_approval")
log = logging.getLogger(__name__)


class Runs:
    """`run` owns the runs; the other verbs are for whoever asks."""

    def __init__(self, parts: Collaborators, store: RunStore, orders: Orders) -> None:
        self._parts = parts
        self._store = store
        self._orders = orders
        self._live: dict[str, Run] = {}
        self._silences = Silences(parts.conversations)
        self._tasks: asyncio.TaskGroup | None = None
        self._outward: Outward | None = None
        self._stopping = asyncio.Event()
        self._over = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        parts.conversations.cancels.add(self._on_cancel)

    async def run(self) -> None:
        """Until `stop`; returns when every run has ended."""
        try:
            async with Outward(self._parts.guard) as self._outward, asyncio.TaskGroup() as self._tasks:
                silences = self._tasks.create_task(self._silences.run())
                await self._stopping.wait()
                silences.cancel()
                if self._running:
                    await asyncio.wait(self._running, timeout=_PATIENCE_S)
                for run in tuple(self._live.values()):
                    run.cancel(_STOPPED)
                late = (await asyncio.wait(self._running, timeout=_LEAVING_S))[1] if self._running else set()
                for task in late:
                    log.warning("%s: it did not end in time and is cut off", task.get_name())
                    task.cancel()
        finally:
            self._over.set()

    async def stop(self) -> None:
        """Let the runs under way end, cancel those that do not, and wait for them; none is begun any more."""
        self._stopping.set()
        await self._over.wait()

    # ---- words ----

    async def start(self, asked: Asked, words: tuple[str, ...]) -> Run:
        """Have the agent answer these words, after the turns before.

        Raises NotFound, Conflict if calls of the user wait to be answered first, InvalidRequest, Busy, ModelError,
        StoreError.
        """
        agent = await read_agent(self._parts.directory, asked.agent_id)
        pair = Pair(agent.id, asked.user)
        ref = TurnRef(pair, self._store.new_id(pair), secrets.token_hex(8), 0)
        plan = self._orders.begun(asked, agent, ref, words, self._way_out())
        async with self._opened(pair) as conversation:
            # Every run of the user has the conversation open, and so has every request for one.
            if len(self._live) >= _MOST or conversation.sessions > _MOST_OF_ONE:
                raise Busy("too much is under way already")
            if conversation.journal.full:
                raise StoreDown("the store is away and no more can be held for it")
            epoch = await self._parts.store.open_session(pair, ref.session_id, self._parts.owner)
            refuse_words(await self._store.suspended(pair))
            return await self._begin(plan, copy(plan.order, ref=replace(ref, epoch=epoch)))

    async def preview(self, asked: Asked, words: tuple[str, ...]) -> Preview:
        """What the provider would be sent for these words, secrets masked.

        Raises as `start`, and Conflict where no model would be asked.
        """
        agent = await read_agent(self._parts.directory, asked.agent_id)
        ref = TurnRef(Pair(agent.id, asked.user), "dry-run", "dry-run", 0)
        plan = self._orders.begun(asked, agent, ref, words, self._way_out())
        wiring = plan.wiring
        async with self._opened(ref.pair) as conversation, conversation.turns:
            refuse_words(await self._store.suspended(ref.pair))
            conversation.buffer = wiring.buffer(conversation.blocks)
            work = Work("answer", ref.turn_id, ref, plan.order.opening, wiring.clock.now())
            setup = wiring.setup(work, conversation.history(), conversation.blocks)
        setup = replace(setup, max_steps=plan.order.max_steps or wiring.agent.run_steps)
        outputs = Turn(setup).begin(wiring.clock.now())
        asks = [output.request for output in outputs if isinstance(output, ev.CallModel)]
        if not asks:
            why = [output.message for output in outputs if isinstance(output, ev.Failed)]
            raise Conflict("; ".join(why) or "no model would be asked")
        preview = wiring.model.preview(asks[0])
        return replace(preview, body=masked_json(preview.body, Secrets(agent.secret_values())))

    # ---- answers ----

    async def answer(self, asked: Asked, given: tuple[Given, ...]) -> Run | RunRecord:
        """Go on with the run whose calls these answer. A run that has the answers already is answered as it stands.

        Raises NotFound, Conflict if no run of the user waits, InvalidRequest for answers that it does not wait for.
        """
        agent = await read_agent(self._parts.directory, asked.agent_id)
        until = self._parts.clock.now() + _ELSEWHERE_S
        async with self._opened(Pair(agent.id, asked.user)) as conversation:
            while True:
                # Two that ask at once would both be given the turn.
                async with conversation.answering:
                    waiting = await self._store.suspended(conversation.pair)
                    if waiting is not None and concerned(waiting, given):
                        answers = awaited(waiting.suspension, given)
                        if not answers:
                            return await self.find(waiting.ref.session_id)
                        run = await self._resume(asked, agent, waiting, answers)
                        if run is not None:
                            return run
                had = await self._had(conversation.pair, given)
                if isinstance(had, Run) or (had is not None and had.status not in _UNDER_WAY):
                    return had
                if (other := self._under_way(conversation.pair, None if had else ids_of(given))) is not None:
                    await other.is_done()
                elif had is None:
                    refuse_answers(waiting, given)
                elif self._parts.clock.now() > until:
                    return had
                else:
                    await asyncio.sleep(_LOOK_S)

    async def _resume(self, asked: Asked, agent: Agent, waiting: Suspended, answers: tuple[Answer, ...]) -> Run | None:
        """None: another process was faster."""
        record = await self._store.read_run(waiting.ref.session_id)
        plan = self._orders.resumed(asked, agent, waiting, record, self._way_out())
        ref = await self._store.resume_turn(waiting, self._parts.owner)
        if ref is None:
            return None
        results = as_results(answers, waiting.suspension, plan.wiring.tools)
        return await self._begin(plan, copy(plan.order, ref=ref, resumed=Resumed(waiting.suspension, results)))

    async def _had(self, pair: Pair, given: tuple[Given, ...]) -> Run | RunRecord | None:
        """The run that was gone on with last, if these answers are to its calls; the live one if it began with them."""
        run_id = await self._store.last_answered(pair)
        if run_id is None:
            return None
        live = self._live.get(run_id)
        if live is not None and not live.done.is_set() and ids_of(given) <= live.answered:
            return live
        record = live.record if live is not None else await self._store.read_run(run_id)
        return record if record is not None and ids_of(given) <= calls_in(record.messages) else None

    def _under_way(self, pair: Pair, asking: frozenset[str] | None) -> Run | None:
        """The user's run that goes on; with `asking`, one that has asked for one of these calls."""
        going = (run for run in self._live.values() if run.pair == pair and not run.done.is_set())
        return next((run for run in going if asking is None or asking & run.asked), None)

    # ---- runs by their id ----

    async def find(self, run_id: str) -> RunRecord:
        """The run as it stands. Raises NotFound, StoreError."""
        live = self._live.get(run_id)
        record = live.record if live is not None else await self._store.read_run(run_id)
        if record is None:
            raise NotFound(f"there is no run {run_id!r}")
        return record

    async def cancel(self, run_id: str) -> RunRecord:
        """End the run, wherever it goes on or waits; returns how it stands then, which may be as it ended before.

        Raises NotFound, StoreError.
        """
        until = self._parts.clock.now() + _ELSEWHERE_S
        told = False
        while True:
            live = self._live.get(run_id)
            if live is not None and not live.done.is_set():
                live.cancel()
                await live.is_done()
            record = await self.find(run_id)
            if record.status == "requires_approval":
                record = await self._closed(record)
            if record.status not in _UNDER_WAY or self._parts.clock.now() > until:
                return record
            if record.status == "running" and not told:
                await self._store.ask_cancel(record)
                told = True
            await asyncio.sleep(_LOOK_S)

    async def _closed(self, record: RunRecord) -> RunRecord:
        """End a run that waits; the record as it is, if somebody else takes the run up at this moment."""
        owner = self._parts.owner
        async with self._opened(Pair(record.agent, record.user)) as conversation, conversation.answering:
            waiting = await self._store.suspended(conversation.pair)
            if waiting is None or waiting.ref.session_id != record.id:
                return record
            ref = await self._store.resume_turn(waiting, owner)
            if ref is None:
                return record
            account = Account(replace(record, slot=owner.slot, incarnation=owner.incarnation))
            resumed = Resumed(waiting.suspension, ())
            order = Order(ref, waiting.suspension.opening, self._parts.clock.now(), self._orders.kept_s, resumed)
            filing = Filing(order, account, conversation, self._store, self._parts.clock)
            filing.close("cancelled")
            await filing.is_done()
            return filing.record

    def _on_cancel(self, run_id: str) -> None:
        if run_id in self._live:
            self._live[run_id].cancel()

    # ---- bits ----

    def _way_out(self) -> Outward:
        if self._outward is None or self._stopping.is_set():
            raise GoingAway("this process is going away")
        return self._outward

    @asynccontextmanager
    async def _opened(self, pair: Pair) -> AsyncIterator[Conversation]:
        if self._stopping.is_set():
            raise GoingAway("this process is going away")
        conversation = await self._parts.conversations.open(pair)
        try:
            yield conversation
        finally:
            self._parts.conversations.close(conversation)

    async def _begin(self, plan: Plan, order: Order) -> Run:
        """It is under way, and its place among the turns is that of this call."""
        if self._tasks is None or self._over.is_set():
            raise GoingAway("this process is going away")
        conversation = await self._parts.conversations.open(order.ref.pair)
        run = Run(order, plan.account, plan.wiring, conversation, self._store)
        run.listeners.add(self._observe)
        self._live[run.id] = run
        if self._stopping.is_set():
            run.cancel(_STOPPED)
        idle_s = plan.wiring.agent.sleeptime.idle_after_s
        task = self._tasks.create_task(self._run(run, conversation, idle_s), name=f"run {run.id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return run

    async def _run(self, run: Run, conversation: Conversation, idle_s: float) -> None:
        try:
            await run.run()
        except Exception:
            log.exception("run %s failed", run.id)
            run.fail()
            await run.done.wait()
        finally:
            run.give_up()
            if self._live.get(run.id) is run:
                del self._live[run.id]
            self._parts.conversations.close(conversation)
            self._silences.begin(run.pair, idle_s)

    def _observe(self, told: Told) -> None:
        if not isinstance(told, ev.SaveStep | RunRecord):
            self._parts.telemetry.observe(told)
