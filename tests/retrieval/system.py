"""Systems that can be scored: anything with reset, add and search; here the archive as it is in the product.

Other harnesses that take such an object can have it by its name, `tests.retrieval.system:ArchiveSystem`.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from voice_agent.memory.archive import Archive, Query
from voice_agent.store.memory import Document


class System(Protocol):
    """A memory under test. Messages and results are `{"id", "ids", "ts", "speaker", "text", "session"}`."""

    def reset(self) -> None:
        """Start with nothing."""
        ...

    def add(self, messages: Sequence[dict[str, Any]]) -> None:
        """Remember these, in this order."""
        ...

    def search(
        self,
        query: str,
        k: int,
        keywords: Sequence[str] | None = None,
        start: float | None = None,
        end: float | None = None,
    ) -> list[dict[str, Any]]:
        """The best `k`, best first, said between `start` and `end` (seconds since the epoch)."""
        ...

    def state(self) -> dict[str, list[str]]:
        """The ids held, by where they are: `context`, `buffer` and `archive`."""
        ...


class ArchiveSystem:
    """The archive, each message a document."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start with nothing."""
        self._archive = Archive()
        self._given: dict[str, dict[str, Any]] = {}

    def add(self, messages: Sequence[dict[str, Any]]) -> None:
        """Put messages in."""
        for message in messages:
            passage_id = f"d{len(self._given) + 1}-0"
            self._given[passage_id] = message
            self._archive.take(Document(message["text"], message["speaker"], message["ts"], id=passage_id))

    def flush(self) -> None:
        """Everything can be searched as soon as it is in."""

    def search(
        self,
        query: str,
        k: int,
        keywords: Sequence[str] | None = None,
        start: float | None = None,
        end: float | None = None,
    ) -> list[dict[str, Any]]:
        """The messages that were found."""
        found = self._archive.search(Query(query, tuple(keywords or ()), start, end, limit=k))
        return [self._given[each.passage.id] for each in found]

    def state(self) -> dict[str, list[str]]:
        """All that the archive holds; nothing is kept elsewhere."""
        held = [message["id"] for passage_id, message in self._given.items() if passage_id in self._archive]
        return {"context": [], "buffer": [], "archive": held}
