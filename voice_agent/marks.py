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
        self._tells_ends = False

    def interrupted(self, turn_id: str | None, mark: ev.Mark | None) -> list[Tail]:
        """The caller cut into the speech of a turn (None: the one heard now); returns it and what was to follow it.

        Of turns that were to be heard after it, as much counts as the estimate says.
        """
        now = self._clock.now()
        tails = self._heeding(turn_id, now)
        for tail in tails:
            self._stop(tail, mark, now)
            mark = None
        return tails

    def talked_over(self) -> None:
        """The caller's next words are here: what was still to be heard of the turns before is not.

        Only a client that tells of its playback has that; of any other's turns, all that was sent counts as heard.
        """
        now = self._clock.now()
        for tail in self._heeding(None, now):
            if self._tells_ends or tail.turn.ledger.moves:
                self._stop(tail, None, now)
            else:
                tail.turn.ledger.hush(now)

    def played(self, event: ev.PlaybackMoved, turn_id: str) -> Ledger | None:
        """The caller has heard a turn this far; returns its ledger, if it can still move."""
        now = self._clock.now()
        for tail in self._tails(turn_id, now)[:1]:
            ledger = tail.turn.ledger
            before = ledger.heard
            ledger.move(event.heard, done=event.done, now=now)
            if event.done:
                self._tells_ends, tail.guarded_until = True, 0.0
            self._moved(tail, before)
            return ledger
        return None

    def _stop(self, tail: Tail, mark: ev.Mark | None, now: float) -> None:
        ledger = tail.turn.ledger
        before, unsent = ledger.heard, self._sink.recall(tail.turn.setup.turn_id)
        ledger.interrupt(mark, unsent=unsent, now=now)
        self._moved(tail, before)
        self._conversation.keep_heard(tail)

    def _heeding(self, turn_id: str | None, now: float) -> list[Tail]:
        """Those of the `_tails` that can be interrupted."""
        return [tail for tail in self._tails(turn_id, now) if now >= tail.guarded_until]

    def _tails(self, turn_id: str | None, now: float) -> list[Tail]:
        """The turn that a mark is about, and those after it. None is frozen; if there never was one, that is an error.

        Without an id it is the turn that is heard now, or the last one.
        """
        tails = self._conversation.tails(self._session_id)
        if turn_id is None:
            heard = (n for n, tail in enumerate(tails) if tail.turn.ledger.silent_at(now) > now)
            return tails[next(heard, -1) :]
        about = next((n for n, tail in enumerate(tails) if tail.turn.setup.turn_id == turn_id), None)
        if about is None and not self._past.knows(turn_id):
            self._sink.emit(ev.Failed("unknown_id", f"there is no turn {turn_id!r}", field="turn_id"))
        return [] if about is None else tails[about:]

    def _moved(self, tail: Tail, before: str) -> None:
        heard, turn_id = tail.turn.ledger.heard, tail.turn.setup.turn_id
        if heard == before:
            return
        self._conversation.resettle(tail)
        # A turn that is not stored yet has not ended for the client: its `turn.ended` will say what was heard.
        if self._past.ended(turn_id):
            self._sink.emit(ev.TurnHeard(turn_id, heard))
