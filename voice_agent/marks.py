"""Marks that come after a turn has ended, the usual case: the model is done in a second, the speech lasts twenty."""

from voice_agent import events as ev
from voice_agent.clock import Clock
from voice_agent.conversation import Conversation, Tail
from voice_agent.heard import Ledger
from voice_agent.live_turn import Sink
from voice_agent.past_turns import PastTurns


class Marks:
    """They move what was heard, in the window at once and in the log, until the next request freezes it."""

    def __init__(self, session_id: str, conversation: Conversation, past: PastTurns, sink: Sink, clock: Clock) -> None:
        self._session_id = session_id
        self._conversation = conversation
        self._past = past
        self._sink = sink
        self._clock = clock

    def interrupted(self, turn_id: str | None, mark: ev.Mark | None) -> bool:
        """The caller cut into the speech of a turn (None: the last one). False: there was nothing to be cut into."""
        tail, now = self._tail(turn_id), self._clock.now()
        if tail is None or now < tail.guarded_until:
            return False
        ledger = tail.turn.ledger
        before, unsent = ledger.heard, self._sink.recall(tail.turn.setup.turn_id)
        ledger.interrupt(mark, unsent=unsent, now=now)
        self._moved(tail, before)
        self._conversation.keep_heard(tail)
        return True

    def played(self, event: ev.PlaybackMoved, turn_id: str) -> Ledger | None:
        """The caller has heard a turn this far; returns its ledger, if it can still move."""
        tail = self._tail(turn_id)
        if tail is None:
            return None
        ledger = tail.turn.ledger
        before = ledger.heard
        ledger.move(event.heard, done=event.done, now=self._clock.now())
        if event.done:
            tail.guarded_until = 0.0
        self._moved(tail, before)
        return ledger

    def _tail(self, turn_id: str | None) -> Tail | None:
        """The turn a mark is about; None when it is frozen, and with an error event if there never was one."""
        tail = self._conversation.tail(self._session_id, turn_id)
        if tail is None and turn_id is not None and not self._past.knows(turn_id):
            self._sink.emit(ev.Failed("unknown_id", f"there is no turn {turn_id!r}", field="turn_id"))
        return tail

    def _moved(self, tail: Tail, before: str) -> None:
        heard, turn_id = tail.turn.ledger.heard, tail.turn.setup.turn_id
        if heard == before:
            return
        self._conversation.resettle(tail)
        # A turn that is not stored yet has not ended for the client: its `turn.ended` will say what was heard.
        if self._past.ended(turn_id):
            self._sink.emit(ev.TurnHeard(turn_id, heard))
