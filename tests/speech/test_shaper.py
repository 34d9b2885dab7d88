"""Speech on its way out, in both forms at once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.speech.cuts import texts
from voice_agent.speech.form import SpeechForm
from voice_agent.speech.shaper import Shaper

BOTH = SpeechForm(spoken=True, sentences=True)


def shaped(text: str, size: int = 1000, form: SpeechForm = BOTH) -> tuple[list[str], Shaper]:
    """What is said of the text, given in pieces of this size."""
    shaper = Shaper(form)
    said = [piece for at in range(0, len(text), size) for piece in shaper.feed(text[at : at + size])]
    return said + shaper.flush(), shaper


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Great job! 🎉\n", ["Great job!"]),
        ("**Yes**!\n\n- one\n\n", ["Yes!", "\none."]),
        ("One.\n\n---\n", ["One."]),
        ("😀", []),
        ("...\n", []),
    ],
)
def test_a_piece_without_words_is_not_said(written: str, said: list[str]) -> None:
    """Once the rest is heard, it counts as heard too."""
    found, shaper = shaped(written)
    assert found == said
    assert shaper.heard(sum(map(len, said))) == written


def test_as_it_was_written_nothing_is_left_out() -> None:
    """A client that shows the text gets all of it."""
    assert shaped("Great job! 🎉\n", form=SpeechForm(sentences=True))[0] == ["Great job!", " 🎉\n"]


def test_what_has_words_and_was_never_let_go_was_not_heard() -> None:
    """However far the marks go."""
    shaper = Shaper(BOTH)
    assert shaper.feed("**Well**, I thought") == ["Well,"]
    assert (shaper.heard(99), shaper.written) == ("**Well**,", "**Well**, I thought")


def test_a_text_goes_on_after_what_was_not_said_of_it() -> None:
    """A flush in the middle: the marks after it count from what was said."""
    shaper = Shaper(BOTH)
    said = [*shaper.feed("One. 😀\n"), *shaper.flush(), *shaper.feed("*Two*."), *shaper.flush()]
    assert said == ["One.", "Two."]
    assert [shaper.heard(chars) for chars in (3, 5, 7)] == ["One", "One. 😀\n*T", "One. 😀\n*Two*"]


@settings(deadline=None, max_examples=300)
@given(texts, st.integers(1, 9))
def test_every_piece_has_words_and_all_of_them_are_the_text(text: str, size: int) -> None:
    """No letter is lost, and a mark at the end stands for the whole text."""
    said, shaper = shaped(text, size)
    plain = "".join(shaped(text, form=SpeechForm(spoken=True))[0])
    assert all(any(map(str.isalnum, piece)) for piece in said)
    assert list(filter(str.isalnum, "".join(said))) == list(filter(str.isalnum, plain))
    assert shaper.heard(len("".join(said))) == text
