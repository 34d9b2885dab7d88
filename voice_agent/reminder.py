"""When the agent is to say something because the caller has been silent for long."""

_MOST_IN_A_ROW = 2


class Reminder:
    """Silence begins when the agent's voice ends, and again with whatever the caller does. Times are the clock's.

    There is none while something is under way: a turn, or a tool that outlived its turn. After two reminders in a row
    the caller is left in peace until they do something.
    """

    def __init__(self, after_s: float | None) -> None:
        """`after_s`: how long a silence is too long; None: none is."""
        self._after_s = after_s
        self._since = 0.0
        self._under_way = 0
        self._given = 0

    def caller_did(self, now: float) -> None:
        """The caller spoke, or began to; they pressed a key, they cut in."""
        self._since = now
        self._given = 0

    def back(self, now: float) -> None:
        """Somebody is there again to be asked, of whom nothing more is known."""
        self._since = now

    def began(self) -> None:
        """A turn has begun, or a tool goes on without its turn."""
        self._under_way += 1

    def ended(self, now: float) -> None:
        """What had begun is over."""
        self._under_way -= 1
        self._since = now

    def gave(self) -> None:
        """A reminder is being said; it is a turn like any other."""
        self._given += 1

    def due_in(self, voice_until: float, now: float) -> float | None:
        """Seconds until one is due, if the voice is heard until `voice_until` (0: it never was); None: none is."""
        if self._after_s is None or not voice_until or self._under_way or self._given == _MOST_IN_A_ROW:
            return None
        return max(0.0, max(voice_until, self._since) + self._after_s - now)
