"""A lexical index that grows by the passage: BM25 of each passage alone, plus BM25 of it with its neighbours.

Only a passage's own terms are stored. What its neighbours say is counted when a question is asked, along links between
passages, so that adding, rewording and removing one touch nothing else. Passages are numbered from 1; 0 is nobody.
"""

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
NEIGHBOURS = 2
# A term that one in so many passages has: looking at all passages is quicker than following its own.
_COMMON = 6
_K1, _B = 0.9, 0.4
_MOST_TERMS = 16


class Postings:
    """For each term, the entries that hold it and how often; and each entry's length in terms."""

    def __init__(self) -> None:
        self._terms: dict[str, tuple[array[int], array[float]]] = {}
        self.lengths = array("f", [0.0])

    def append(self, terms: Collection[str], length: int) -> int:
        """A new entry; returns its number."""
        entry = len(self.lengths)
        self.lengths.append(length)
        self._count(entry, terms)
        return entry

    def replace(self, entry: int, old: Iterable[str], new: Collection[str], length: int) -> None:
        """Other terms for an entry that had `old`."""
        for term in set(old):
            entries, counts = self._terms[term]
            place = entries.index(entry)
            del entries[place], counts[place]
            if not entries:
                del self._terms[term]
        self.lengths[entry] = length
        self._count(entry, new)

    def of(self, term: str) -> tuple[Ints, Floats]:
        """Entries with the term, and how often each has it. The arrays must be let go before the next change."""
        entries, counts = self._terms[term]
        return ints(entries), floats(counts)

    def rarest(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Of the terms that occur at all, the rarest, as many as a search has time for."""
        known = [term for term in weights if term in self._terms]
        known.sort(key=lambda term: len(self._terms[term][0]))
        return {term: weights[term] for term in known[:_MOST_TERMS]}

    def _count(self, entry: int, terms: Collection[str]) -> None:
        for term, count in Counter(terms).items():
            held = self._terms.get(term)
            if held is None:
                held = self._terms[term] = (array("i"), array("f"))
            held[0].append(entry)
            held[1].append(count)


class Norms:
    """How much each entry's length dampens its counts."""

    def __init__(self, lengths: Floats) -> None:
        # Entry 0 stands for nobody, and removed ones have no length.
        self.entries = max(1, int(np.count_nonzero(lengths)))
        mean = max(1.0, float(lengths.sum()) / self.entries)
        self._norms = (_K1 * (1 - _B) + _K1 * _B / mean * lengths).astype(np.float32)

    def add(self, scores: Floats, counts: Floats, weight: float) -> None:
        """Add a term's BM25, given how often each entry has it."""
        having = int(np.count_nonzero(counts))
        idf = np.log1p((max(0, self.entries - having) + 0.5) / (having + 0.5))
        damped = counts + self._norms
        np.divide(counts, damped, out=damped)
        damped *= np.float32(weight * idf)
        scores += damped


class LexicalIndex:
    """Passages and the links between neighbours."""

    def __init__(self) -> None:
        self._own = Postings()
        # Column by column: the passage one before each, two before it … then those after it.
        self._before = tuple(array("q", [0]) for _ in range(NEIGHBOURS))
        self._after = tuple(array("q", [0]) for _ in range(NEIGHBOURS))
        self._around = array("f", [0.0])

    def append(self, terms: Collection[str], length: int, before: Sequence[int]) -> int:
        """A new passage; returns its number. `before`: the passages just before it, nearest first, at most two."""
        entry = self._own.append(terms, length)
        for column in (*self._before, *self._after):
            column.append(0)
        for other, back, forth in zip(before, self._before, self._after, strict=False):
            back[entry], forth[other] = other, entry
        self._around.append(sum(self._own.lengths[other] for other in before))
        self._lengthen(entry, length)
        return entry

    def replace(self, entry: int, old: Iterable[str], new: Collection[str], length: int) -> None:
        """Other terms for a passage that had `old`; no terms and no length: it is gone."""
        self._lengthen(entry, length - self._own.lengths[entry])
        self._own.replace(entry, old, new, length)

    def scores(self, weights: Mapping[str, float]) -> Floats:
        """The score of each passage for weighted terms; 0 for those that have nothing to do with them."""
        columns = [np.frombuffer(column, np.int64) for column in (*self._before, *self._after)]
        alone, around = Norms(floats(self._own.lengths)), Norms(floats(self._around))
        scores = np.zeros(len(self._own.lengths), np.float32)
        for term, weight in self._own.rarest(weights).items():
            entries, counts = self._own.of(term)
            mine = np.zeros(len(scores), np.float32)
            mine[entries] = counts
            alone.add(scores, mine, weight)
            around.add(scores, _with_neighbours(mine, entries, counts, columns), weight)
        return scores

    def _lengthen(self, entry: int, by: float) -> None:
        self._around[entry] += by
        for column in (*self._before, *self._after):
            if column[entry]:
                self._around[column[entry]] += by


def _with_neighbours(mine: Floats, entries: Ints, counts: Floats, columns: Sequence[npt.NDArray[np.int64]]) -> Floats:
    """How often each passage and its neighbours have a term."""
    if len(entries) * _COMMON > len(mine):
        near = mine.copy()
        for column in columns:
            near += mine[column]
        return near
    reached = np.concatenate((entries, *(column[entries] for column in columns)))
    near = np.bincount(reached, np.tile(counts, len(columns) + 1), len(mine)).astype(np.float32)
    near[0] = 0.0
    return near


def ints(numbers: "array[int]") -> Ints:
    """A view; it must be let go before the array grows."""
    return np.frombuffer(numbers, np.int32)


def floats(numbers: "array[float]") -> Floats:
    """A view; it must be let go before the array grows."""
    return np.frombuffer(numbers, np.float32)
