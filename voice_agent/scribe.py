"""What a session writes down: turns as they begin, step by step, and whole at their end; notes that none answers."""

import secrets
from collections.abc import Callable

import msgspec

from voice_agent import events as ev
from voice_agent.clock import Clock
from voice_agent.conversation import Conversation
from voice_agent.live_turn import Work
from voice_agent.messages import Message, Role, TurnRecord
from voice_agent.store.base import OpenTurn, Owner, TurnRef


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
        return self._work(event.turn_id or secrets.token_hex(8), event.revision, self._messages("user", event.text))

    def say(self, event: ev.SayRequested) -> Work:
        """Work that says given words."""
        return self._work(secrets.token_hex(8), words=(event.text, event.kind), guard=not event.interruptible)

    def note(self, text: str) -> Work:
        """Work that keeps a note for the agent and says nothing."""
        return self._work(secrets.token_hex(8), opening=self._messages("context", text), silent=True)

    def begin(self, work: Work) -> None:
        """Journal the user's words, beside the request and not before it. Merged words overwrite the first ones."""
        turn = OpenTurn(work.ref, self._owner, work.revision, self._started_at(work), work.opening)
        self._conversation.journal.submit(lambda: self._conversation.store.begin_turn(turn))

    def step(self, work: Work, step: ev.SaveStep) -> None:
        """Journal a finished step."""
        store = self._conversation.store
        self._conversation.journal.submit(lambda: store.save_step(work.ref, step.index, step.messages))

    def end(self, work: Work, event: ev.TurnEnded, then: Callable[[bool], None]) -> None:
        """Move an ended turn into the log; `then` learns whether it is stored, or fenced off."""
        record = self._record(work, event.reason, event.messages)
        record = msgspec.structs.replace(record, usage=event.usage, latency=event.latency)
        self._conversation.journal.submit(lambda: self._conversation.store.commit_turn(work.ref, record), then)

    def keep(self, work: Work) -> None:
        """Put words that no turn answers into window and log: a note, or the last thing said before hanging up."""
        record = self._record(work, "end_turn" if work.silent else "cancelled", work.opening)
        self._conversation.append(work.opening)
        self._conversation.journal.submit(lambda: self._conversation.store.commit_turn(work.ref, record))

    def _record(self, work: Work, reason: str, messages: tuple[Message, ...]) -> TurnRecord:
        return TurnRecord(key=work.ref.key, reason=reason, messages=messages, started_at=self._started_at(work))

    def _started_at(self, work: Work) -> float:
        return round(self._clock.wall() - self._clock.now() + work.received_at, 3)

    def _messages(self, role: Role, text: str) -> tuple[Message, ...]:
        return (Message(role=role, text=text, at=round(self._clock.wall(), 3)),)

    def _work(
        self,
        turn_id: str,
        revision: int = 0,
        opening: tuple[Message, ...] = (),
        *,
        words: tuple[str, ev.SpeechKind] | None = None,
        silent: bool = False,
        guard: bool = False,
    ) -> Work:
        # A turn that comes again in a later revision is another turn to the store.
        stored_as = turn_id if not revision else f"{turn_id}.r{revision}"
        ref = TurnRef(self._conversation.pair, self._session_id, stored_as, self._epoch)
        return Work(turn_id, ref, opening, self._clock.now(), revision, words, silent, guard)
