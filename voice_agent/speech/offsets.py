"""Which part of the written text a part of the spoken text stands for."""

from bisect import bisect_right


class OffsetMap:
    """Runs of (spoken, written) code points, in order. A run of equal lengths is a copy; any other is one unit.

    A unit counts when all of it has been spoken. A run that says nothing belongs to what was said before it.
    """

    def __init__(self) -> None:
        self._spoken: list[int] = []  # where each run begins, in both texts
        self._written: list[int] = []
        self._copied: list[bool] = []
        self.spoken = 0
        self.written = 0

    def add(self, spoken: int, written: int) -> None:
        """The next run. At least one of the two is above 0."""
        copied = spoken == written
        if not (copied and self._copied and self._copied[-1]):
            self._spoken.append(self.spoken)
            self._written.append(self.written)
            self._copied.append(copied)
        self.spoken += spoken
        self.written += written

    def written_for(self, spoken: int) -> int:
        """How many code points of the written text the first `spoken` code points of the spoken one stand for."""
        if spoken >= self.spoken:
            return self.written
        run = bisect_right(self._spoken, spoken) - 1
        into = spoken - self._spoken[run]
        return self._written[run] + (into if self._copied[run] else 0)
