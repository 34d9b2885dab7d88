"""Sentence grouping: where pieces end, when they leave, and that nothing is lost."""

import pytest
from hypothesis import example, given, settings

from tests.speech.cuts import cuttings, texts
from voice_agent.speech.sentences import Sentences

LONGEST = 252
MOST_HELD = 264


def pieces(text: str, size: int) -> list[str]:
    sentences = Sentences()
    found = [piece for at in range(0, len(text), size) for piece in sentences.feed(text[at : at + size])]
    return found + sentences.flush()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(
    "sentences",
    [
        ["Hello there.", " How are you?", " Fine!", " Bye"],
        ["Well,", " one, two, and three.", " Four; five."],
        ["It costs 3.14 or 1,000 at 12:30 o'clock.", " Yes."],
        ["See Dr. Smith and Mrs. Jones,", " e.g. in St. Ives.", " Good."],
        ["We meet at 5 p.m. on Friday.", " We met at 5 p.m.", " Then we left."],
        ["The U.S. is big.", " J. S. Bach wrote it.", " So do I.", " Good."],
        ["Am 3. Mai kommt Dr. Wolf,", " z. B. heute, d. h. bald.", " Gut."],
        ["It was in 2024.", " Now it is not."],
        ["Look at https://example.com/a.b?c=d.e now.", " Or www.example.com.", " Or me@example.com.", " Thanks."],
        ["Your total is 42.", " Anything else?", " I am 5.", " Den 3. maj kommer."],
        ["Well,", " he said: „Der 2. Weltkrieg“.", " 'Hi.'", " (Really?)", ' "Yes!"', " And so…", " Fine"],
        ["So,", " visit example.com or foo.co.uk/a.", " Not now..."],
        ["Open config_file.py or a/b.txt now.", " Done."],
        ["1. First\n", "2. Second\n", "Third"],
        ["你好，", "今天是3.5度。", "走吧！", "好吗？"],
        ["现在是10：30分，", "共3，000个。", "他说“你好。”", "然后走了。"],
        ["はい、", "そうです。", "本当ですか？", "ええ"],
        ["नमस्ते।", " आप कैसे हैं?", " ठीक है॥", " डॉ. शर्मा हैं।", " हाँ"],
        ["مرحبا،", " كيف حالك؟", " أنا بخير.", " د. أحمد هنا.", " نعم"],
        ["Bonjour !", " Ça va ?", " Oui."],
    ],
)  # fmt: skip
def test_pieces_end_where_clauses_and_sentences_do(sentences: list[str], size: int) -> None:
    """The first ends with its clause, the others with their sentences: whatever the script, however it is cut."""
    assert pieces("".join(sentences), size) == sentences


@pytest.mark.parametrize(
    ("tokens", "leaves"),
    [
        (["Sure", ",", " I", " can"], "Sure,"),
        (["Hello", " there", ".", " How"], "Hello there."),
        (["Really", "?", " Yes"], "Really?"),
        (["One", " moment", "…", " so"], "One moment…"),
        (["你好", "，", "今天"], "你好，"),
        (["はい", "。", "そう"], "はい。"),
        (["नमस्ते", "।", " आप"], "नमस्ते।"),
        (["نعم", "،", " أنا"], "نعم،"),
        (["So do I", ".", " Good"], "So do I."),
        (["Title", "\n", "Text"], "Title\n"),
    ],
)
def test_the_first_clause_leaves_with_its_own_last_token(tokens: list[str], leaves: str) -> None:
    """It does not wait for the first token of what follows."""
    sentences = Sentences()
    last = next(n for n in range(len(tokens)) if "".join(tokens[: n + 1]) == leaves)
    assert [sentences.feed(token) for token in tokens[: last + 1]] == [[]] * last + [[leaves]]


@pytest.mark.parametrize(
    ("doubtful", "goes_on", "ends"),
    [
        ("It is 2024.", "5 today", " So"),
        ("At 12:", "30 sharp", " now"),
        ("See www.", "a.com", " So"),
        ("I like the U.S.", " a lot", " We"),
        ("At https://a.b.", "c/d", " So"),
    ],
)
def test_where_a_word_may_go_on_one_more_token_is_awaited(doubtful: str, goes_on: str, ends: str) -> None:
    """What follows decides, and nothing is let go of before."""
    first, second = Sentences(), Sentences()
    assert first.feed(doubtful) == second.feed(doubtful) == []
    assert first.feed(goes_on) == []
    assert second.feed(ends) == [doubtful]


def test_a_name_that_comes_in_tokens_as_models_write_it_stays_whole() -> None:
    """The full stop of an address without a scheme comes with what follows it."""
    sentences = Sentences()
    assert [piece for token in ("Visit", " example", ".com", " now", ".") for piece in sentences.feed(token)] == [
        "Visit example.com now."
    ]


def test_what_closes_the_first_piece_goes_with_it_if_it_comes_with_it() -> None:
    """The first waits for no quote."""
    first, second = Sentences(), Sentences()
    assert (first.feed('"Hi."'), second.feed('"Hi.') + second.feed('"')) == (['"Hi."'], ['"Hi.'])


@settings(deadline=None, max_examples=200)
@given(texts)
@example("b " * 117 + 'ccc." d')  # the longest piece, with a quote after it
def test_all_pieces_but_the_first_are_the_same_however_the_text_is_cut(text: str) -> None:
    """As the whole text gives them, wherever it was cut."""
    whole = pieces("Well, a" + text, 10_000)
    for cutting in cuttings("Well, a" + text):
        sentences = Sentences()
        assert [piece for part in cutting for piece in sentences.feed(part)] + sentences.flush() == whole, cutting


@pytest.mark.parametrize("text", ["字" * 1000, "word " * 300, "x" * 1000, "one two, " * 100, "a" + "!" * 1000])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_text_without_an_end_leaves_all_the_same(text: str, size: int) -> None:
    """In pieces of bounded length: with a clause, at a space, or where it has to be."""
    found = pieces(text, size)
    assert "".join(found) == text
    assert all(len(piece) <= LONGEST for piece in found)
    if " " in text:
        assert all(text[sum(map(len, found[:n]))] == " " for n in range(1, len(found)) if found[n:] != [" "])


@settings(deadline=None, max_examples=200)
@given(texts)
def test_nothing_is_lost_and_little_is_held(text: str) -> None:
    """However the text is cut, the pieces are the text, none is empty, and what waits is bounded."""
    for cutting in cuttings(text):
        sentences = Sentences()
        found = []
        for piece in cutting:
            found += sentences.feed(piece)
            assert len(sentences._text) <= MOST_HELD
        found += sentences.flush()
        assert "".join(found) == text
        assert all(found)
