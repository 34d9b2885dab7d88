"""Until when the agent's voice will be heard, by what the ledgers of its turns know; and when to hang up."""

from voice_agent.clock import Clock
from voice_agent.events import Leaving
from voice_agent.heard import Ledger

_GOODBYE_MARGIN_S = 1.0


class Voice:
    """Times are the clock's `now`, in seconds. `last_turn` is the one after whose words the call is to end, if any."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ledgers: tuple[Ledger, ...] = ()  # the last two: a turn may be silent while the one before is still heard
        self.last_turn: str | None = None
        self._how: Leaving = "hang_up"

    def says(self, ledger: Ledger) -> None:
        """A turn speaks, or is about to; from now on what is told to its ledger is known here."""
        self._ledgers = (*self._ledgers[-1:], ledger)

    @property
    def until(self) -> float:
        """When all that was handed out will have been said: in the past, if nobody speaks; 0 before the first turn."""
        now = self._clock.now()
        return max((ledger.silent_at(now) for ledger in self._ledgers), default=0.0)

    def leave_after(self, turn_id: str, how: Leaving) -> None:
        """The call is to end once this turn was heard."""
        self.last_turn, self._how = turn_id, how

    @property
    def leaving(self) -> Leaving | None:
        """How the call is to end; None: it goes on."""
        return None if self.last_turn is None else self._how

    @property
    def then(self) -> str:
        """The same as the reason of the session's end."""
        return "agent" if self._how == "hang_up" else self._how

    def hang_up_in(self) -> float | None:
        """Seconds until everything said, before and after the decision to hang up, has been heard; None: stay."""
        if self.last_turn is None:
            return None
        return max(0.0, self.until + _GOODBYE_MARGIN_S - self._clock.now())
