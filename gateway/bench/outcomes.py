"""What came of a scenario, from what its callers noted: its figures, and whether it kept its promise. Pure."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from gateway.bench import figures
from gateway.bench.board import Board, Take
from gateway.bench.figures import BargeIn, Spread, Turns

ScenarioName = Literal["stalls", "speculation", "bargein"]
STALLS_MS, STALLS_EXTRA_PERCENT = 1200.0, 8.0
ADOPTED_MS = 5.0
MOST_SPEECH_AFTER = 1
PROMISED: Mapping[ScenarioName, str] = {
    "stalls": f"p99 at most {STALLS_MS:g} ms, {STALLS_EXTRA_PERCENT:g} % extra requests",
    "speculation": f"p99 at most {ADOPTED_MS:g} ms after words that were guessed right, one request for each turn",
    "bargein": f"at most {MOST_SPEECH_AFTER} piece of speech after an interrupt, what was heard exact in every turn",
}


class Phase(NamedTuple):
    """What was noted in one phase, and how many requests the provider got in it."""

    board: Board
    requests: int


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What every scenario tells. `exit_code` 0: a valid run that kept the promise; `said`: what to say of any other."""

    exit_code: int
    said: str | None
    scenario: ScenarioName
    promised: str
    machine: dict[str, str]
    turns: Turns
    lateness_ms: Spread | None


class Stalls(Judged, frozen=True, kw_only=True):
    """`extra_requests` are those beyond one for each step, also in percent of turns; `hedges` those beside another."""

    first_speech_ms: Spread | None
    extra_requests: int
    hedges: int
    extra_percent: float


class Guessed(msgspec.Struct, frozen=True, kw_only=True):
    """The turns whose words were guessed right, or wrong.

    `adopted`: the provider had been asked before the words were final, and it was that answer that was spoken.
    `requests` are the provider's count, also for each turn; `hedges` of them were sent beside another.
    """

    turns: int
    adopted: int
    first_speech_ms: Spread | None
    requests: int
    hedges: int
    requests_per_turn: float


class Speculation(Judged, frozen=True, kw_only=True):
    """First speech counts from when the final words were sent."""

    right: Guessed
    wrong: Guessed


class BargeIns(Judged, frozen=True, kw_only=True):
    """`heard_exact`: in so many of the `interrupted` turns the gateway says that what was reported was heard."""

    barge_in: BargeIn
    interrupted: int
    heard_exact: int


Outcome = Stalls | Speculation | BargeIns


def outcome(name: ScenarioName, phases: Mapping[str, Phase], where: dict[str, str]) -> Outcome:
    """What came of it; `where` describes the machine."""
    match name:
        case "stalls":
            return _stalls(phases["turns"], where)
        case "speculation":
            return _speculation(phases["right"], phases["wrong"], where)
        case "bargein":
            return _barge_ins(phases["turns"], where)


def _stalls(phase: Phase, where: dict[str, str]) -> Stalls:
    takes = phase.board.takes
    first = _spread(takes, "due")
    extra = sum(take.lost for take in takes)
    percent = round(100 * extra / max(1, len(takes)), 1)
    broken = None
    if first is not None and first.p99 > STALLS_MS:
        broken = f"p99 of the first speech is {first.p99:.0f} ms, more than {STALLS_MS:g} ms"
    elif percent > STALLS_EXTRA_PERCENT:
        broken = f"{percent:g} % extra requests are more than {STALLS_EXTRA_PERCENT:g} %"
    # A turn that waits for the one before it is what the caller of a stalled provider may meet: its time is counted.
    code, said, turns, late = _judged([phase.board], broken, may_wait=True)
    return Stalls(
        exit_code=code,
        said=said,
        scenario="stalls",
        promised=PROMISED["stalls"],
        machine=where,
        turns=turns,
        lateness_ms=late,
        first_speech_ms=first,
        extra_requests=extra,
        hedges=sum(take.hedges for take in takes),
        extra_percent=percent,
    )


def _speculation(right: Phase, wrong: Phase, where: dict[str, str]) -> Speculation:
    guessed, missed = _guessed(right), _guessed(wrong)
    first, needed = guessed.first_speech_ms, guessed.requests - guessed.hedges
    broken = None
    if guessed.adopted < guessed.turns:
        broken = f"{guessed.adopted} of {guessed.turns} turns that were guessed right were answered ahead"
    elif missed.adopted:
        broken = f"{missed.adopted} turns that were guessed wrong were answered with what was guessed"
    elif first is not None and first.p99 > ADOPTED_MS:
        broken = f"p99 of the first speech is {first.p99:.1f} ms, more than {ADOPTED_MS:g} ms"
    elif needed > guessed.turns:
        broken = f"{needed} requests for {guessed.turns} turns that were guessed right"
    code, said, turns, late = _judged([right.board, wrong.board], broken)
    return Speculation(
        exit_code=code,
        said=said,
        scenario="speculation",
        promised=PROMISED["speculation"],
        machine=where,
        turns=turns,
        lateness_ms=late,
        right=guessed,
        wrong=missed,
    )


def _guessed(phase: Phase) -> Guessed:
    takes = phase.board.takes
    return Guessed(
        turns=len(takes),
        adopted=sum(_is_adopted(take) for take in takes),
        first_speech_ms=_spread(takes, "sent"),
        requests=phase.requests,
        hedges=sum(take.hedges for take in takes),
        requests_per_turn=round(phase.requests / max(1, len(takes)), 3),
    )


def _is_adopted(take: Take) -> bool:
    return take.arrived is not None and take.sent is not None and take.arrived < take.sent


def _barge_ins(phase: Phase, where: dict[str, str]) -> BargeIns:
    made = figures.barge_in([phase.board])
    judged = [take.heard_right for take in phase.board.takes if take.heard_right is not None]
    broken = None
    if made.speech_after > MOST_SPEECH_AFTER:
        broken = f"{made.speech_after} pieces of speech came after an interrupt, more than {MOST_SPEECH_AFTER}"
    elif not all(judged):
        broken = f"what was heard is exact in {sum(judged)} of {len(judged)} turns"
    elif not judged:
        broken = "no turn was interrupted: every reply was over before"
    code, said, turns, late = _judged([phase.board], broken)
    return BargeIns(
        exit_code=code,
        said=said,
        scenario="bargein",
        promised=PROMISED["bargein"],
        machine=where,
        turns=turns,
        lateness_ms=late,
        barge_in=made,
        interrupted=len(judged),
        heard_exact=sum(judged),
    )


def _judged(
    boards: Sequence[Board], broken: str | None, *, may_wait: bool = False
) -> tuple[int, str | None, Turns, Spread | None]:
    """Exit code and what to say, a run that is not valid before a promise that is `broken`; counts and lateness."""
    counts, late = figures.turns(boards), figures.lateness(boards)
    fault = next((board.fault for board in boards if board.fault is not None), None)
    code, said = figures.verdict(fault, msgspec.structs.replace(counts, overdue=0) if may_wait else counts, late)
    if code == 0 and broken is not None:
        code, said = 1, broken
    return code, said, counts, late


def _spread(takes: Sequence[Take], since: Literal["due", "sent"]) -> Spread | None:
    pairs = ((getattr(take, since), take.first_speech) for take in takes)
    return figures.spread(None if asked is None or heard is None else heard - asked for asked, heard in pairs)
