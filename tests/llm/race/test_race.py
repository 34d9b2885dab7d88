"""What the race decides, rule by rule, with time as an argument."""

import math

import pytest

from tests.llm.race.chains import BUSY, LIVE, LONG, PATIENT, RUN, WRONG, asks, failing, known
from voice_agent.events import ModelFailed
from voice_agent.llm.race.form import FAILURES, FIRST_CREDIT, OPEN_S, Form
from voice_agent.llm.race.race import MOST_HEDGES, MOST_RETRIES, Ask, Drop, GiveUp, Policy, Race, Win


def test_the_first_useful_token_wins_and_the_other_is_dropped() -> None:
    """The late one had been joined by a second request after one and a half times its usual time."""
    race = Race([known()], LIVE)
    assert race.begin(0.0) == [Ask(0, 0, "first")]
    assert race.due == pytest.approx(0.45)
    assert race.on_time(0.45) == [Ask(1, 0, "hedge")]
    assert race.useful(1, 0.75) == [Drop(0), Win(1, 0, "hedge", 0.45)]
    assert race.due is None
    assert race.useful(0, 10.8) == race.failed(0, BUSY, 10.8) == race.on_time(99.0) == []


def test_a_second_request_goes_to_the_fallback() -> None:
    """Which has a deadline of its own, from then on; the first keeps its own, too."""
    first = known()
    race = Race([first, known(), known()], LIVE)
    race.begin(0.0)
    assert asks(race.on_time(0.45)) == [(1, "hedge")]
    assert asks(race.on_time(0.9)) == [(2, "hedge")]
    assert asks(race.on_time(1.35)) == [(2, "hedge")]
    assert race.on_time(4.0) == [Drop(0)]
    assert race.on_time(4.45) == [Drop(1)]
    assert isinstance(race.on_time(4.9)[-1], GiveUp)


def test_unlucky_requests_are_joined_by_more_up_to_a_bound() -> None:
    """As long as there is something left to spend."""
    form = known()
    for _ in range(10):
        form.earn(1.0)
    race = Race([form], LIVE)
    race.begin(0.0)
    assert [asks(race.on_time(race.due or 0.0)) for _ in range(MOST_HEDGES)] == [[(0, "hedge")]] * MOST_HEDGES
    assert race.due == 4.0


def test_what_is_not_earned_is_not_spent() -> None:
    """The share is of the requests that were made."""
    form = known()
    hedged = 0
    for number in range(200):
        race = Race([form], Policy(4.0, 0.08))
        race.begin(float(number))
        hedged += len(asks(race.on_time(number + 0.45)))
    assert 15 <= hedged - FIRST_CREDIT <= 16


def test_what_was_too_dear_is_asked_for_again() -> None:
    """Other requests earn what is missing."""
    form = known()
    assert all(form.spend() for _ in range(int(FIRST_CREDIT)))
    race = Race([form], Policy(4.0, 0.08))
    race.begin(0.0)
    assert race.on_time(0.45) == []
    form.earn(1.0)
    assert asks(race.on_time(race.due or 0.0)) == [(0, "hedge")]


def test_what_a_fallback_has_saved_pays_for_the_trial_of_a_model_that_keeps_failing() -> None:
    """Such a model earns next to nothing, and whoever tries it is not to wait for the deadline."""
    first, other = failing(), known()
    while first.spend():
        pass
    race = Race([first, other], LIVE)
    race.begin(OPEN_S)
    assert asks(race.on_time(race.due or 0.0)) == [(1, "hedge")]


@pytest.mark.parametrize("policy", [PATIENT, RUN])
def test_without_a_share_or_a_deadline_nobody_is_asked_twice(policy: Policy) -> None:
    """And without a deadline nothing is ever late."""
    race = Race([known()], policy)
    race.begin(0.0)
    assert race.due == policy.deadline_s


