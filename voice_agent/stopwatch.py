"""Where a turn's milliseconds go: laps under fixed names that always add up to the whole."""

from voice_agent.messages import Latency, Part


class Stopwatch:
    """Counts from the user's words. Every moment belongs to exactly one part; times are in seconds, results in ms."""

    def __init__(self, started: float) -> None:
        self._started = self._at = started
        self._parts: dict[str, float] = {}
        self.firsts: dict[str, float] = {}

    def lap(self, name: str, now: float) -> None:
        """The time since the last lap belongs to `name`."""
        if now > self._at:
            self._parts[name] = self._parts.get(name, 0.0) + now - self._at
            self._at = now

    def move(self, name: str, other: str, seconds: float) -> None:
        """So much of what belonged to `name` belongs to `other`."""
        moved = min(seconds, self._parts.get(name, 0.0))
        if moved > 0:
            self._parts[name] -= moved
            self._parts[other] = self._parts.get(other, 0.0) + moved

    def first(self, name: str, now: float) -> None:
        """Remember when something happened for the first time (`speech`, `reply`)."""
        if name not in self.firsts:
            self.firsts[name] = _ms(now - self._started)

    def read(self) -> Latency:
        """The parts so far; `gateway` is what was measured under that name."""
        parts = tuple(Part(name, _ms(seconds)) for name, seconds in self._parts.items())
        return Latency(
            first_speech=self.firsts.get("speech"),
            first_reply=self.firsts.get("reply"),
            gateway=_ms(self._parts.get("gateway", 0.0)),
            total=round(sum(part.ms for part in parts), 3),  # of the rounded parts, so that they add up
            parts=parts,
        )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
