"""Which turns a session has had, so that a front end may repeat itself: ids, revisions, and how each ended."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import overload

import msgspec

from voice_agent.events import TurnEnded

# As many as the store remembers of a user: an id that is forgotten here is a new turn there, too.
_KEPT = 1000


@dataclass(frozen=True)
class _Text:
    """A text that was taken: its revision, the turn it became part of, and the key that the store has for that."""

    revision: int
    turn_id: str
    key: str


class PastTurns:
    """The last 1,000 texts and ends. A text that was merged into a turn has an id of its own, which leads to it."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, _Text] = OrderedDict()
        self._ends: OrderedDict[str, TurnEnded] = OrderedDict()

    @overload
    def resolve(self, turn_id: str) -> str: ...
    @overload
    def resolve(self, turn_id: None) -> None: ...
    def resolve(self, turn_id: str | None) -> str | None:
        """The id of the turn that this id belongs to."""
        text = self._texts.get(turn_id) if turn_id is not None else None
        return turn_id if text is None else text.turn_id

    def knows(self, turn_id: str) -> bool:
        return turn_id in self._texts or turn_id in self._ends

    def ended(self, turn_id: str) -> bool:
        """Whether the client has been told of the end of the turn that runs, or ran last, under this id."""
        return turn_id in self._ends

    def has_taken(self, turn_id: str, revision: int) -> bool:
        """Whether a text, or a later revision of it, was taken before."""
        text = self._texts.get(turn_id)
        return text is not None and revision <= text.revision

    def tell_end(self, text_id: str, emit: Callable[[TurnEnded], None]) -> None:
        """If the turn that a text is part of has ended that is told again, else it will be told once."""
        if (ended := self._ends.get(self.resolve(text_id))) is not None:
            emit(ended)

    def took(self, text_id: str, revision: int, turn_id: str, key: str) -> None:
        """A text has begun a turn or joined one; an earlier turn's end under the same id is no longer told."""
        self._texts[text_id] = _Text(revision, turn_id, key)
        self._texts.move_to_end(text_id)
        self._ends.pop(turn_id, None)
        if len(self._texts) > _KEPT:
            self._texts.popitem(last=False)

    def stored(self, event: TurnEnded, key: str) -> None:
        """A turn has ended and the client is told. If its id has begun another turn since, that end is yet to come."""
        text = self._texts.get(event.turn_id)
        if text is not None and text.key != key:
            return
        self._ends[event.turn_id] = msgspec.structs.replace(event, messages=())  # told again, not stored again
        if len(self._ends) > _KEPT:
            self._ends.popitem(last=False)