def test_at_the_deadline_the_chain_goes_on() -> None:
    """To its end, which is told as a failure that may pass."""
    race = Race([Form(), Form()], PATIENT)
    race.begin(0.0)
    assert race.on_time(4.0) == [Drop(0), Ask(1, 1, "fallback")]
    assert race.on_time(7.9) == []
    dropped, given_up = race.on_time(8.0)
    assert dropped == Drop(1)
    assert given_up == GiveUp(ModelFailed("the model said nothing for 4 s", retryable=True))


def test_a_failure_that_may_pass_is_tried_again_after_growing_waits() -> None:
    """And then no more."""
    race = Race([Form()], PATIENT)
    race.begin(0.0)
    now = 0.0
    for number in range(MOST_RETRIES):
        assert race.failed(number, BUSY, now) == []
        assert race.due == pytest.approx(now + 0.1 * 2**number)
        now = race.due or 0.0
        assert asks(race.on_time(now)) == [(0, "retry")]
    assert race.failed(MOST_RETRIES, BUSY, now) == [GiveUp(BUSY)]


@pytest.mark.parametrize(
    ("policy", "models", "retry_after_s", "then"),
    [
        (PATIENT, 1, 1.5, 1.5),
        (PATIENT, 1, 4.0, "gives up"),
        (PATIENT, 2, 1.5, "falls back"),
        (PATIENT, 2, 0.2, 0.2),
        (PATIENT, 1, 0.0, 0.1),
        (PATIENT, 1, -5.0, 0.1),
        (PATIENT, 1, math.nan, 0.1),
        (PATIENT, 1, math.inf, "gives up"),
        (RUN, 1, math.inf, "gives up"),
        (RUN, 1, 8.0, 8.0),
        (RUN, 1, 60.0, "gives up"),
    ],
)
def test_retry_after_is_honoured_within_the_deadline(
    policy: Policy, models: int, retry_after_s: float, then: float | str
) -> None:
    """Never earlier; not at all if it is too late, or if another model need not wait."""
    race = Race([Form() for _ in range(models)], policy)
    race.begin(0.0)
    out = race.failed(0, ModelFailed("busy", retryable=True, retry_after_s=retry_after_s), 0.0)
    if isinstance(then, float):
        assert out == []
        assert asks(race.on_time(then - 0.001)) == []
        assert asks(race.on_time(then)) == [(0, "retry")]
    else:
        assert [type(action) for action in out] == [GiveUp if then == "gives up" else Ask]


def test_a_failure_for_good_goes_to_the_next_at_once() -> None:
    """A wrong key of one provider is nothing to the other; the last one's failure is told."""
    race = Race([Form(), Form()], PATIENT)
    race.begin(0.0)
    assert race.failed(0, WRONG, 0.1) == [Ask(1, 1, "fallback")]
    assert race.failed(1, WRONG, 0.2) == [GiveUp(WRONG)]


def test_a_request_that_is_too_long_is_nobody_s_to_try_again() -> None:
    """The turn makes it shorter."""
    race = Race([Form(), Form()], PATIENT)
    race.begin(0.0)
    assert race.failed(0, LONG, 0.1) == [GiveUp(LONG)]


def test_a_second_request_that_is_too_long_for_its_model_leaves_the_first_alone() -> None:
    """The first may take more; if it comes to nothing, that it was too long is told, as the turn can mend it."""
    race = Race([known(), known(), known()], LIVE)
    race.begin(0.0)
    race.on_time(0.45)
    assert race.failed(1, LONG, 0.5) == []
    assert race.on_time(4.0) == [Drop(0), GiveUp(LONG)]


def test_a_second_request_is_late_by_the_model_that_was_asked_last() -> None:
    """A retry or a fallback begins anew: it is not joined for the time that others took."""
    race = Race([known(0.3), known(0.6)], LIVE)
    race.begin(0.0)
    race.failed(0, BUSY, 0.4)
    assert asks(race.on_time(0.5)) == [(0, "retry")]
    assert race.failed(1, WRONG, 0.6) == [Ask(2, 1, "fallback")]
    assert race.due == pytest.approx(0.6 + 0.9)
    assert asks(race.on_time(1.5)) == [(1, "hedge")]


