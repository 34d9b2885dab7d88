"""The spoken form: what it leaves out, and that it is the same however the text was cut."""

import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings

from tests.speech.cuts import cuttings, texts
from voice_agent.speech.spoken_text import SpokenText

MOST_HELD = 12


def read(*pieces: str) -> tuple[str, list[int]]:
    """What is said, and how much of the written text each beginning of it stands for."""
    form = SpokenText()
    said = "".join(map(form.feed, pieces)) + form.flush()
    return said, [form.offsets.written_for(chars) for chars in range(len(said) + 1)]


def spoken(text: str) -> str:
    return read(text)[0]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Plain words, and 3 * 4 = 12.", "Plain words, and 3 * 4 = 12."),
        ("**Bold**, *it*, ***both***, __b__, _i_, ~~no~~.", "Bold, it, both, b, i, no."),
        ("snake_case and 2*3*4 and a_b_c and ~5", "snake_case and 2*3*4 and a_b_c and ~5"),
        ("un*believ*able", "unbelievable"),
        ("Run `ls *.py` now", "Run ls *.py now"),
        ("# Title\n\nText", "Title.\nText"),
        ("## What now?\nText", "What now?\nText"),
        ("#1 and #tag", "#1 and #tag"),
        ("- one\n- two\n* three\n+ four\n• five\n", "one.\ntwo.\nthree.\nfour.\nfive.\n"),
        ("- 你好\n- नमस्ते\n", "你好。\nनमस्ते।\n"),
        ("1. One\n2) Two.\n", "1. One.\n2) Two.\n"),
        ("3.14 is pi\n-5 degrees", "3.14 is pi\n-5 degrees"),
        ("- [x] done\n- [ ] open", "done.\nopen"),
        ("> said\n> so", "said\nso"),
        ("a\n---\nb\n***\nc\n", "a\nb\nc\n"),
        ("Title\n=====\nText", "Title\nText"),
        ("```py\nx = 1  # *no*\n```\nDone", "x = 1  # *no*\nDone"),
        ("~~~\na_b_\n~~~\nc", "a_b_\nc"),
        ("| a | b |\n|---|:-:|\n| **1** | - |\n", "a, b.\n1, -.\n"),
        ("|你|好|\n|-|-|\n", "你、好。\n"),
        ("[My site](https://x.com/a_b) here", "My site here"),
        ("[a](/b) [c](#d) [e](mailto:f@g.h)", "a c e"),
        ("[he laughs](quietly) [1]", "he laughs(quietly) 1"),
        ("![A cat](https://x.com/c.png)", "A cat"),
        ("See https://www.example.com/docs/a_b?x=1&y=2#z.", "See example.com/docs/a_b."),
        ("Is it http://example.com/?", "Is it example.com?"),
        ("www.example.org/, <https://a.b/>!", "example.org, a.b!"),
        ("**https://a.b**", "a.b"),
        ("What? How? http", "What? How? http"),
        ("[a](https://b.c/d_(e) \"f\")!", "a!"),
        ("Great 😀 job 🎉", "Great job"),
        ("Well 🎉! Yes😀No 👍🏽 (so 😀)", "Well! Yes No (so)"),
        ("👩‍👩‍👧 🇩🇪 1️⃣ ✅", "1"),
        ("two  blanks \nand so  ", "two blanks\nand so"),
        ("# Title\r\n\r\n- one\r\n|a|b|\r\n|-|-|\r\n```\r\nx\r\n```\r\n", "Title.\none.\na, b.\nx\n"),
        ("क्‍ष می‌شود", "क्‍ष می‌شود"),
        (r"\*not\* \# a \\ mark", r"*not* # a \ mark"),
        ("a < b and c | d", "a < b and c | d"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_is_only_for_the_eye_is_left_out(written: str, said: str) -> None:
    """Marks go, words stay, and things of a list end in a pause."""
    assert spoken(written) == said


@settings(deadline=None, max_examples=300)
@given(texts)
def test_however_a_text_is_cut_it_is_said_as_the_whole_is(text: str) -> None:
    """Cut at every place, and into characters, the pieces add up to what the whole text gives, and so does the map."""
    whole = read(text)
    for pieces in cuttings(text):
        assert read(*pieces) == whole, pieces


@settings(deadline=None, max_examples=300)
@given(texts)
def test_a_word_waits_for_a_dozen_characters_at_most(text: str) -> None:
    """What is kept back is short, however long the text, and never more than the text that was fed."""
    form = SpokenText()
    for character in text:
        form.feed(character)
        assert len(form._text) <= MOST_HELD


@pytest.mark.parametrize("ending", [".", "!", "?", ",", "。", "word", ")", "é"])
def test_what_is_certain_is_not_kept_back(ending: str) -> None:
    """The end of a clause is said with the very piece that brings it."""
    form = SpokenText()
    assert form.feed("Sure" + ending) == "Sure" + ending


def test_the_points_of_an_address_wait_for_what_follows() -> None:
    """So the groups of sentences see whether it goes on."""
    form = SpokenText()
    assert [form.feed(text) for text in ("At https://a.", "com", "/b", ". ")] == ["At a", ".com", "/b", "."]


@settings(deadline=None, max_examples=300)
@given(texts)
def test_the_map_leads_from_what_was_said_to_what_was_written(text: str) -> None:
    """It never goes back, ends where the text ends, and letters lead to themselves."""
    form = SpokenText()
    said = form.feed(text) + form.flush()
    places = [form.offsets.written_for(chars) for chars in range(len(said) + 1)]
    assert places == sorted(places)
    assert (form.offsets.spoken, form.offsets.written) == (len(said), len(text))
    assert places[-1] == len(text)
    for chars, character in enumerate(said, 1):
        if character.isalnum():
            assert character in text[places[chars - 1] : places[chars]]


@pytest.mark.parametrize(
    ("chars", "written"),
    [(0, ""), (3, "# Tit"), (5, "# Title"), (7, "# Title\n"), (8, "# Title\n**B"), (11, "# Title\n**Bold**")],
)
def test_a_mark_cuts_where_the_words_are(chars: int, written: str) -> None:
    """What opens goes with the word after it, what closes with the word before it."""
    text, form = "# Title\n**Bold** it", SpokenText()
    assert form.feed(text) + form.flush() == "Title.\nBold it"
    assert text[: form.offsets.written_for(chars)] == written


def steps_for(text: str, size: int) -> int:
    """How many lines of code it takes to read a text in pieces of this size."""
    form, steps = SpokenText(), 0

    def count(_: FrameType, event: str, __: Any) -> Any:
        nonlocal steps
        steps += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        for start in range(0, len(text), size):
            form.feed(text[start : start + size])
        form.flush()
    finally:
        sys.settrace(before)
    return steps


@pytest.mark.parametrize(
    "unit", ["word **b** ", "*", "`", "|", "#", "h", "https://a.b?c ", "[", "](", "\\", "😀", " ", "\r", "\n- "]
)
def test_the_work_grows_with_the_text_and_no_faster(unit: str) -> None:
    """Ten times the text takes ten times the steps, whatever it is made of."""
    short, long = steps_for(unit * 50, 4), steps_for(unit * 500, 4)
    assert long < 11 * short
