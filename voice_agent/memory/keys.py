"""Extra keys: contexts and facts that a model wrote of some messages, by whose words those messages are found too."""

from collections.abc import Mapping, Sequence

import numpy as np

from voice_agent.memory.lexical import Floats, Norms, Postings, floats
from voice_agent.memory.passages import Key

_WEIGHT = 1.2
# How fast a key loses weight with the number of passages it leads to: it says less of each.
_SPREAD = 0.3
# More keys than this never reach the first results, and each costs a loop.
_MOST_KEYS = 50


class KeyIndex:
    """Texts, each with the entries it leads to."""

    def __init__(self) -> None:
        self._postings = Postings()
        self._targets: list[list[int]] = [[]]

    def append(self, key: Key, targets: Sequence[int]) -> None:
        """A text that leads to these entries; one that leads to none is left out."""
        if targets and key.terms:
            self._postings.append(key.terms, key.length)
            self._targets.append(list(targets))

    def lift(self, scores: Floats, weights: Mapping[str, float]) -> None:
        """Add to each entry's score that of the best key that leads to it."""
        known = self._postings.rarest(weights)
        if not known:
            return
        lengths = floats(self._postings.lengths)
        norms, found = Norms(lengths), np.zeros(len(lengths), np.float32)
        for term, weight in known.items():
            counts = np.zeros(len(lengths), np.float32)
            entries, held = self._postings.of(term)
            counts[entries] = held
            norms.add(found, counts, weight)
        lifted = np.zeros(len(scores), np.float32)
        for key in np.argsort(-found)[:_MOST_KEYS]:
            targets = self._targets[key]
            share = _WEIGHT / max(1, len(targets)) ** _SPREAD
            lifted[targets] = np.maximum(lifted[targets], found[key] * share)
        scores += lifted
