"""Percentiles, counts and the verdict, from turns whose every moment is known."""

import pytest

from gateway.bench import figures
from gateway.bench.board import Board
from gateway.bench.figures import Spread, Turns, percentile, spread


def _board(planned: int, *reasons: str, interrupted: float | None = None) -> Board:
    """One turn for each reason, due every second, first heard 0.1 s later, spoken after 0.5 s, ended after 0.502 s."""
    board = Board(planned)
    for number, reason in enumerate(reasons):
        take = board.begin(float(number), 0)
        take.sent = number + 0.001
        take.first_speech = take.first_reply = number + 0.1
        take.interrupted = None if interrupted is None else number + interrupted
        take.spoken = number + 0.5
        take.ended = number + 0.502
        take.reason = reason
        take.store_ms = 1.5
        board.finish()
    return board


@pytest.mark.parametrize(
    ("percent", "value"), [(1, 1.0), (50, 50.0), (95, 95.0), (99, 99.0), (99.5, 100.0), (100, 100.0)]
)
def test_a_percentile_is_one_of_the_values(percent: float, value: float) -> None:
    """The least that so many percent do not exceed."""
    assert percentile([float(number) for number in range(1, 101)], percent) == value
    assert percentile([7.0], percent) == 7.0


def test_a_spread_is_in_milliseconds_and_leaves_out_what_is_not_there() -> None:
    """Of nothing there is none."""
    assert spread([0.003, None, 0.001, 0.002]) == Spread(2.0, 3.0, 3.0, 3)
    assert spread([None]) is None
    assert spread([]) is None


def test_what_one_spread_has_beyond_another() -> None:
    """Percentile by percentile, or nothing if one is missing."""
    assert figures.beyond(Spread(3.0, 5.0, 9.0, 4), Spread(1.0, 2.5, 4.0, 9)) == Spread(2.0, 2.5, 5.0, 0)
    assert figures.beyond(Spread(3.0, 5.0, 9.0, 4), None) is None


def test_what_callers_saw() -> None:
    """First words count from when the turn was due, not from when it was sent."""
    board = _board(2, "end_turn", "end_turn")
    board.token_added.append(0.004)
    saw = figures.seen(board)
    assert saw.first_speech_ms == saw.first_reply_ms == Spread(100.0, 100.0, 100.0, 2)
    assert saw.total_ms == Spread(502.0, 502.0, 502.0, 2)
    assert saw.added_first_token_ms is None
    assert saw.added_token_ms == Spread(4.0, 4.0, 4.0, 1)


def test_every_turn_is_accounted_for() -> None:
    """Planned turns that did not end are lost, whether they were asked or not; errors add up over the groups."""
    one, other = _board(4, "end_turn", "error"), _board(2, "end_turn", "end_turn")
    one.begin(2.0, 0)
    one.errors["provider"] = 1
    other.errors["provider"] = 2
    other.takes[1].free = 9.0
    assert figures.turns([one, other]) == Turns(planned=6, ended=4, lost=2, failed=1, overdue=1, errors={"provider": 3})


def test_a_barge_in_lasts_until_nothing_more_is_said() -> None:
    """A reply that was over before its interrupt came is missed, and in no percentile."""
    board = _board(3, "interrupted", "interrupted", "end_turn", interrupted=0.496)
    board.takes[0].late_pieces = 2
    told = figures.barge_in([board])
    assert told.ms == Spread(4.0, 4.0, 4.0, 2)
    assert (told.missed, told.speech_after, told.turns_with_speech_after) == (1, 2, 1)


def test_a_commit_lasts_from_the_last_word_to_the_end() -> None:
    """What the gateway says of its store stands beside it."""
    told = figures.commit([_board(2, "end_turn", "end_turn")])
    assert told.ms == Spread(2.0, 2.0, 2.0, 2)
    assert told.store_ms == Spread(1.5, 1.5, 1.5, 2)


@pytest.mark.parametrize(
    ("stolen", "words"),
    [
        ({}, None),
        ({"core 0": 1.0, "core 1": 0.2}, None),
        ({"core 0": 0.6, "core 1": 7.0}, "the host took 7 % of core 1"),
    ],
)
def test_a_host_that_takes_a_core_away_is_told(stolen: dict[str, float], words: str | None) -> None:
    """From one percent of a core on."""
    told = figures.robbed(stolen)
    assert (told is None) is (words is None)
    assert (words or "") in (told or "")


_GOOD = Turns(planned=2, ended=2, lost=0, failed=0, overdue=0, errors={})
_LOST = Turns(planned=2, ended=1, lost=1, failed=0, overdue=0, errors={})
_FAILED = Turns(planned=2, ended=2, lost=0, failed=1, overdue=0, errors={"provider": 1})
_HALF = Turns(planned=2, ended=2, lost=0, failed=0, overdue=1, errors={})
_QUEUE = Turns(planned=3, ended=3, lost=0, failed=0, overdue=2, errors={})
_PUNCTUAL, _LATE = Spread(0.1, 1.0, 19.9, 2), Spread(0.1, 1.0, 20.1, 2)


@pytest.mark.parametrize(
    ("fault", "counts", "late", "code", "words"),
    [
        (None, _GOOD, _PUNCTUAL, 0, ""),
        (None, _GOOD, None, 0, ""),
        (None, _GOOD, _LATE, 3, "the load generator was 20 ms late (p99)"),
        (None, _HALF, _PUNCTUAL, 0, ""),
        (None, _QUEUE, _LATE, 3, "2 of 3 turns were due before the turn before them had ended"),
        (None, _LOST, _LATE, 1, "1 turns were lost and 0 failed"),
        (None, _FAILED, _PUNCTUAL, 1, "1 failed; errors: provider (1)"),
        ("it broke", _GOOD, _PUNCTUAL, 1, "it broke"),
    ],
)
def test_the_verdict(fault: str | None, counts: Turns, late: Spread | None, code: int, words: str) -> None:
    """A run that broke or lost a turn is 1, one that measured its own generator 3, and each says why."""
    given, said = figures.verdict(fault, counts, late)
    assert given == code
    assert words in (said or "")
    assert (said is None) is (code == 0)
