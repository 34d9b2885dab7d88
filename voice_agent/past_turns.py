"""Which turns a session has had, so that a front end may repeat itself: ids, revisions, and how each ended."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import overload

from voice_agent.events import TurnEnded

_KEPT = 256


@dataclass
class _Past:
    revision: int
    ended: TurnEnded | None = None


class PastTurns:
    """The last 256 turns. Ids of texts that were merged into a turn lead to it."""

    def __init__(self) -> None:
        self._turns: OrderedDict[str, _Past] = OrderedDict()
        self._aliases: OrderedDict[str, str] = OrderedDict()

    @overload
    def resolve(self, turn_id: str) -> str: ...
    @overload
    def resolve(self, turn_id: None) -> None: ...
    def resolve(self, turn_id: str | None) -> str | None:
        """The id of the turn that this id belongs to."""
        return turn_id if turn_id is None else self._aliases.get(turn_id, turn_id)

    def knows(self, turn_id: str) -> bool:
        return turn_id in self._turns

    def ended(self, turn_id: str) -> bool:
        """Whether the client has been told of its end."""
        past = self._turns.get(turn_id)
        return past is not None and past.ended is not None

    def repeats(self, turn_id: str, revision: int, emit: Callable[[TurnEnded], None]) -> bool:
        """Whether a text was taken before. If its turn has ended the end is told again, else it will be told once."""
        past = self._turns.get(self.resolve(turn_id))
        if past is None or revision > past.revision:
            return False
        if past.ended is not None:
            emit(past.ended)
        return True

    def began(self, turn_id: str, revision: int) -> None:
        self._turns[turn_id] = _Past(revision)
        if len(self._turns) > _KEPT:
            self._turns.popitem(last=False)

    def merged(self, turn_id: str, other_id: str | None, revision: int) -> None:
        """The text called `other_id` has become part of the turn, which now stands at `revision`."""
        self._turns[turn_id].revision = revision
        if other_id is not None and other_id != turn_id:
            self._aliases[other_id] = turn_id
            if len(self._aliases) > _KEPT:
                self._aliases.popitem(last=False)

    def stored(self, event: TurnEnded, revision: int) -> None:
        """The turn has ended and the client is told."""
        self._turns[event.turn_id] = _Past(revision, event)
        if len(self._turns) > _KEPT:
            self._turns.popitem(last=False)
