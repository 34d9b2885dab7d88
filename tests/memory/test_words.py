"""Words: what is said in any form and script comes out as the terms under which it was kept."""

import pytest

from voice_agent.memory.words import date_terms, query_terms, terms


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("she went camping", "she goes camping"),
        ("painted two stories", "paint two story"),
        ("Making plans", "made a plan"),
        ("the children ran", "child running"),
        ("we stopped", "stops"),
        ("studying", "he studied"),
        ("boxes and dishes", "box, dish"),
        ("Caroline's café", "caroline cafe"),
        ("on May 7th", "7 may"),
        ("Melanie\u2019s", "melanie"),
        ("\uff26\uff35\uff2c\uff2c width", "full width"),
    ],
)
def test_forms_of_a_word_share_their_term(one: str, other: str) -> None:
    """Irregular verbs, endings, possessives, accents, ordinals and wide letters."""
    asked = {term for term, weight in query_terms(other).items() if weight == 1.0}
    assert asked
    assert asked <= set(terms(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [("paint", "pain"), ("bus", "bu"), ("sing", "sin"), ("thing", "th"), ("red", "r"), ("glass", "glas")],
)
def test_different_words_stay_different(one: str, other: str) -> None:
    """A stemmer that cuts too much would make them one."""
    assert terms(one) != terms(other)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("明日は京都に行きます", "京都"),
        ("我家有一只猫。", "猫"),
        ("ไปเที่ยวทะเล", "ทะเล"),
        ("다음 주에 서울에 가요", "서울"),
        ("Привет, как дела?", "ДЕЛА"),
        ("मैं हिन्दी सीखता हूँ", "हिन्दी"),
        ("مرحبا بالعالم", "مرحبا"),
        ("great 👍", "👍"),
        ("flight BA0117 at 10:30", "ba0117"),
    ],
)
def test_words_of_any_script_are_found_in_a_text(text: str, word: str) -> None:
    """Those of scripts without spaces too, down to one character, and pictures."""
    assert set(terms(word)) <= set(terms(text))


def test_stop_words_count_for_little_in_a_question() -> None:
    """The subject decides, but a question of nothing else still asks for something."""
    weights = query_terms("hey um what did Caroline research please")
    assert [term for term, weight in weights.items() if weight == 1.0] == ["carolin", "research"]
    assert all(0 < weight < 0.5 for weight in query_terms("what was it").values())


def test_a_date_is_known_by_the_words_for_it() -> None:
    """Day, month and year, as a caller would say them."""
    assert set(terms("8th of May, 2023")) > set(date_terms(1_683_554_160.0))


def test_text_without_words_has_no_terms() -> None:
    """Spaces, points and underscores are nothing to look for."""
    assert terms(" … _ -- !!") == []
    assert query_terms("") == {}
