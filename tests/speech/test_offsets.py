"""The map from spoken to written text."""

from hypothesis import given
from hypothesis import strategies as st

from voice_agent.speech.offsets import OffsetMap


def test_copies_lead_to_themselves_and_units_count_when_they_are_whole() -> None:
    """Three copied, two left out, four written for two spoken."""
    offsets = OffsetMap()
    for run in ((3, 3), (0, 2), (2, 4), (1, 1)):
        offsets.add(*run)
    assert [offsets.written_for(chars) for chars in range(8)] == [0, 1, 2, 5, 5, 9, 10, 10]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(any)))
def test_any_runs_lead_forward_to_the_end(runs: list[tuple[int, int]]) -> None:
    """More spoken never stands for less written."""
    offsets = OffsetMap()
    for run in runs:
        offsets.add(*run)
    places = [offsets.written_for(chars) for chars in range(offsets.spoken + 1)]
    assert places == sorted(places)
    assert places[-1] == sum(written for _, written in runs)
