"""What is said of a scenario, from turns whose every moment is known; and each of them played."""

import json
from typing import Any

import pytest

from gateway.bench.board import Board
from gateway.bench.outcomes import BargeIns, Phase, Speculation, Stalls, outcome
from tests.commands import run


def _board(*first_speech: float, lost: int = 0, reason: str = "end_turn") -> Board:
    """One turn a second, each heard so many seconds after it was due; of the first, so many requests were lost."""
    board = Board(len(first_speech))
    for number, seconds in enumerate(first_speech):
        take = board.begin(float(number), 0)
        take.sent = float(number)
        take.first_speech = number + seconds
        take.ended = number + seconds + 0.1
        take.reason = reason
        board.finish()
    board.takes[0].lost = board.takes[0].hedges = lost
    return board


@pytest.mark.parametrize(
    ("board", "code", "said"),
    [
        (_board(*[0.3] * 95, *[0.8] * 5, lost=8), 0, None),
        (_board(*[0.3] * 98, 1.3, 1.3), 1, "p99 of the first speech is 1300 ms, more than 1200 ms"),
        (_board(*[0.3] * 100, lost=9), 1, "9 % extra requests are more than 8 %"),
        (_board(*[0.3] * 100, reason="llm_api_error"), 1, "0 turns were lost and 100 failed"),
    ],
)
def test_a_promise_is_kept_or_the_figure_that_breaks_it_is_named(board: Board, code: int, said: str | None) -> None:
    """By the exit code, too."""
    made = outcome("stalls", {"turns": Phase(board, 0)}, {})
    assert (made.exit_code, made.said) == (code, said)


def test_requests_beyond_one_for_each_turn_are_extra() -> None:
    """Whatever they were sent for; those beside another are told apart."""
    made = outcome("stalls", {"turns": Phase(_board(*[0.3] * 50, lost=3), 0)}, {})
    assert isinstance(made, Stalls)
    assert (made.extra_requests, made.hedges, made.extra_percent) == (3, 3, 6.0)
    assert made.first_speech_ms is not None
    assert made.first_speech_ms.n == 50


def _ahead(*first_speech: float, arrived: float = -0.5) -> Board:
    """Turns as above, whose request reached the provider so long after the final words were sent."""
    board = _board(*first_speech)
    for take in board.takes:
        assert take.sent is not None
        take.arrived = take.sent + arrived
    return board


@pytest.mark.parametrize(
    ("right", "requests", "wrong", "said"),
    [
        (_ahead(*[0.002] * 9), 9, _ahead(*[0.3] * 9, arrived=0.001), None),
        (_ahead(*[0.3] * 9, arrived=0.001), 9, _ahead(0.3, arrived=0.001), "0 of 9 turns that were guessed right"),
        (_ahead(*[0.002] * 9), 9, _ahead(0.002), "1 turns that were guessed wrong were answered with what was guessed"),
        (_ahead(*[0.002] * 8, 0.006), 9, _ahead(0.3, arrived=0.001), "p99 of the first speech is 6.0 ms, more than 5"),
        (_ahead(*[0.002] * 9), 10, _ahead(0.3, arrived=0.001), "10 requests for 9 turns that were guessed right"),
    ],
)
def test_a_guess_is_adopted_if_the_provider_was_asked_before_the_words_were_final(
    right: Board, requests: int, wrong: Board, said: str | None
) -> None:
    """By the provider's own stamps; one that was wrong costs a request, and no more than that."""
    made = outcome("speculation", {"right": Phase(right, requests), "wrong": Phase(wrong, 18)}, {})
    assert isinstance(made, Speculation)
    assert made.exit_code == int(said is not None)
    assert (made.said or "").startswith(said or "")
    assert made.right.requests_per_turn == round(requests / 9, 3)
    assert (made.wrong.requests, made.turns.ended) == (18, 9 + len(wrong.takes))


def test_a_request_beside_a_late_one_is_no_cost_of_guessing() -> None:
    """It is the hedge's."""
    right = _ahead(*[0.002] * 9)
    right.takes[0].hedges = 1
    made = outcome("speculation", {"right": Phase(right, 10), "wrong": Phase(_ahead(0.3, arrived=0.001), 2)}, {})
    assert made.exit_code == 0


