"""One conversation with a caller: takes what the user does, runs one turn at a time, keeps what was said.

LISTENING: waiting for the user. RESPONDING: a turn is live. CLOSED: over. `handle` decides at once and never waits;
what is to be told goes to the `Sink` in the same call, but for `TurnEnded`, which waits until the turn is stored.
"""

import asyncio
import logging
import secrets
from collections import deque
from dataclasses import replace
from enum import Enum, auto
from typing import assert_never

import msgspec

from voice_agent import events as ev
from voice_agent.conversation import Conversation
from voice_agent.live_turn import LiveTurn, Sink
from voice_agent.marks import Marks
from voice_agent.messages import Part
from voice_agent.past_turns import PastTurns
from voice_agent.run import run_turn
from voice_agent.scribe import Scribe
from voice_agent.store.base import Fenced
from voice_agent.turn_setup import TurnSetup
from voice_agent.voice import Voice
from voice_agent.wiring import Wiring
from voice_agent.work import Work

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
        self._wiring = wiring
        self._scribe = Scribe(session_id, epoch, wiring.owner, conversation, wiring.clock)
        self._sink = sink
        self._queue: deque[Work] = deque()
        self._wake = asyncio.Event()
        self._live: LiveTurn | None = None
        self._past = PastTurns()
        self._marks = Marks(session_id, conversation, self._past, sink, wiring.clock)
        self._left: str | None = None
        self._last_note = ""
        self._voice = Voice(wiring.clock)
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
            case ev.UserInterrupted():
                self._on_interrupted(event)
            case ev.PlaybackMoved():
                self._on_playback(event)
            case ev.ToolReturned(call_id=call_id):
                self._sink.emit(
                    ev.Failed("unknown_id", f"no tool call {call_id!r} waits for a result", field="call_id")
                )
            case ev.ContextAdded(text=text):
                if text != self._last_note and self._may_begin():
                    self._last_note = text
                    self._enqueue(self._scribe.note(text))
            case ev.SayRequested():
                if self._may_begin():
                    self._enqueue(self._scribe.say(event))
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
        live = self._live
        place = self._waiting_answer()
        if place is not None and self._queue[place].takes_words:
            self._queue[place] = self._joined(self._queue[place], event)
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
            self._enqueue(work)

    def _joined(self, work: Work, event: ev.UserSpoke) -> Work:
        """The work with a further final text taken in; its journalled words follow."""
        joined = work.with_words(event)
        if event.turn_id is not None:
            self._past.took(event.turn_id, event.revision, work.turn_id, work.ref.key)
        self._past.took(work.turn_id, joined.revision, work.turn_id, work.ref.key)
        self._scribe.begin(joined)
        return joined

    def _may_begin(self, turn_id: str | None = None) -> bool:
        if self.conversation.journal.full:
            text = "the store is away and no more can be held for it"
            self._sink.emit(ev.Failed("store", text, retryable=True, turn_id=turn_id))
            return False
        return True

    def _waiting_answer(self) -> int | None:
        """The place in the queue of the last answer that has not begun."""
        return next((i for i in reversed(range(len(self._queue))) if self._queue[i].kind == "answer"), None)

    def _on_interrupted(self, event: ev.UserInterrupted) -> None:
        turn_id = self._past.resolve(event.turn_id)
        place = self._waiting_answer()
        work = self._live.work if self._live else None if place is None else self._queue[place]
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
            self._wake.set()
            if event.done:
                self._leave("agent")

    def _cut_in(self, event: ev.UserInterrupted) -> None:
        """The caller cuts into the live turn, or into the answer that is about to begin: no more words join it."""
        place = self._waiting_answer()
        if self._live is not None:
            work = self._live.work = replace(self._live.work, cut=True)
        elif place is not None:
            work = self._queue[place] = replace(self._queue[place], cut=True)
        else:
            return
        work.inbox.put(msgspec.structs.replace(event, unsent=self._sink.recall(work.turn_id)))

    def _stay(self) -> None:
        """Whoever still speaks is not hung up on."""
        self._voice.last_turn = None
        self._wake.set()

    def _leave(self, reason: str) -> None:
        self._left = reason
        self.conversation.calls -= 1
        if self._live is not None:
            unsent = self._sink.recall(self._live.work.turn_id)
            self._live.work.inbox.put(ev.UserLeft(reason, unsent))
        waiting, self._queue = self._queue, deque()
        for work in waiting:
            if work.opening:
                self._scribe.keep(work)
        self._wake.set()

    # ---- turns ----

    async def run(self) -> None:
        """Until the session is left; returns when the last tool that was let run on has finished, too."""
        async with asyncio.TaskGroup() as tasks:
            warming = tasks.create_task(self._wiring.model.warm())
            while await self._has_work():
                async with self.conversation.turns:
                    if self._queue:
                        await self._perform(self._queue.popleft(), tasks)
            warming.cancel()
            await self._say_goodbye()

    async def _has_work(self) -> bool:
        while not self._queue and self._left is None:
            self._wake.clear()
            try:
                async with asyncio.timeout(self._voice.hang_up_in()):
                    await self._wake.wait()
            except TimeoutError:
                self._leave("agent")
        return self._left is None

    async def _perform(self, work: Work, tasks: asyncio.TaskGroup) -> None:
        if work.kind == "note":
            self._scribe.keep(work)
            return
        if work.kind == "answer":
            self.conversation.freeze()
        live = self._live = LiveTurn(work, self._setup(work), self)
        tasks.create_task(self._run_turn(live))
        await live.over.wait()

    async def _run_turn(self, live: LiveTurn) -> None:
        wiring = self._wiring
        runner = wiring.runner(live.work.turn_id)
        await run_turn(live.turn, wiring.model, runner, live.work.inbox, live, wiring.clock)
        if not live.over.is_set():
            log.error("turn %s never ended", live.work.turn_id)
            self._live = None
            live.over.set()
            self._leave("internal")

    def _setup(self, work: Work) -> TurnSetup:
        wiring = self._wiring
        return TurnSetup(
            turn_id=work.turn_id,
            prompt=wiring.prompt,
            history=self.conversation.window,
            opening=work.opening,
            tools=wiring.tools,
            call_prefix=secrets.token_hex(5),
            received_at=work.received_at,
            wall_offset=wiring.clock.wall() - wiring.clock.now(),
            revision=work.revision,
            max_steps=wiring.agent.max_steps,
            stall_s=wiring.agent.voice.stall_timeout_ms / 1000,
            failure_notice=wiring.agent.voice.failure_notice,
            words=work.speech,
        )

    async def _say_goodbye(self) -> None:
        """Last words wait for what is unstored, but not for ever: the journal outlives the session."""
        try:
            async with asyncio.timeout(_CLOSING_S):
                await self.conversation.journal.drained()
        except TimeoutError:
            self._sink.emit(ev.Failed("store", "the last turn is not stored yet; it is kept until it is"))
        self._sink.emit(ev.SessionEnded(self._left or "client"))

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
            self._enqueue(note)
        else:
            self._scribe.keep(note)

    def _on_ended(self, live: LiveTurn, event: ev.TurnEnded) -> None:
        self._live = None
        live.over.set()
        work, ended_at = live.work, self._wiring.clock.now()
        cut = event.reason in ("interrupted", "cancelled")
        self._voice.said(event, work.received_at)
        if cut or live.turn.ledger.played:
            self._voice.stopped()
        guarded_until = self._voice.until if work.guard else 0.0
        self.conversation.append_turn(live.turn, work.ref, event.messages, cut=cut, guarded_until=guarded_until)
        self._scribe.end(work, event, lambda fault: self._on_stored(live, event, ended_at, fault))
        if event.hang_up:
            self._voice.last_turn = work.turn_id

    def _on_stored(self, live: LiveTurn, event: ev.TurnEnded, ended_at: float, fault: Exception | None) -> None:
        if fault is not None:
            fenced = isinstance(fault, Fenced)
            why = "another process has taken this session over" if fenced else "the turn could not be stored"
            self._sink.emit(ev.Failed("store", why, turn_id=event.turn_id))
            self._leave("fenced" if fenced else "internal")
            return
        took = round((self._wiring.clock.now() - ended_at) * 1000, 3)
        latency = msgspec.structs.replace(
            event.latency,
            total=round(event.latency.total + took, 3),
            parts=(*event.latency.parts, Part("store", took)),
        )
        event = msgspec.structs.replace(event, heard=live.turn.ledger.heard, latency=latency)
        self._past.stored(event, live.work.ref.key)
        self._sink.emit(event)

    def _enqueue(self, work: Work) -> None:
        self._queue.append(work)
        self._wake.set()
