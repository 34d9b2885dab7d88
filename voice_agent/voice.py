"""Until when the agent's voice will be heard, at speaking rate and by what the client reports; and when to hang up."""

from voice_agent import events as ev
from voice_agent.clock import Clock
from voice_agent.heard import SPEAKING_RATE, Ledger

_GOODBYE_MARGIN_S = 1.0


class Voice:
    """Times are the clock's `now`, in seconds. `last_turn` is the one after whose words the call is to end, if any.

    `then` is how it ends, as the reason of the session's end.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.until = 0.0
        self.last_turn: str | None = None
        self.then = "agent"

    def said(self, event: ev.TurnEnded, received_at: float) -> None:
        """A turn has been made; its speech follows what was said before it."""
        if event.latency.first_speech is not None:
            began = received_at + event.latency.first_speech / 1000
            self.until = max(self.until, began) + len(event.generated) / SPEAKING_RATE

    def leave_after(self, turn_id: str, how: ev.Leaving) -> None:
        """The call is to end once this turn was heard."""
        self.last_turn, self.then = turn_id, "agent" if how == "hang_up" else how

    def stopped(self) -> None:
        """Nothing more is heard: the caller cut in, or has heard all."""
        self.until = self._clock.now()

    def played(self, ledger: Ledger) -> None:
        """The client has said how far the last turn was heard."""
        self.until = self._clock.now() + (len(ledger.generated) - len(ledger.heard)) / SPEAKING_RATE

    def hang_up_in(self) -> float | None:
        """Seconds until everything said, before and after the decision to hang up, has been heard; None: stay."""
        if self.last_turn is None:
            return None
        return max(0.0, self.until + _GOODBYE_MARGIN_S - self._clock.now())
