"""How fast the voice speaks: a guess, and what reports of playback make of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.speaking_rate import CHARS_PER_S, SpeakingRate, letters


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("Hello, you.", 11),
        ("äöü", 3),
        ("नमस्ते", 6),
        ("你好", 6),
        ("はい", 4),
        ("네", 3),
        ("OK 好", 6),
        ("🎉", 1),
    ],
)
def test_signs_that_are_whole_syllables_take_longer(text: str, count: int) -> None:
    """Chinese is spoken at a third as many signs a second as English, kana at half as many."""
    assert letters(text) == count


def test_before_anything_is_known_it_is_a_guess() -> None:
    """150 words a minute; no time is no speech, whatever the clock did."""
    rate = SpeakingRate()
    assert rate.chars_per_s == CHARS_PER_S
    assert (rate.chars_in(2.0), rate.chars_in(-1.0), rate.seconds(30)) == (30, 0, 2.0)


def test_a_few_reports_make_it_the_voice_of_this_session() -> None:
    """Twenty seconds of a voice at 20 a second outweigh the guess by far."""
    rate = SpeakingRate()
    for _ in range(5):
        rate.observe(80, 4.0)
    assert 19 < rate.chars_per_s < 20


def test_it_follows_a_voice_that_changes() -> None:
    """However long it spoke the other way before."""
    rate = SpeakingRate()
    for _ in range(100):
        rate.observe(100, 5.0)
    for _ in range(24):
        rate.observe(50, 5.0)
    assert 10 < rate.chars_per_s < 11.5


@pytest.mark.parametrize(("chars", "seconds"), [(0, 5.0), (20, 5.0), (300, 5.0), (-50, 5.0), (25, 1.9), (9, 0.0)])
def test_what_no_voice_does_is_not_believed(chars: int, seconds: float) -> None:
    """Playback that was paused, a mark that jumps, and marks that come in the first instants."""
    rate = SpeakingRate()
    rate.observe(chars, seconds)
    assert rate.chars_per_s == CHARS_PER_S


@given(st.lists(st.tuples(st.integers(-1000, 100_000), st.floats(-10, 1e6))))
def test_whatever_is_reported_it_stays_a_voice(reports: list[tuple[int, float]]) -> None:
    """Nonsense cannot bring it out of what people can follow."""
    rate = SpeakingRate()
    for chars, seconds in reports:
        rate.observe(chars, seconds)
    assert 5 <= rate.chars_per_s <= 40.001
