"""Time as a parameter: the one place that reads clocks. Cores take `now` as an argument instead."""

import time
from typing import Protocol


class Clock(Protocol):
    """What the rim reads time from; tests give one that follows a virtual event loop."""

    def now(self) -> float:
        """Monotonic seconds, for durations and deadlines."""
        ...

    def wall(self) -> float:
        """Seconds since the Unix epoch, for what people read."""
        ...


class SystemClock:
    """The machine's own clocks. `now` is not the event loop's: uvloop's is cached and counts whole milliseconds."""

    now = staticmethod(time.monotonic)  # read twice for every token

    def wall(self) -> float:
        return time.time()  # noqa: TID251 - the one reader of the wall clock