def _cut(*late_pieces: int, wrong: int = 0, reason: str = "interrupted") -> Board:
    """Turns that were interrupted half a second in, after which so many pieces came; in the first ones a wrong mark."""
    board = _board(*[0.1] * len(late_pieces), reason=reason)
    for number, take in enumerate(board.takes):
        take.interrupted, take.spoken = number + 0.5, number + 0.502
        take.late_pieces = late_pieces[number]
        take.heard_right = number >= wrong if reason == "interrupted" else None
    return board


@pytest.mark.parametrize(
    ("board", "said"),
    [
        (_cut(0, 1, 0, 0), None),
        (_cut(0, 1, 0, 2), "2 pieces of speech came after an interrupt, more than 1"),
        (_cut(0, 0, 0, 0, wrong=1), "what was heard is exact in 3 of 4 turns"),
        (_cut(0, 0, reason="end_turn"), "no turn was interrupted: every reply was over before"),
    ],
)
def test_a_barge_in_is_judged_by_what_comes_after_it_and_what_was_heard(board: Board, said: str | None) -> None:
    """The time that it takes is told."""
    made = outcome("bargein", {"turns": Phase(board, 0)}, {})
    assert isinstance(made, BargeIns)
    assert (made.exit_code, made.said) == (int(said is not None), said)
    if said is None:
        assert made.barge_in.ms is not None
        assert (made.barge_in.ms.p99, made.interrupted, made.heard_exact) == (2.0, 4, 4)


async def _played(name: str, *options: str) -> tuple[dict[str, Any], str]:
    """The report as JSON and as a person reads it; few turns prove nothing, so that only the report is looked at."""
    few = ("--sessions", "4", "--turns", "3", "--warm-up", "1", "--json", "-")
    told = await run("gateway", "bench", "--scenario", name, *few, *options)
    assert told.code in (0, 1, 3), told.err
    made: dict[str, Any] = json.loads(told.out)
    assert made["scenario"] == name
    return made, told.err


async def test_stalls_are_played_against_the_product_itself() -> None:
    """As processes."""
    made, told = await _played("stalls", "--interval", "0.6")
    assert made["turns"]["planned"] == made["first_speech_ms"]["n"] == 12
    assert made["extra_percent"] == pytest.approx(100 * made["extra_requests"] / 12, abs=0.1)
    for words in ("1 request in 20 waits 8 s", "first speech", "extra requests", "p99 at most 1200 ms"):
        assert words in told


async def test_barge_ins_are_played_against_the_product_itself() -> None:
    """Every turn is cut into, and the gateway says what was heard of it to the letter."""
    made, told = await _played("bargein", "--interval", "0.6")
    seen = made["barge_in"]
    assert made["turns"]["planned"] == made["turns"]["ended"] == made["interrupted"] + seen["missed"] == 12
    assert made["heard_exact"] == made["interrupted"] == seen["ms"]["n"] > 0
    for words in ("barge-in to turn.spoken", f"exact in {made['heard_exact']} of {made['interrupted']} turns"):
        assert words in told


async def test_guesses_are_played_against_the_product_itself() -> None:
    """Half of the turns are guessed right, half wrong; nothing is said before the words are final."""
    made, told = await _played("speculation", "--interval", "1.2")
    assert made["turns"]["planned"] == made["turns"]["ended"] == 24
    assert made["right"]["turns"] == made["wrong"]["turns"] == made["wrong"]["first_speech_ms"]["n"] == 12
    assert (made["turns"]["errors"], made["wrong"]["adopted"]) == ({}, 0)
    for words in ("guessed right", "guessed wrong", "requests a turn", "p99 at most 5 ms"):
        assert words in told


async def test_a_scenario_has_its_own_provider_agent_and_words() -> None:
    """What would change nothing is refused."""
    told = await run("gateway", "bench", "--scenario", "stalls", "--url", "ws://h", "--tokens", "3")
    assert told.code == 2
    assert "--url, --tokens cannot be given together with --scenario" in told.err