def test_a_retry_that_hangs_is_joined_too() -> None:
    """Though nothing was under way when the first one would have been."""
    race = Race([known()], LIVE)
    race.begin(0.0)
    race.failed(0, ModelFailed("busy", retryable=True, retry_after_s=1.0), 0.1)
    assert race.on_time(0.45) == []
    assert asks(race.on_time(1.1)) == [(0, "retry")]
    assert asks(race.on_time(race.due or 0.0)) == [(0, "hedge")]


def test_a_failure_beside_another_request_waits_for_that() -> None:
    """Whichever of them it is."""
    race = Race([known()], LIVE)
    race.begin(0.0)
    race.on_time(0.45)
    assert race.failed(0, BUSY, 0.5) == []
    assert race.useful(1, 0.7) == [Win(1, 0, "hedge", 0.45)]


def test_a_model_that_keeps_failing_is_left_out_while_there_is_another() -> None:
    """Where all of them do, the first is asked all the same."""
    assert asks(Race([failing(), Form()], PATIENT).begin(1.0)) == [(1, "fallback")]
    assert asks(Race([failing()], PATIENT).begin(1.0)) == [(0, "first")]


@pytest.mark.parametrize("now", [1.5, 5.0])
def test_a_model_that_keeps_failing_is_the_last_to_be_asked(now: float) -> None:
    """When the others failed soon; whoever has waited for a deadline already is told."""
    race = Race([failing(), known()], PATIENT)
    race.begin(1.0)
    out = race.failed(0, WRONG, now)
    assert out == ([Ask(1, 0, "fallback")] if now < 5.0 else [GiveUp(WRONG)])


def test_a_model_that_keeps_failing_is_tried_by_one_reply_at_a_time() -> None:
    """Whoever sees it admitted does not count on that: another's request is out when its own turn comes."""
    first, other = known(), failing()
    one, two = (Race([first, other], LIVE) for _ in range(2))
    for race in (one, two):
        race.begin(OPEN_S)
    assert [asks(race.on_time(OPEN_S + 0.45)) for race in (one, two)] == [[(1, "hedge")], [(0, "hedge")]]


def test_a_retry_is_not_sent_to_a_model_that_others_found_failing() -> None:
    """The next one's turn comes instead, where there is one."""
    first, other = Form(), known()
    chain, alone = Race([first, other], PATIENT), Race([first], PATIENT)
    for race in (chain, alone):
        race.begin(0.0)
        race.failed(0, BUSY, 0.0)
    for _ in range(FAILURES):
        first.failed(0.05)
    assert asks(chain.on_time(0.1)) == [(1, "fallback")]
    assert asks(alone.on_time(0.1)) == [(0, "retry")]


def test_a_second_request_that_is_not_needed_tells_nothing_of_its_model() -> None:
    """It was asked later than the one that won: a good fallback is not left out for that."""
    first, other = known(), known()
    for number in range(2 * FAILURES):
        first.earn(1.0)
        race = Race([first, other], LIVE)
        race.begin(float(number))
        assert asks(race.on_time(race.due or 0.0)) == [(1, "hedge")]
        race.useful(0, number + 0.5)
    assert other.admits(2.0 * FAILURES)


def test_to_be_late_is_a_failure_where_another_model_was_quicker() -> None:
    """So a provider that hangs is left out sooner or later, though every call of it is saved in time."""
    hanging, sound = Form(), known()
    for number in range(FAILURES):
        hanging.earn(1.0)
        race = Race([hanging, sound], LIVE)
        now = 10.0 * number
        race.begin(now)
        race.on_time(now + 2.0)
        race.useful(1, now + 2.3)
    assert not hanging.admits(10.0 * FAILURES - 5)
