"""From what the callers noted to the figures: percentiles, counts, and whether they may be believed. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from gateway.bench.board import Board, Take

# A generator that is later than this has measured itself.
MOST_LATENESS_MS = 20.0
# Of a core: what a host takes beyond this shows in the tails.
MOST_STOLEN_PERCENT = 1.0


class Spread(msgspec.Struct, frozen=True):
    """Percentiles of `n` values, or (`n` 0) of the differences between two spreads; milliseconds."""

    p50: float
    p95: float
    p99: float
    n: int


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What one group of callers saw, from the moment a turn was due; `added_…` is beyond the provider's own time."""

    first_speech_ms: Spread | None
    first_reply_ms: Spread | None
    total_ms: Spread | None
    added_first_token_ms: Spread | None
    added_token_ms: Spread | None

    @property
    def first_token_ms(self) -> Spread | None:
        """What the gateway added to the first token; where the provider does not tell, when the first reply came."""
        return self.added_first_token_ms or self.first_reply_ms


class Turns(msgspec.Struct, frozen=True, kw_only=True):
    """`lost` did not end, `failed` ended as they should not, `overdue` were due before their predecessor had ended."""

    planned: int
    ended: int
    lost: int
    failed: int
    overdue: int
    errors: dict[str, int]


class BargeIn(msgspec.Struct, frozen=True, kw_only=True):
    """From the interrupt to `turn.spoken`. `missed`: the reply was over before. `speech_after`: the most pieces of
    speech that came in one turn after its interrupt was sent, and in how many turns any did."""

    ms: Spread | None
    missed: int
    speech_after: int
    turns_with_speech_after: int


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """From `turn.spoken` to `turn.ended`, and what the gateway says it waited for the store."""

    ms: Spread | None
    store_ms: Spread | None


class Memory(msgspec.Struct, frozen=True):
    """What the gateway's process holds (PSS), before and per session that was opened and said nothing."""

    idle_sessions: int
    gateway_kib: int
    kib_per_session: float


class Cpu(msgspec.Struct, frozen=True):
    """User and system time, children included: of the product's processes in milliseconds per turn, and of all in
    percent of a core. `waited_percent`: of the time, in which they could have run and had no core: others had it."""

    ms_per_turn: dict[str, float]
    core_percent: dict[str, float]
    waited_percent: dict[str, float]


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The least of the sorted values that `percent` of them do not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def spread(seconds: Iterable[float | None]) -> Spread | None:
    """The spread of what is there, None of nothing."""
    ordered = sorted(value * 1000 for value in seconds if value is not None)
    if not ordered:
        return None
    p50, p95, p99 = (round(percentile(ordered, percent), 3) for percent in (50, 95, 99))
    return Spread(p50, p95, p99, len(ordered))


def beyond(mine: Spread | None, other: Spread | None) -> Spread | None:
    """What the percentiles have beyond the other's."""
    if mine is None or other is None:
        return None
    return Spread(round(mine.p50 - other.p50, 3), round(mine.p95 - other.p95, 3), round(mine.p99 - other.p99, 3), 0)


def seen(board: Board) -> Seen:
    """What its callers saw."""
    takes = board.takes
    return Seen(
        first_speech_ms=_between(takes, "due", "first_speech"),
        first_reply_ms=_between(takes, "due", "first_reply"),
        total_ms=_between(takes, "due", "ended"),
        added_first_token_ms=spread(take.added for take in takes),
        added_token_ms=spread(board.token_added),
    )


def turns(boards: Sequence[Board]) -> Turns:
    """How many there were, and what became of them."""
    takes = [take for board in boards for take in board.takes]
    planned = sum(board.planned for board in boards)
    ended = sum(take.ended is not None for take in takes)
    return Turns(
        planned=planned,
        ended=ended,
        lost=planned - ended,
        failed=sum(take.has_failed for take in takes),
        overdue=sum(take.free > take.due for take in takes),
        errors=dict(sum((board.errors for board in boards), Counter())),
    )


def barge_in(boards: Sequence[Board]) -> BargeIn:
    """What became of the interrupts."""
    takes = [take for board in boards for take in board.takes if take.interrupted is not None]
    cut = [take for take in takes if take.reason == "interrupted"]
    return BargeIn(
        ms=_between(cut, "interrupted", "spoken"),
        missed=len(takes) - len(cut),
        speech_after=max((take.late_pieces for take in cut), default=0),
        turns_with_speech_after=sum(take.late_pieces > 0 for take in cut),
    )


def commit(boards: Sequence[Board]) -> Commit:
    """What it took to store the turns."""
    takes = [take for board in boards for take in board.takes]
    store = spread(None if take.store_ms is None else take.store_ms / 1000 for take in takes)
    return Commit(ms=_between(takes, "spoken", "ended"), store_ms=store)


def lateness(boards: Sequence[Board]) -> Spread | None:
    """How late the generator itself was."""
    return spread(take.lateness for board in boards for take in board.takes)


def verdict(fault: str | None, counts: Turns, late: Spread | None) -> tuple[int, str | None]:
    """The exit code, and what to say beside the figures."""
    if fault is not None:
        return 1, fault
    if counts.lost or counts.failed or counts.errors:
        told = ", ".join(f"{name} ({count})" for name, count in counts.errors.items())
        words = f"{counts.lost} turns were lost and {counts.failed} failed"
        return 1, f"{words}; errors: {told}" if told else words
    if counts.overdue * 2 > counts.planned:
        return 3, (
            f"not valid: {counts.overdue} of {counts.planned} turns were due before the turn before them had ended, so "
            "the figures are those of a queue; let --interval be longer than a turn"
        )
    if late is not None and late.p99 > MOST_LATENESS_MS:
        return 3, (
            f"not valid: the load generator was {late.p99:.0f} ms late (p99), so it was the bottleneck and the figures "
            "are its own; try fewer sessions or a machine with more or less busy cores"
        )
    return 0, None


def robbed(stolen_percent: dict[str, float]) -> str | None:
    """What to say if the host took so much of a core that it shows."""
    core = max(stolen_percent, key=lambda name: stolen_percent[name], default=None)
    if core is None or stolen_percent[core] <= MOST_STOLEN_PERCENT:
        return None
    return f"the host took {stolen_percent[core]:g} % of {core}: the tails (p95, p99) and CPU are the host's too"


def _between(takes: Iterable[Take], first: str, last: str) -> Spread | None:
    pairs = ((getattr(take, first), getattr(take, last)) for take in takes)
    return spread(None if a is None or b is None else b - a for a, b in pairs)
