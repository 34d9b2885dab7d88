"""The archive of one pair, pure: takes what the store tells of it and answers searches, best first.

What is outside the time window or in the prompt already is left out before anything is ranked.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import assert_never

import msgspec
import numpy as np

from voice_agent.memory.keys import KeyIndex
from voice_agent.memory.lexical import NEIGHBOURS, Floats, LexicalIndex
from voice_agent.memory.passages import Passage, key_of, key_of_text, passage_of, passages_of
from voice_agent.memory.ranking import adjust, best
from voice_agent.memory.words import query_terms
from voice_agent.store.base import LoggedTurn
from voice_agent.store.memory import Document, Passages, SearchKey

Item = LoggedTurn | Document | SearchKey | str
_SESSION_GAP_S = 3600.0
_NEVER = float("nan")


class Query(msgspec.Struct, frozen=True):
    """What is looked for; times in seconds since the epoch, both ends included.

    `keywords` are ranked together with `words`: what both ask for counts twice. `exclude` are passage ids.
    """

    words: str
    keywords: tuple[str, ...] = ()
    start: float | None = None
    end: float | None = None
    exclude: frozenset[str] = frozenset()
    limit: int = 10


class Found(msgspec.Struct, frozen=True):
    """A passage with its score, which means something only beside the others of the same search."""

    passage: Passage
    score: float


def items(passages: Passages) -> Iterable[Item]:
    """What the store told, in an order in which an archive can take it."""
    yield from passages.turns
    yield from passages.documents
    yield from passages.keys
    yield from passages.gone


class _Thread:
    """Where a source of passages stands: its session and the last passages of it, nearest first."""

    def __init__(self) -> None:
        self.session = 0
        self.label: str | None = None
        self.at = 0.0
        self.last: list[int] = []


class Archive:
    """Grows by `take`; `len` is the number of passages it was ever given."""

    def __init__(self) -> None:
        self._index = LexicalIndex()
        self._keys = KeyIndex()
        # Passages are numbered from 1, as in the index; a time of nan is what no window contains.
        self._passages: list[Passage | None] = [None]
        self._times = array("d", [_NEVER])
        self._sessions = array("i", [0])
        self._questions = array("f", [0.0])
        self._entries: dict[str, int] = {}
        self._order: list[tuple[int, int, int]] = []
        self._ordered: list[int] = []
        self._talk, self._papers = _Thread(), _Thread()
        self._session_count = 1

    def __contains__(self, passage_id: str) -> bool:
        return passage_id in self._entries

    def __len__(self) -> int:
        return len(self._passages) - 1

    def take(self, item: Item) -> None:
        """A turn, a document, a key to messages, or the id of a document that is gone. Any may come again."""
        match item:
            case LoggedTurn():
                for passage in passages_of(item):
                    self._put(passage, self._talk, item.record.key.partition(":")[0])
            case Document():
                self._put(passage_of(item), self._papers, "")
            case SearchKey():
                self._lead(item)
            case str():
                self._remove(item)
            case _:
                assert_never(item)

    def search(self, query: Query) -> tuple[Found, ...]:
        """The passages that have most to do with the query, at most `limit`; none if it has no known word."""
        weights: dict[str, float] = {}
        for text in (query.words, " ".join(query.keywords)):
            for term, weight in query_terms(text).items():
                weights[term] = weights.get(term, 0.0) + weight
        scores = self._index.scores(weights)
        self._keys.lift(scores, weights)
        self._leave_out(scores, query)
        sessions, questions = np.frombuffer(self._sessions, np.int32), np.frombuffer(self._questions, np.float32)
        adjust(scores, sessions, questions)
        return tuple(
            Found(passage, float(scores[entry]))
            for entry in best(scores, query.limit)
            if (passage := self._passages[entry]) is not None
        )

    # ---- ranking ----

    def _leave_out(self, scores: Floats, query: Query) -> None:
        times = np.frombuffer(self._times, np.float64)
        start = -np.inf if query.start is None else query.start
        end = np.inf if query.end is None else query.end
        scores *= (times >= start) & (times <= end)
        for passage_id in query.exclude:
            scores[self._entries.get(passage_id, 0)] = 0.0

    # ---- what it is told ----

    def _put(self, passage: Passage, thread: _Thread, label: str) -> None:
        known = self._entries.get(passage.id)
        if known is not None:
            self._reword(known, passage)
            return
        if thread.label != label or abs(passage.at - thread.at) > _SESSION_GAP_S:
            thread.session, thread.label, thread.last = self._session_count, label, []
            self._session_count += 1
        thread.at = passage.at
        key = key_of(passage)
        entry = self._index.append(key.terms, key.length, thread.last)
        thread.last = [entry, *thread.last[: NEIGHBOURS - 1]]
        self._entries[passage.id] = entry
        self._passages.append(passage)
        self._sessions.append(thread.session)
        self._times.append(passage.at if key.terms else _NEVER)
        self._questions.append(passage.asks)
        if passage.source == "message":
            self._order.append(_order(passage.id))
            self._ordered.append(entry)

    def _reword(self, entry: int, passage: Passage) -> None:
        """A message whose heard text moved after its turn's end."""
        before = self._passages[entry]
        if before == passage:
            return
        key = key_of(passage)
        self._index.replace(entry, key_of(before).terms if before else (), key.terms, key.length)
        self._passages[entry] = passage
        self._times[entry] = passage.at if key.terms else _NEVER
        self._questions[entry] = passage.asks

    def _remove(self, passage_id: str) -> None:
        entry = self._entries.pop(passage_id, 0)
        passage = self._passages[entry]
        if passage is not None:
            self._index.replace(entry, key_of(passage).terms, (), 0)
            self._passages[entry] = None
            self._times[entry] = _NEVER

    def _lead(self, key: SearchKey) -> None:
        low, high = bisect_left(self._order, _order(key.first)), bisect_right(self._order, _order(key.last))
        for text in filter(None, (key.context, *key.facts)):
            self._keys.append(key_of_text(text), self._ordered[low:high])


def _order(message_id: str) -> tuple[int, int, int]:
    """Message ids (`ms-n.place`) as they follow each other."""
    entry, _, place = message_id.partition(".")
    ms, _, n = entry.partition("-")
    return int(ms), int(n or 0), int(place or 0)
