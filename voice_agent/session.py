"""One conversation with a caller: takes what the user does, runs one turn at a time, keeps what was said.

LISTENING: waiting for the user. RESPONDING: a turn is live. CLOSED: over. `handle` decides at once and never waits;
what is to be told goes to the `Sink` in the same call, but for `TurnEnded`, which waits until the turn is stored.
"""

import asyncio
import logging
from dataclasses import replace
from enum import Enum, auto
from typing import assert_never

import msgspec

from voice_agent import events as ev
from voice_agent.answers import pass_on
from voice_agent.conversation import Conversation
from voice_agent.live_turn import LiveTurn, Sink, TurnTools
from voice_agent.marks import Marks
from voice_agent.past_turns import PastTurns
from voice_agent.run import TurnRun
from voice_agent.scribe import Scribe
from voice_agent.store.base import Fenced
from voice_agent.store.memory import Change
from voice_agent.voice import Voice
from voice_agent.wiring import Wiring
from voice_agent.work import Agenda, Work

log = logging.getLogger(__name__)
_CLOSING_S = 2.0


class SessionState(Enum):
    """Where a session stands."""

    LISTENING = auto()
    RESPONDING = auto()
    CLOSED = auto()


class Session:
    """`run` must be running for turns to happen; `handle` may be called at any time, from the loop's thread."""

    def __init__(self, session_id: str, epoch: int, wiring: Wiring, conversation: Conversation, sink: Sink) -> None:
        self.id = session_id
        self.conversation = conversation
        self.wiring = wiring  # may be replaced by another of this agent: turns that begin later work with it
        self._scribe = Scribe(session_id, epoch, wiring.owner, conversation, wiring.clock)
        self._sink = sink
        self._agenda = Agenda()
        self._live: LiveTurn | None = None
        self._past = PastTurns()
        self._marks = Marks(session_id, conversation, self._past, sink, wiring.clock)
        self._left: str | None = None
        self._last_note = ""
        self._voice = Voice(wiring.clock)
        self._idle_at: float | None = None
        conversation.buffer = wiring.buffer(conversation.blocks)
        conversation.listeners.add(self._on_memory)
        conversation.calls += 1

    @property
    def state(self) -> SessionState:
        if self._left is not None:
            return SessionState.CLOSED
        return SessionState.RESPONDING if self._live else SessionState.LISTENING

    # ---- what the user does ----

    def handle(self, event: ev.UserEvent) -> None:
        """Take an event. After the end of the session they are dropped."""
        if self._left is not None:
            return
        match event:
            case ev.UserSpoke():
                if event.final:
                    self._on_words(event)
            case ev.UserPressed(digits=digits):
                self._on_words(ev.UserSpoke(f"[pressed {' '.join(digits)}]"))
            case ev.UserInterrupted():
                self._on_interrupted(event)
            case ev.PlaybackMoved():
                self._on_playback(event)
            case ev.ToolReturned() | ev.ApprovalGiven():
                pass_on(event, self._live, self._sink)
            case ev.ContextAdded(text=text):
                if text != self._last_note and self._may_begin():
                    self._last_note = text
                    self._agenda.add(self._scribe.note(text))
            case ev.SayRequested():
                if self._may_begin():
                    self._agenda.add(self._scribe.say(event))
            case ev.UserLeft():
                self._leave(event.reason)
            case _:
                assert_never(event)

    def _on_words(self, event: ev.UserSpoke) -> None:
        if event.turn_id is not None and self._past.repeats(event.turn_id, event.revision, self._sink.emit):
            return
        if not self._may_begin(event.turn_id):
            return
        self._stay()
        live, waiting = self._live, self._agenda.answer
        if waiting is not None and waiting.takes_words:
            self._agenda.answer = self._joined(waiting, event)
        elif live is not None and live.work.takes_words and live.turn.untouched:
            live.work = self._joined(live.work, event)
            text = live.work.opening[-1].text
            live.work.inbox.put(ev.UserSpoke(text, turn_id=live.work.turn_id, revision=live.work.revision))
        else:
            if live is not None:
                self._cut_in(ev.UserInterrupted())
            work = self._scribe.answer(event)
            self._past.took(work.turn_id, event.revision, work.turn_id, work.ref.key)
            self._scribe.begin(work)
            self._agenda.add(work)

    def _joined(self, work: Work, event: ev.UserSpoke) -> Work:
        """The work with a further final text taken in; its journalled words follow."""
        joined = work.with_words(event)
        if event.turn_id is not None:
            self._past.took(event.turn_id, event.revision, work.turn_id, work.ref.key)
        self._past.took(work.turn_id, joined.revision, work.turn_id, work.ref.key)
        self._scribe.begin(joined)
        return joined

    def _may_begin(self, turn_id: str | None = None) -> bool:
        full = self.conversation.journal.full
        if full:
            self._sink.emit(ev.Failed("store", "the store is away and no more can be held for it", True, turn_id))
        return not full

    def _on_interrupted(self, event: ev.UserInterrupted) -> None:
        turn_id = self._past.resolve(event.turn_id)
        work = self._live.work if self._live else self._agenda.answer
        if work is not None and turn_id in (None, work.turn_id):
            self._cut_in(event)
        elif self._marks.interrupted(turn_id, event.heard):
            self._voice.stopped()
            self._stay()

    def _on_playback(self, event: ev.PlaybackMoved) -> None:
        turn_id = self._past.resolve(event.turn_id)
        if self._live is not None and turn_id == self._live.work.turn_id:
            self._live.work.inbox.put(event)
            return
        ledger = self._marks.played(event, turn_id)
        if ledger is not None and turn_id == self._voice.last_turn:
            self._voice.played(ledger)
            self._agenda.wake()
            if event.done:
                self._leave(self._voice.then)

    def _cut_in(self, event: ev.UserInterrupted) -> None:
        """The caller cuts into the live turn, or into the answer that is about to begin: no more words join it."""
        if self._live is not None:
            work = self._live.work = replace(self._live.work, cut=True)
        elif self._agenda.answer is not None:
            work = self._agenda.answer = replace(self._agenda.answer, cut=True)
        else:
            return
        work.inbox.put(msgspec.structs.replace(event, unsent=self._sink.recall(work.turn_id)))

    def _stay(self) -> None:
        """Whoever still speaks is not hung up on."""
        self._voice.last_turn = None
        self._agenda.wake()

    def _leave(self, reason: str) -> None:
        self._left = reason
        self.conversation.calls -= 1
        self.conversation.listeners.discard(self._on_memory)
        if self._live is not None:
            unsent = self._sink.recall(self._live.work.turn_id)
            self._live.work.inbox.put(ev.UserLeft(reason, unsent))
        for work in self._agenda.clear():
            if work.opening:
                self._scribe.keep(work)
        self._agenda.wake()

    # ---- turns ----

    async def run(self) -> None:
        """Until the session is left; returns when the last tool that was let run on has finished, too."""
        async with asyncio.TaskGroup() as tasks:
            warming = tasks.create_task(self.wiring.warm())
            while await self._has_work():
                async with self.conversation.turns:
                    if (work := self._agenda.take()) is not None:
                        await self._perform(work, tasks)
            warming.cancel()
            await self._say_goodbye()

    async def _has_work(self) -> bool:
        while self._agenda.empty and self._left is None:
            try:
                async with asyncio.timeout(self._next_deadline()):
                    await self._agenda.changed()
            except TimeoutError:
                self._on_deadline()
        return self._left is None

    def _next_deadline(self) -> float | None:
        """Seconds until the goodbye has been heard or the caller has been silent for long, if either is awaited."""
        now = self.wiring.clock.now()
        idle_in = None if self._idle_at is None else max(0.0, self._idle_at - now)
        return min((due for due in (self._voice.hang_up_in(), idle_in) if due is not None), default=None)

    def _on_deadline(self) -> None:
        if self._voice.hang_up_in() == 0.0:
            self._leave(self._voice.then)
        elif self._idle_at is not None and self.wiring.clock.now() >= self._idle_at:
            self._idle_at = None
            self.conversation.consolidate("idle")

    async def _perform(self, work: Work, tasks: asyncio.TaskGroup) -> None:
        if work.kind == "note":
            self._scribe.keep(work)
            return
        if work.kind == "answer":
            self.conversation.freeze()
        setup = self.wiring.setup(work, self.conversation.history(), self.conversation.blocks)
        live = self._live = LiveTurn(work, setup, self, self._sink)
        await self._run_turn(live, self.wiring, tasks)

    async def _run_turn(self, live: LiveTurn, wiring: Wiring, tasks: asyncio.TaskGroup) -> None:
        shown = self.conversation.in_prompt
        runner = TurnTools(lambda: wiring.runner(live.work, shown(live.turn.history.dropped)))
        run = TurnRun(live.turn, wiring.model, runner, live.work.inbox, live, wiring.clock)
        run.begin(tasks)
        await run.ended()
        if self._live is live:
            log.error("turn %s never ended", live.work.turn_id)
            self._live = None
            self._leave("internal")

    async def _say_goodbye(self) -> None:
        """Last words wait for what is unstored, but not for ever: the journal outlives the session."""
        self.conversation.consolidate("session_end")
        try:
            async with asyncio.timeout(_CLOSING_S):
                await self.conversation.journal.drained()
        except TimeoutError:
            self._sink.emit(ev.Failed("store", "the last turn is not stored yet; it is kept until it is"))
        self._sink.emit(ev.SessionEnded(self._left or "client"))

    def _on_memory(self, change: Change) -> None:
        if change.labels:  # turns that leave the window change nothing that the agent knows
            self._sink.emit(ev.MemoryUpdated(change.version, change.labels, change.lag_ms))

    # ---- what a live turn tells ----

    def on_turn_event(self, live: LiveTurn, event: ev.TurnEvent) -> None:
        """Pass it on; the end of the turn goes to the store first."""
        if isinstance(event, ev.TurnEnded):
            self._on_ended(live, event)
        else:
            self._sink.emit(event)

    def on_step(self, live: LiveTurn, step: ev.SaveStep) -> None:
        """Journal a finished step."""
        self._scribe.step(live.work, step)

    def on_late(self, finished: ev.ToolFinished, output: str) -> None:
        """What a tool brought after its turn was cut short goes to the model as a note."""
        how = "has finished" if finished.status == "ok" else f"has ended ({finished.status})"
        note = self._scribe.note(f"The tool {finished.name}, still running when the caller cut in, {how}: {output}")
        if self._left is None:
            self._sink.emit(finished)
            self._agenda.add(note)
        else:
            self._scribe.keep(note)

    def _on_ended(self, live: LiveTurn, event: ev.TurnEnded) -> None:
        self._live = None
        work, ended_at, cut = live.work, self.wiring.clock.now(), event.reason in ("interrupted", "cancelled")
        self._voice.said(event, work.received_at)
        if cut or live.turn.ledger.played:
            self._voice.stopped()
        guarded_until = self._voice.until if work.guard else 0.0
        self.conversation.append_turn(live.turn, work.ref, event.messages, cut=cut, guarded_until=guarded_until)
        self._idle_at = ended_at + self.wiring.agent.sleeptime.idle_after_s
        self._scribe.end(work, event, lambda fault: self._on_stored(live, event, ended_at, fault))
        if event.leaves:
            self._voice.leave_after(work.turn_id, event.leaves)

    def _on_stored(self, live: LiveTurn, event: ev.TurnEnded, ended_at: float, fault: Exception | None) -> None:
        if fault is not None:
            fenced = isinstance(fault, Fenced)
            why = "another process has taken this session over" if fenced else "the turn could not be stored"
            self._sink.emit(ev.Failed("store", why, turn_id=event.turn_id))
            self._leave("fenced" if fenced else "internal")
            return
        took = round((self.wiring.clock.now() - ended_at) * 1000, 3)
        heard, latency = live.turn.ledger.heard, event.latency.plus("store", took)
        event = msgspec.structs.replace(event, heard=heard, latency=latency)
        self._past.stored(event, live.work.ref.key)
        self._sink.emit(event)
