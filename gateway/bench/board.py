"""Where a group of callers notes what it sees in one phase: turns, token latencies, errors, the fault that ends it."""

import asyncio
from array import array
from collections import Counter

from gateway.bench.take import Take


class Board:
    """The notes of `planned` turns. `token_added`: for each token, the seconds from the provider's stamp to here."""

    def __init__(self, planned: int = 0) -> None:
        self.planned = planned
        self.done = 0
        self.takes: list[Take] = []
        self.token_added = array("d")
        self.errors: Counter[str] = Counter()
        self.fault: str | None = None
        self.changed = asyncio.Event()

    def begin(self, due: float, interrupt_after: int) -> Take:
        """A turn that is due."""
        take = Take(due, interrupt_after)
        self.takes.append(take)
        return take

    def finish(self) -> None:
        """A turn has ended, however it did."""
        self.done += 1
        self.changed.set()

    def give_up(self, why: str) -> None:
        """Nothing that follows would mean anything; the first reason counts."""
        self.fault = self.fault or why
        self.changed.set()
