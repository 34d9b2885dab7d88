"""Which words interrupt the agent: enough of them, and more than a sign that somebody listens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.interruption import interrupts

BACKCHANNELS = ("uh-huh", "Yeah", "I see", "mm hmm", "嗯", "はい", "हाँ", "อืม")


@pytest.mark.parametrize("text", ["", "  ", "...", "?!", "。", "…", "-", "'", "\u0902"])
def test_what_has_no_word_in_it_interrupts_nothing(text: str) -> None:
    """A recogniser that has nothing yet says so in many ways."""
    assert not interrupts(text, 0, ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stop", 1),
        ("Stop!", 1),
        ("no, wait", 2),
        ("that's not it", 3),
        ("uh-huh", 1),
        ("- so - what -", 2),
        ("it costs 3.50", 3),
        ("停", 1),
        ("等一下", 2),
        ("不\uff0c我想要别的", 3),
        ("はい", 1),
        ("ちょっと待って", 3),
        ("아니 잠깐만요", 2),
        ("หยุดก่อน", 2),
        ("रुको ज़रा", 2),
        ("انتظر لحظة", 2),
        ("OK 好的", 2),
    ],
)
def test_words_are_counted_in_every_script(text: str, words: int) -> None:
    """By spaces where a script has them, by their usual length where it has none."""
    assert interrupts(text, words, ())
    assert not interrupts(text, words + 1, ())


@pytest.mark.parametrize(
    "text",
    [
        "uh-huh", "Uh-huh.", "uh huh", "UHHUH", "uh\u2011huh", "yeah, yeah", "Yeah! Yeah! Yeah!", "yeah-yeah",
        "I see...", "yeah I see, uh-huh", "mm-hmm", "mmhmm", "嗯", "嗯嗯嗯", "嗯\uff0c嗯。", "はい", "はいはい",
        "はい、はい", "हाँ हाँ", "อืม อืม", "\uff59\uff45\uff41\uff48",
    ],
)  # fmt: skip
def test_backchannels_interrupt_nothing_however_they_are_written(text: str) -> None:
    """Case, punctuation, hyphens, width and repetition make no difference; without them each would interrupt."""
    assert not interrupts(text, 0, BACKCHANNELS)
    assert interrupts(text, 0, ())


@pytest.mark.parametrize(
    "text", ["yeah but wait", "I", "see", "uh", "I see it", "yeahs", "嗯不对", "no", "see I", "はいら", "wait, yeah"]
)
def test_more_than_a_backchannel_interrupts(text: str) -> None:
    """A part of one does, and one with anything beside it."""
    assert interrupts(text, 0, BACKCHANNELS)


def test_a_backchannel_of_many_words_is_still_one() -> None:
    """Enough words alone do not interrupt."""
    assert not interrupts("I see, I see, I see", 2, BACKCHANNELS)


@pytest.mark.parametrize("written", ["mmhmm", "mm-hmm", "mm hmm"])
@pytest.mark.parametrize("text", ["Mmhmm", "mm-hmm."])
def test_an_agent_may_write_its_backchannels_in_any_way(written: str, text: str) -> None:
    """As the recogniser may."""
    assert not interrupts(text, 0, (written,))


def test_backchannels_without_a_word_match_nothing() -> None:
    """An agent may be defined with any."""
    assert interrupts("stop", 0, ("...", " "))
    assert not interrupts("...", 0, ("...",))


@given(st.lists(st.sampled_from(BACKCHANNELS), min_size=1, max_size=20), st.integers(0, 5))
def test_any_row_of_backchannels_is_one(row: list[str], least: int) -> None:
    """Also where one could be read as the beginning of another."""
    assert not interrupts(", ".join(row), least, BACKCHANNELS)


@given(st.text(), st.integers(0, 5))
def test_any_text_can_be_judged(text: str, least: int) -> None:
    """Asking for more words never makes a text interrupt."""
    assert interrupts(text, least, BACKCHANNELS) >= interrupts(text, least + 1, BACKCHANNELS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("u", False),
        ("uh", False),
        ("Uh-h", False),
        ("ok uh", False),
        ("uh oh", True),
        ("uh-huh wait", True),
        ("i", False),
    ],
)
def test_what_may_become_a_backchannel_does_not_interrupt_yet(text: str, expected: bool) -> None:
    """A recogniser writes the first half of "uh-huh" first; as its last word on it, that is a word."""
    known = ("uh-huh", "ok", "I see")
    assert interrupts(text, 0, known, final=False) is expected
    assert interrupts("uh", 0, known)
