"""What a search costs in an archive of 10,000 passages, and adding one more, on one core: no store, no waiting."""

import random

from benchmarks.figures import Figure, percentile
from voice_agent.clock import SystemClock
from voice_agent.memory.archive import Archive, Query
from voice_agent.messages import Message, TurnRecord
from voice_agent.store.base import LoggedTurn

PASSAGES = 10_000
SEARCHES = 2000
ADDED = 500
_WORDS = 8_000
_PASSAGE_WORDS, _QUERY_WORDS = (4, 30), (3, 12)
_SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "wo", "xu", "zy")


class _Chatter:
    """Made-up words, a few of them very common, as in any language: the same ones in every run."""

    def __init__(self) -> None:
        self._dice = random.Random(7)
        self._words = ["".join(self._dice.choices(_SYLLABLES, k=2 + rank % 3)) for rank in range(_WORDS)]
        self._shares = [1 / (rank + 10) for rank in range(_WORDS)]

    def says(self, bounds: tuple[int, int]) -> str:
        return " ".join(self._dice.choices(self._words, self._shares, k=self._dice.randint(*bounds)))

    def turn(self, number: int) -> LoggedTurn:
        """Two passages."""
        at = 1_700_000_000.0 + 30.0 * number
        messages = (Message("user", self.says(_PASSAGE_WORDS), at), Message("assistant", self.says(_PASSAGE_WORDS), at))
        return LoggedTurn(f"{number}-0", TurnRecord(f"s{number // 40}:t{number}", "end_turn", messages, at))


def search(passages: int = PASSAGES, searches: int = SEARCHES) -> tuple[Figure, ...]:
    """Fill an archive, search it, and add to it."""
    archive, chatter, clock = Archive(), _Chatter(), SystemClock()
    for number in range(1, passages // 2 + 1):
        archive.take(chatter.turn(number))
    took, adds = list[float](), list[float]()
    for _ in range(searches):
        query = Query(chatter.says(_QUERY_WORDS))
        began = clock.now()
        archive.search(query)
        took.append((clock.now() - began) * 1000)
    for number in range(passages // 2 + 1, passages // 2 + ADDED + 1):
        turn = chatter.turn(number)
        began = clock.now()
        archive.take(turn)
        adds.append((clock.now() - began) * 1000)
    return (
        Figure(f"search in {passages} passages: p99", percentile(took, 99), "ms", 2),
        Figure("adding two more, a turn: p99", percentile(adds, 99), "ms", 1),
    )
