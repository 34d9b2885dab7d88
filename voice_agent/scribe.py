"""What a session writes down: turns as they begin, step by step, and whole at their end; notes that none answers."""

import secrets
from dataclasses import replace
from typing import Literal

import msgspec

from voice_agent import events as ev
from voice_agent.clock import Clock
from voice_agent.conversation import Conversation
from voice_agent.false_alarm import Rest
from voice_agent.journal import Then
from voice_agent.messages import Message, Role, TurnRecord, stored_id
from voice_agent.store.base import OpenTurn, Owner, TurnRef
from voice_agent.work import Work

_SILENCE = (
    "[The caller has said nothing for {seconds:g} seconds. Say one short thing that keeps the call going,"
    " or ask whether they are still there.]"
)


class Scribe:
    """All writes go through the conversation's journal: in order, behind the speech, until they are stored."""

    def __init__(self, session_id: str, epoch: int, owner: Owner, conversation: Conversation, clock: Clock) -> None:
        self._session_id = session_id
        self._epoch = epoch
        self._owner = owner
        self._conversation = conversation
        self._clock = clock

    def answer(self, event: ev.UserSpoke) -> Work:
        """Work that answers the user's words."""
        turn_id = event.turn_id or secrets.token_hex(8)
        return Work(
            "answer",
            turn_id,
            self._ref(turn_id, event.revision),
            self._messages("user", event.text),
            self._clock.now(),
            event.revision,
            texts=((turn_id, event.text),),
        )

    def remind(self, seconds: float) -> Work:
        """Work that says something into the caller's silence."""
        return self._unasked("remind", _SILENCE.format(seconds=seconds))

    def resume(self, rest: Rest) -> Work:
        """Work that goes on with a turn which nobody interrupted after all."""
        note = f"[It was no interruption. {'Go on.' if rest.asks else 'You went on.'}]"
        work = replace(self._unasked("resume", note), resumes=rest.turn_id, before=rest.done, leaves=rest.leaves)
        if rest.asks:
            return work
        return replace(work, ahead=rest) if rest.flows else replace(work, speech=(rest.words or "", "reply"))

    def _unasked(self, kind: Literal["remind", "resume"], note: str) -> Work:
        turn_id = secrets.token_hex(8)
        return Work(kind, turn_id, self._ref(turn_id), self._messages("context", note), self._clock.now())

    def say(self, event: ev.SayRequested) -> Work:
        """Work that says given words."""
        turn_id, speech = secrets.token_hex(8), (event.text, event.kind)
        guard = not event.interruptible
        return Work("say", turn_id, self._ref(turn_id), (), self._clock.now(), speech=speech, guard=guard)

    def note(self, text: str) -> Work:
        """Work that keeps a note for the agent and says nothing."""
        turn_id = secrets.token_hex(8)
        return Work("note", turn_id, self._ref(turn_id), self._messages("context", text), self._clock.now())

    def aside(self, event: ev.UserSpoke) -> Work:
        """Work that notes words which were not meant to interrupt the agent."""
        note = self.note(f'While you spoke, the caller said: "{event.text}"')
        turn_id = event.turn_id or note.turn_id
        return replace(note, turn_id=turn_id, revision=event.revision, ref=self._ref(turn_id, event.revision))

    def late(self, finished: ev.ToolFinished, output: str) -> Work:
        """Work that notes what a tool brought after its turn was cut short."""
        how = "has finished" if finished.status == "ok" else f"has ended ({finished.status})"
        return self.note(f"The tool {finished.name}, still running when the caller cut in, {how}: {output}")

    def begin(self, work: Work) -> None:
        """Journal the user's words, beside the request and not before it. Merged words overwrite the first ones."""
        turn = OpenTurn(work.ref, self._owner, work.revision, self._started_at(work), work.opening)
        self._conversation.journal.submit(lambda: self._conversation.store.begin_turn(turn))

    def step(self, work: Work, step: ev.SaveStep) -> None:
        """Journal a finished step."""
        store = self._conversation.store
        self._conversation.journal.submit(lambda: store.save_step(work.ref, step.index, step.messages))

    def end(self, work: Work, event: ev.TurnEnded, then: Then) -> None:
        """Move an ended turn into the log; `then` is told None when it is stored, or why it never will be."""
        record = self._record(work, event.reason, event.messages)
        record = msgspec.structs.replace(record, usage=event.usage, latency=event.latency)
        self._conversation.journal.submit(lambda: self._conversation.commit(work.ref, record), then)

    def keep(self, work: Work) -> None:
        """Put words that no turn answers into window and log: a note, or the last thing said before hanging up."""
        record = self._record(work, "end_turn" if work.kind == "note" else "cancelled", work.opening)
        self._conversation.append(work.ref.key, work.opening)
        self._conversation.journal.submit(lambda: self._conversation.commit(work.ref, record))

    def _record(self, work: Work, reason: str, messages: tuple[Message, ...]) -> TurnRecord:
        return TurnRecord(key=work.ref.key, reason=reason, messages=messages, started_at=self._started_at(work))

    def _started_at(self, work: Work) -> float:
        return round(self._clock.wall() - self._clock.now() + work.received_at, 3)

    def _messages(self, role: Role, text: str) -> tuple[Message, ...]:
        return (Message(role=role, text=text, at=round(self._clock.wall(), 3)),)

    def _ref(self, turn_id: str, revision: int = 0) -> TurnRef:
        return TurnRef(self._conversation.pair, self._session_id, stored_id(turn_id, revision), self._epoch)
