"""How a model has been doing lately: how soon it speaks, whether it keeps failing, how often it may be asked twice."""

import math
from collections import deque
from collections.abc import Callable

# First useful tokens that are remembered, and how many of them say something.
_KEPT, _ENOUGH = 100, 10
_PERCENT, _FACTOR = 90, 1.5
# Whatever is quicker than this is not worth a second request.
_LEAST_DELAY_S = 0.1
FAILURES, OPEN_S = 5, 10.0
# A new process has something to spend; what is not spent is kept for hard times, but not for ever.
FIRST_CREDIT, MOST_CREDIT = 5.0, 10.0


class Form:
    """One model's record in this process; `now` is the clock's, in seconds.

    After so many failures in a row its circuit is open: nobody asks it who can ask another. Every so often one request
    is let through; its first useful token closes the circuit, and one more failure opens it again, unless a reply came
    to its end meanwhile. `on_circuit` is told when it opens (True) and closes.
    """

    def __init__(self, on_circuit: Callable[[bool], None] = lambda _: None) -> None:
        self._on_circuit = on_circuit
        self._first_tokens: deque[float] = deque(maxlen=_KEPT)
        self._failures = 0
        self._open_until = 0.0
        self._credit = FIRST_CREDIT

    def admits(self, now: float) -> bool:
        """Whether a request may be sent to it."""
        return self._failures < FAILURES or now >= self._open_until

    def asked(self, now: float) -> None:
        """A request leaves. The one that tries a failing model is alone for a while."""
        if self._failures >= FAILURES:
            self._open_until = max(self._open_until, now + OPEN_S)

    def failed(self, now: float) -> None:
        """It failed, or was silent for too long."""
        self._failures += 1
        if self._failures >= FAILURES:
            self._open_until = now + OPEN_S
        if self._failures == FAILURES:
            self._on_circuit(True)

    def finished(self) -> None:
        """A reply of its came to its end."""
        self._close(0)

    def spoke_after(self, seconds: float) -> None:
        """So long a request that was not lost took to its first useful token."""
        self._first_tokens.append(seconds)
        # The caller may cut in before the end of it, time and again: that is nothing against the model.
        self._close(min(self._failures, FAILURES - 1))

    def hedge_after(self, deadline_s: float) -> float:
        """Seconds after which a request is later than most: half the deadline, or less where enough is known."""
        most = deadline_s / 2
        if len(self._first_tokens) < _ENOUGH:
            return most
        ordered = sorted(self._first_tokens)
        usual = ordered[math.ceil(len(ordered) * _PERCENT / 100) - 1]
        return min(most, max(_LEAST_DELAY_S, _FACTOR * usual))

    def earn(self, share: float) -> None:
        """A request for which so much of a second one may be spent."""
        self._credit = min(MOST_CREDIT, self._credit + share)

    def spend(self) -> bool:
        """Take a second request out of what was earned; False if that is too little."""
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True

    def _close(self, failures: int) -> None:
        if self._failures >= FAILURES:
            self._on_circuit(False)
        self._failures = failures
