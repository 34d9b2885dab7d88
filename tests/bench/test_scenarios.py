"""What is said of a scenario, from turns whose every moment is known; and one that is played."""

import json

import pytest

from gateway.bench.board import Board
from gateway.bench.scenarios import outcome
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
    made = outcome("stalls", [board], {})
    assert (made.exit_code, made.said) == (code, said)


def test_requests_beyond_one_for_each_turn_are_extra() -> None:
    """Whatever they were sent for; those beside another are told apart."""
    made = outcome("stalls", [_board(*[0.3] * 50, lost=3)], {})
    assert (made.extra_requests, made.hedges, made.extra_percent) == (3, 3, 6.0)
    assert made.first_speech_ms is not None
    assert made.first_speech_ms.n == 50


async def test_stalls_are_played_against_the_product_itself() -> None:
    """As processes; few turns prove nothing, so that only the report is looked at."""
    told = await run(
        "gateway", "bench", "--scenario", "stalls", "--sessions", "4", "--turns", "3", "--warm-up", "1", "--interval",
        "0.6", "--json", "-",
    )  # fmt: skip
    assert told.code in (0, 1, 3), told.err
    made = json.loads(told.out)
    assert (made["scenario"], made["turns"]["planned"]) == ("stalls", 12)
    assert made["first_speech_ms"]["n"] == 12
    assert made["extra_percent"] == pytest.approx(100 * made["extra_requests"] / 12, abs=0.1)
    for words in ("1 request in 20 waits 8 s", "first speech", "extra requests", "p99 at most 1200 ms"):
        assert words in told.err


async def test_a_scenario_has_its_own_provider_agent_and_words() -> None:
    """What would change nothing is refused."""
    told = await run("gateway", "bench", "--scenario", "stalls", "--url", "ws://h", "--tokens", "3")
    assert told.code == 2
    assert "--url, --tokens cannot be given together with --scenario" in told.err
