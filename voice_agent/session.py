"""One conversation with a caller: takes what the user does, runs one turn at a time, keeps what was said.

`handle` decides at once and never waits;
what is to be told goes to the `Sink` in the same call, but for `TurnEnded`, which waits until the turn is stored.
"""

import asyncio
import logging
from dataclasses import replace
from typing import assert_never

import msgspec

from voice_agent import events as ev
from voice_agent.answers import pass_on
from voice_agent.conversation import Conversation
from voice_agent.floor import Floor
from voice_agent.interruptions import Interruptions
from voice_agent.live_turn import LiveTurn, Sink, TurnTools
from voice_agent.marks import Marks
from voice_agent.messages import Usage
from voice_agent.past_turns import PastTurns
from voice_agent.scribe import Scribe
from voice_agent.speculation.speculation import Plan
from voice_agent.speculation.speculations import Speculations
from voice_agent.store.base import Fenced
from voice_agent.store.memory import Change
from voice_agent.turn_setup import TurnSetup
from voice_agent.wiring import Wiring
from voice_agent.work import Agenda, Work

log = logging.getLogger(__name__)
_CLOSING_S = 2.0


class Session:
    """`run` must be running for turns to happen; `handle` may be called at any time, from the loop's thread."""

    def __init__(self, session_id: str, epoch: int, wiring: Wiring, conversation: Conversation, sink: Sink) -> None:
        self.id = session_id
        self.conversation = conversation
        self.wiring = wiring  # may be replaced by another of this agent: turns that begin later work with it
        self.floor = Floor(wiring.agent, wiring.clock)
        self._scribe = Scribe(session_id, epoch, wiring.owner, conversation, wiring.clock)
        self._sink = sink
        self._agenda = Agenda()
        self._live: LiveTurn | None = None
        self._past = PastTurns()
        marks = Marks(session_id, conversation, self._past, sink, wiring.clock)
        self._cuts = Interruptions(marks, self._past, sink, self._agenda, self.floor, wiring.agent.voice)
        self._tasks: asyncio.TaskGroup | None = None
        self._guesses: Speculations | None = None
        self._left: str | None = None
        self._last_note = ""
        conversation.buffer = wiring.buffer(conversation.blocks)
        conversation.listeners.add(self._on_memory)
        conversation.calls += 1

    # ---- what the user does ----

    def handle(self, event: ev.UserEvent) -> None:
        """Take an event. After the end of the session they are dropped."""
        if self._left is not None:
            return
        match event:
            case ev.UserSpoke():
                self._on_spoken(event)
            case ev.UserPressed(digits=digits):
                self._on_words(ev.UserSpoke(f"[pressed {' '.join(digits)}]"))
            case ev.UserInterrupted():
                self._cuts.interrupted(self._live, event)
            case ev.PlaybackMoved():
                if (how := self._cuts.played(self._live, event)) is not None:
                    self._leave(how)
            case ev.ToolReturned() | ev.ApprovalGiven():
                pass_on(event, self._live, self._sink)
            case ev.ContextAdded(text=text):
                if text != self._last_note and self._may_begin():
                    self._last_note = text
                    self._agenda.add(self._scribe.note(text))
            case ev.SayRequested():
                if self._may_begin():
                    self._cuts.forget_rest()
                    self._agenda.add(self._known(self._scribe.say(event)))
            case ev.UserLeft():
                self._leave(event.reason)
            case _:
                assert_never(event)

    def attend(self, *, there: bool) -> None:
        """Whether somebody is there to hear: nobody else is asked why they are silent."""
        self.floor.attend(there=there)
        self._agenda.wake()

    def _on_spoken(self, event: ev.UserSpoke) -> None:
        if event.turn_id is not None and self._past.has_taken(event.turn_id, event.revision):
            if event.final:
                self._past.tell_end(event.turn_id, self._sink.emit)
            return
        is_aside = self._cuts.is_aside(event, self.wiring.manner.min_words)
        if event.final and is_aside:
            self._on_aside(event)
        elif event.final:
            self._on_words(event)
        elif event.text and not is_aside:
            self._cuts.spoke()
            self._guess(event)

    def _guess(self, event: ev.UserSpoke) -> None:
        """Think about an interim text. Most sessions never have one."""
        wiring = self.wiring
        if self._guesses is None and self._tasks is not None and wiring.agent.voice.speculation:
            self._guesses = Speculations(self._tasks, wiring.clock, self._past.has_taken, self._plan, wiring.report)
        if self._guesses is not None:
            self._guesses.interim(event)

    def _on_aside(self, event: ev.UserSpoke) -> None:
        """Words that interrupt nobody: the agent goes on, and knows of them from its next turn on."""
        self.floor.caller_listens()
        if self._may_begin(event.turn_id):
            self._agenda.add(self._known(self._scribe.aside(event)))

    def _on_words(self, event: ev.UserSpoke) -> None:
        self._cuts.spoke()
        if not self._may_begin(event.turn_id):
            return
        guess = self._guesses.final(event) if self._guesses is not None else None
        live, waiting = self._live, self._agenda.answer
        if waiting is not None and waiting.takes_words:
            self._agenda.answer = self._joined(waiting, event)
        elif live is not None and live.work.takes_words and live.turn.untouched:
            live.work = self._joined(live.work, event)
            text = live.work.opening[-1].text
            live.work.inbox.put(ev.UserSpoke(text, turn_id=live.work.turn_id, revision=live.work.revision))
        else:
            self._cuts.talked_over(live)
            if guess is not None:
                event = guess.final(event)
            work = replace(self._known(self._scribe.answer(event)), ahead=guess)
            self._scribe.begin(work)
            self._agenda.add(work)

    def _joined(self, work: Work, event: ev.UserSpoke) -> Work:
        """The work with a further final text taken in; its journalled words follow."""
        joined = self._known(work.with_words(event))
        if event.turn_id is not None:
            self._past.took(event.turn_id, event.revision, work.turn_id, work.ref.key)
        self._scribe.begin(joined)
        return joined

    def _known(self, work: Work) -> Work:
        """The work, of whose turn the client may speak from now on."""
        self._past.took(work.turn_id, work.revision, work.turn_id, work.ref.key)
        return work

    def _may_begin(self, turn_id: str | None = None) -> bool:
        full = self.conversation.journal.full
        if full:
            self._sink.emit(ev.Failed("store", "the store is away and no more can be held for it", True, turn_id))
        return not full

    def _leave(self, reason: str) -> None:
        self._left = reason
        self.conversation.calls -= 1
        self.conversation.listeners.discard(self._on_memory)
        self._cuts.forget_rest()
        if self._guesses is not None:
            self._guesses.close()
        if (live := self._live) is not None:
            live.work.inbox.put(ev.UserLeft(reason, self._sink.recall(live.work.turn_id)))
        for work in self._agenda.clear():
            if work.kind in ("answer", "note"):
                self._scribe.keep(work)
        self._agenda.wake()

    # ---- turns ----

    async def run(self) -> None:
        """Until the session is left; returns when the last tool that was let run on has finished, too."""
        async with asyncio.TaskGroup() as tasks:
            warming = tasks.create_task(self.wiring.warm())
            self._tasks = tasks
            while await self._has_work():
                async with self.conversation.turns:
                    if (work := self._agenda.take()) is not None:
                        await self._perform(work, tasks)
            warming.cancel()
            await self._say_goodbye()

    async def _has_work(self) -> bool:
        while self._agenda.empty and self._left is None:
            if not await self._agenda.changes_in(self.floor.due_in()):
                self._on_time()
        return self._left is None

    def _on_time(self) -> None:
        match self.floor.on_time():
            case "hang up":
                self._leave(self.floor.voice.then)
            case "resume" if (rest := self._cuts.take_rest()) is not None:
                self._agenda.add(self._known(self._scribe.resume(rest)))
            case "remind":
                self._agenda.add(self._known(self._scribe.remind(self.wiring.agent.voice.idle_reminder_s or 0.0)))
            case "consolidate":
                self.conversation.consolidate("idle")

    async def _perform(self, work: Work, tasks: asyncio.TaskGroup) -> None:
        if self._guesses is not None:
            self._guesses.drop()  # what was thought about is not what will be asked
        if work.kind == "note":
            self._scribe.keep(work)
            return
        if work.kind != "say":
            self.conversation.freeze()
        if work.kind in ("remind", "resume"):
            self._scribe.begin(work)
        wiring, shown = self.wiring, self.conversation.in_prompt
        resumable = wiring.agent.voice.resume_after_ms > 0
        live = self._live = LiveTurn(work, self._setup(work), self, self._sink, resumable=resumable)
        self.floor.began(live.turn.ledger)
        tools = TurnTools(lambda: wiring.runner(live.work, shown(live.turn.history.dropped)))
        await live.run(wiring.model, tools, wiring.clock, tasks)
        if self._live is live:
            log.error("turn %s never ended", work.turn_id)
            self._live = None
            self._leave("internal")

    def _setup(self, work: Work) -> TurnSetup:
        setup = self.wiring.setup(work, self.conversation.history(), self.conversation.blocks)
        return msgspec.structs.replace(setup, rate=self.floor.rate, free_at=self.floor.voice.until)

    def _plan(self, spoke: ev.UserSpoke) -> Plan | None:
        """With what an interim text is thought about; None: something else is to be done, or said, first."""
        busy = self._live is not None or not self._agenda.empty or self.conversation.turns.locked()
        if busy or self._left is not None or self.conversation.journal.full:
            return None
        work, wiring, in_prompt = self._scribe.answer(spoke), self.wiring, self.conversation.in_prompt
        return Plan(self._setup(work), wiring.model, TurnTools(lambda: wiring.runner(work, in_prompt())))

    async def _say_goodbye(self) -> None:
        """Last words wait for what is unstored, but not for ever: the journal outlives the session."""
        self.conversation.consolidate("session_end")
        if not await self.conversation.is_stored_in(_CLOSING_S):
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
        note = self._scribe.late(finished, output)
        self.floor.tool_ended()
        if self._left is None:
            self._sink.emit(finished)
            self._agenda.add(note)
        else:
            self._scribe.keep(note)

    def _on_ended(self, live: LiveTurn, event: ev.TurnEnded) -> None:
        self._live = None
        work, ended_at, cut = live.work, self.wiring.clock.now(), event.reason in ("interrupted", "cancelled")
        latency = event.latency.until(ended_at - work.received_at, "gateway")
        if work.ahead is not None:
            work.ahead.close()
        wasted = self._guesses.take_wasted() if self._guesses is not None else Usage()
        event = msgspec.structs.replace(event, latency=latency, wasted=wasted)
        guarded_until = self.floor.voice.until if work.guard else 0.0
        self.conversation.append_turn(live.turn, work.ref, event.messages, cut=cut, guarded_until=guarded_until)
        self.floor.turn_ended(live.outliving, answers=work.kind == "answer")
        self._scribe.end(work, event, lambda fault: self._on_stored(live, event, fault))
        if leaves := event.leaves or work.leaves:
            self.floor.voice.leave_after(work.turn_id, leaves)

    def _on_stored(self, live: LiveTurn, event: ev.TurnEnded, fault: Exception | None) -> None:
        if fault is not None:
            fenced = isinstance(fault, Fenced)
            why = "another process has taken this session over" if fenced else "the turn could not be stored"
            self._sink.emit(ev.Failed("store", why, turn_id=event.turn_id))
            self._leave("fenced" if fenced else "internal")
            return
        latency = event.latency.until(self.wiring.clock.now() - live.work.received_at, "store")
        event = msgspec.structs.replace(event, heard=live.turn.ledger.heard, latency=latency)
        self._past.stored(event, live.work.ref.key)
        self._sink.emit(event)
