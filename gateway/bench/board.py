"""One turn as the benchmark saw it, the stamps that the simulated model puts into its tokens, and the board on which a
group of callers notes what it sees in one phase."""

import asyncio
import re
from array import array
from collections import Counter

# `!stamps N`: the microsecond at which a token left; before the first, the one at which the request arrived.
_STAMP = re.compile(r"(?:(\d{16})>)?(\d{16})")
MICROSECOND = 1e-6
# Beyond this the stamps are another machine's: its clock began at another time.
MOST_S = 60.0


class Take:
    """One turn's moments, in monotonic seconds, None until they come.

    `due`: when it was to be asked. `free`: when its session could ask it, later than `due` if the turn before took too
    long, which is the gateway's doing. `sent`: when it was asked. `interrupt_after`: the piece of speech at which the
    caller interrupts, 0 for never; `late_pieces` came after that. `arrived` and `left`: the provider's stamps of the
    request and of the first token. `heard_right`: whether the gateway agrees on what was heard, if the
    caller has told it. `store_ms`: how long the gateway says it waited for its store; `lost` and `hedges`:
    how many requests it says it made beyond one for each step, and how many of all beside another.
    """

    __slots__ = (
        "arrived", "due", "ended", "first_reply", "first_speech", "free", "heard_right", "hedges", "interrupt_after",
        "interrupted", "late_pieces", "left", "lost", "pieces", "reason", "sent", "spoken", "store_ms",
    )  # fmt: skip

    def __init__(self, due: float, interrupt_after: int = 0) -> None:
        self.due = due
        self.free = due
        self.interrupt_after = interrupt_after
        self.sent: float | None = None
        self.first_speech: float | None = None
        self.first_reply: float | None = None
        self.arrived: float | None = None
        self.left: float | None = None
        self.interrupted: float | None = None
        self.spoken: float | None = None
        self.ended: float | None = None
        self.reason = ""
        self.heard_right: bool | None = None
        self.store_ms: float | None = None
        self.lost = 0
        self.hedges = 0
        self.pieces = 0
        self.late_pieces = 0

    @property
    def asked(self) -> float | None:
        """From when the gateway is to blame: when it was sent, or due if it had to wait for the turn before it."""
        return self.due if self.free > self.due else self.sent

    @property
    def lateness(self) -> float | None:
        """How late the generator itself was, in seconds."""
        return None if self.sent is None else self.sent - max(self.due, self.free)

    @property
    def added(self) -> float | None:
        """Seconds to the first token beyond what the provider took; None without its stamps."""
        asked = self.asked
        if asked is None or self.first_reply is None or self.left is None or self.arrived is None:
            return None
        return (self.first_reply - asked) - (self.left - self.arrived)

    @property
    def has_failed(self) -> bool:
        """Whether it ended as it should not."""
        right = ("end_turn",) if self.interrupted is None else ("end_turn", "interrupted")
        return self.ended is not None and self.reason not in right

    def heard(self, text: str, kind: str, at: float) -> list[float]:
        """A piece of speech arrived. Returns how many seconds ago the provider sent each token, if it tells."""
        self.pieces += 1
        if self.interrupted is not None:
            self.late_pieces += 1
        if self.first_speech is None:
            self.first_speech = at
        if kind != "reply":
            return []
        stamps = [(arrived, int(left) * MICROSECOND) for arrived, left in _STAMP.findall(text)]
        if self.first_reply is None:
            self.first_reply = at
            if stamps and stamps[0][0]:
                self.arrived, self.left = int(stamps[0][0]) * MICROSECOND, stamps[0][1]
        return [at - left for _, left in stamps if 0 <= at - left < MOST_S]


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
