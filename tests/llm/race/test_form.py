"""A model's record: its circuit, the delay of a second request, and what may be spent on such."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.llm.race.chains import failing
from voice_agent.llm.race.form import FAILURES, FIRST_CREDIT, MOST_CREDIT, OPEN_S, Form


def test_a_circuit_opens_after_failures_in_a_row() -> None:
    """Any success between them starts the count anew."""
    form = Form()
    for _ in range(FAILURES - 1):
        form.failed(0.0)
    form.finished()
    form.failed(0.0)
    assert form.admits(0.0)
    assert not failing().admits(OPEN_S - 0.01)


def test_one_request_at_a_time_tries_a_model_that_kept_failing() -> None:
    """After a while; its failure keeps the circuit open, its success closes it."""
    form = failing()
    assert form.admits(OPEN_S)
    form.asked(OPEN_S)
    assert not form.admits(OPEN_S + 0.1)
    form.failed(OPEN_S + 1)
    assert not form.admits(2 * OPEN_S + 0.9)
    assert form.admits(2 * OPEN_S + 1)
    form.finished()
    assert form.admits(0.0)


def test_a_circuit_tells_when_it_opens_and_closes() -> None:
    """Once each, however many failures follow."""
    told: list[bool] = []
    form = Form(told.append)
    for _ in range(FAILURES + 3):
        form.failed(0.0)
    form.finished()
    form.finished()
    assert told == [True, False]


def test_a_first_word_closes_the_circuit_until_the_next_failure() -> None:
    """A caller who always cuts in leaves no model out; one that never gets to the end of a reply is left out again."""
    form = failing()
    form.spoke_after(0.3)
    assert form.admits(0.0)
    form.failed(1.0)
    assert not form.admits(1.0)
    form.spoke_after(0.3)
    form.finished()
    form.failed(2.0)
    assert form.admits(2.0)


def test_a_trial_that_nobody_waited_for_is_made_again() -> None:
    """A request that was cancelled is neither a failure nor the last one for ever."""
    form = failing()
    form.asked(OPEN_S)
    assert not form.admits(2 * OPEN_S - 0.1)
    assert form.admits(2 * OPEN_S)


def test_a_second_request_waits_for_half_the_deadline_until_enough_is_known() -> None:
    """Then for one and a half times what nine of ten need."""
    form = Form()
    for number in range(1, 10):
        form.spoke_after(number / 10)
    assert form.hedge_after(4.0) == 2.0
    form.spoke_after(8.0)
    assert form.hedge_after(4.0) == pytest.approx(1.35)


@pytest.mark.parametrize(("seconds", "delay"), [(0.001, 0.1), (0.3, 0.45), (30.0, 2.0)])
def test_the_delay_has_bounds(seconds: float, delay: float) -> None:
    """A quick model's jitter is no reason for a second request, and a slow one does not put it off for ever."""
    form = Form()
    for _ in range(50):
        form.spoke_after(seconds)
    assert form.hedge_after(4.0) == pytest.approx(delay)


@given(st.lists(st.booleans(), max_size=300), st.sampled_from([0.0, 0.08, 0.5, 1.0]))
def test_no_more_is_spent_than_was_earned(wants: list[bool], share: float) -> None:
    """A few are free at the start."""
    form, spent = Form(), 0
    for asked, wanted in enumerate(wants, 1):
        form.earn(share)
        spent += wanted and form.spend()
        assert spent <= FIRST_CREDIT + share * asked + 1e-6


def test_what_is_saved_is_bounded() -> None:
    """A day of good replies does not pay for an hour of doubled ones."""
    form = Form()
    for _ in range(1000):
        form.earn(0.08)
    assert sum(form.spend() for _ in range(100)) == MOST_CREDIT
