"""The lexical index: its scores are those of the formula, and however it came to its passages, they are the same."""

from collections.abc import Sequence
from math import log1p

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice_agent.memory.lexical import LexicalIndex

K1, B = 0.9, 0.4
TERMS = st.lists(st.sampled_from("abcde"), max_size=6)


def built(passages: Sequence[Sequence[str]]) -> LexicalIndex:
    """An index of passages that follow each other."""
    index = LexicalIndex()
    last: list[int] = []
    for terms in passages:
        last = [index.append(terms, len(terms), last), *last[:1]]
    return index


def by_hand(passages: Sequence[Sequence[str]], weights: dict[str, float]) -> list[float]:
    """BM25 of each passage alone, plus BM25 of it with two neighbours on either side."""
    around = [
        [term for other in passages[max(0, place - 2) : place + 3] for term in other] for place in range(len(passages))
    ]
    scores = [0.0] * len(passages)
    for texts in (passages, around):
        entries = max(1, sum(1 for text in texts if text))
        mean = max(1.0, sum(map(len, texts)) / entries)
        for term, weight in weights.items():
            having = sum(term in text for text in texts)
            idf = log1p((max(0, entries - having) + 0.5) / (having + 0.5))
            for place, text in enumerate(texts):
                count = text.count(term)
                scores[place] += weight * idf * count / (count + K1 * (1 - B + B * len(text) / mean))
    return scores


@settings(max_examples=60, deadline=None)
@given(st.lists(TERMS, max_size=30))
def test_scores_are_those_of_the_formula(passages: list[list[str]]) -> None:
    """For rare terms and for common ones, which are counted along another way."""
    weights = {"a": 1.0, "c": 0.2, "unknown": 1.0}
    assert built(passages).scores(weights)[1:] == pytest.approx(by_hand(passages, weights), rel=1e-4, abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.lists(TERMS, min_size=1, max_size=12), st.lists(st.tuples(st.integers(0, 11), TERMS), max_size=8))
def test_rewording_leaves_the_index_as_if_it_had_been_so_from_the_start(
    passages: list[list[str]], changes: list[tuple[int, list[str]]]
) -> None:
    """Also when a passage loses all its terms, which is what removing it means."""
    index = built(passages)
    for place, terms in changes:
        if place < len(passages):
            index.replace(place + 1, passages[place], terms, len(terms))
            passages[place] = terms
    weights = dict.fromkeys("abcde", 1.0)
    assert index.scores(weights) == pytest.approx(built(passages).scores(weights), rel=1e-4, abs=1e-5)


def test_neighbours_lend_their_words_as_far_as_two_passages_on() -> None:
    """And passages that are not linked lend nothing."""
    index = built([["x"], ["y"], ["y"], ["y"]])
    index.append(["y"], 1, [])
    scores = index.scores({"x": 1.0})
    assert [bool(score) for score in scores] == [False, True, True, True, False, False]
    assert scores[1] > scores[2]


def test_an_empty_index_has_no_scores() -> None:
    """Nobody's place is all there is."""
    assert LexicalIndex().scores({"a": 1.0}).tolist() == [0.0]


def test_of_many_terms_the_rarest_are_looked_for() -> None:
    """A search has its time; a word that is everywhere tells least."""
    common = [f"w{n}" for n in range(40)]
    index = built([*[common] * 3, ["rare"]])
    many = index.scores(dict.fromkeys(common, 1.0))
    assert many.tolist() == index.scores(dict.fromkeys(common[:16], 1.0)).tolist()
    assert index.scores(dict.fromkeys([*common, "rare"], 1.0))[4] > many[4]
