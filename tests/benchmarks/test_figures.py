"""A figure against what it has to be, and the table that users read."""

import pytest

from benchmarks.drain import growth
from benchmarks.figures import Figure, table


def test_a_figure_has_to_be_past_its_limit() -> None:
    """Reaching it is not enough, on either side."""
    under = [Figure("", value, "ms", 2).holds for value in (1.9, 2.0, 2.1)]
    over = [Figure("", value, "jobs/s", 300, over=True).holds for value in (299.0, 300.0, 301.0)]
    assert (under, over) == ([True, False, False], [False, False, True])


def test_the_table_says_which_figures_are_missed() -> None:
    """One line each, with what was wanted."""
    _, kept, missed = table((Figure("search", 0.75, "ms", 2), Figure("drain", 120, "jobs/s", 300, over=True))).split(
        "\n"
    )
    assert kept.split() == ["search", "0.75", "<", "2", "ms"]
    assert missed.split() == ["drain", "120", ">", "300", "jobs/s", "MISSED"]


def test_growth_is_the_last_quarter_against_the_second() -> None:
    """What comes before does not count, and shrinking counts as growing does."""
    grown, shrunk = growth([1, 1, 100, 100, 7, 7, 110, 130]), growth([1, 1, 100, 100, 7, 7, 90, 70])
    assert [grown, shrunk] == pytest.approx([20, 20])
