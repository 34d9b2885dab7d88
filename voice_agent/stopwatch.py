"""Where a turn's time goes: laps under fixed names that always add up to the whole, to the microsecond."""

from itertools import accumulate, pairwise

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
            self.firsts[name] = round((now - self._started) * 1000, 3)

    def read(self) -> Latency:
        """The parts so far; `gateway` is what was measured under that name."""
        # Laid end to end, it is the borders between them that are rounded: the parts then add up exactly.
        borders = [round(border * 1_000_000) for border in accumulate(self._parts.values(), initial=0.0)]
        lasted = {name: (end - start) / 1000 for name, (start, end) in zip(self._parts, pairwise(borders), strict=True)}
        return Latency(
            first_speech=self.firsts.get("speech"),
            first_reply=self.firsts.get("reply"),
            gateway=lasted.get("gateway", 0.0),
            total=borders[-1] / 1000,
            parts=tuple(Part(name, ms) for name, ms in lasted.items()),
        )
