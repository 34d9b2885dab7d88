"""The log of a pair as its entries tell it, pure: turns, the heard marks that came after them, and pages of messages.

An entry is a turn, whole, or the settled messages of an earlier turn whose heard text moved after its end. The newest
such entry of a turn holds.
"""

import re
from collections.abc import Iterable
from typing import assert_never

import msgspec
from msgspec.structs import replace

from voice_agent.messages import Message, TurnRecord
from voice_agent.store.base import LoggedMessage, LoggedTurn

# How far past a page's border its late heard marks are looked for: a mark moves for seconds after its turn, and only
# other sessions of the same user can put entries between the two.
LOOK_PAST = 32
_MESSAGE_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})\.([0-9]{1,6})")
_ENTRY_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
_ID_BOUND = 1 << 64


class TurnEntry(msgspec.Struct, frozen=True):
    """A committed turn."""

    id: str
    record: TurnRecord


class HeardEntry(msgspec.Struct, frozen=True):
    """The settled messages of the turn `key`, whose own entry is `entry` (empty in logs of earlier versions)."""

    id: str
    key: str
    messages: tuple[Message, ...]
    entry: str = ""


Entry = TurnEntry | HeardEntry


class Border(msgspec.Struct, frozen=True):
    """Where a page begins: before the message at `position` of the entry `entry`."""

    entry: str
    position: int


def read_border(message_id: str) -> Border:
    """The place of a message. Raises ValueError, naming the id, if it is none that a store gave."""
    found = _MESSAGE_ID.fullmatch(message_id)
    if found is None or int(found[1]) >= _ID_BOUND or int(found[2]) >= _ID_BOUND:
        raise ValueError(f"{message_id!r} is no message id: it looks like 1731000000000-0.3")
    return Border(entry=f"{int(found[1])}-{int(found[2])}", position=int(found[3]))


def fold(entries: Iterable[Entry]) -> tuple[LoggedTurn, ...]:
    """The turns among entries (oldest first), with their marks applied and their messages' ids set.

    Marks of turns that are not among them are left out.
    """
    turns: dict[str, TurnEntry] = {}
    for entry in entries:
        match entry:
            case TurnEntry():
                turns[entry.record.key] = entry
            case HeardEntry():
                turn = turns.get(entry.key)
                if turn is not None:
                    turns[entry.key] = replace(turn, record=replace(turn.record, messages=entry.messages))
            case _:
                assert_never(entry)
    return tuple(
        LoggedTurn(turn.id, replace(turn.record, messages=_with_ids(turn.id, turn.record.messages)))
        for turn in turns.values()
    )


def strays(entries: Iterable[Entry]) -> tuple[str, ...]:
    """The turns' entries, in order, of the marks whose turn came before all of `entries`."""
    turns: set[str] = set()
    found: set[str] = set()
    for entry in entries:
        match entry:
            case TurnEntry():
                turns.add(entry.id)
            case HeardEntry():
                if entry.entry and entry.entry not in turns:
                    found.add(entry.entry)
            case _:
                assert_never(entry)
    return tuple(sorted(found, key=order))


def is_entry(text: str) -> bool:
    """Whether this can be an entry's id."""
    found = _ENTRY_ID.fullmatch(text)
    return found is not None and all(int(number) < _ID_BOUND for number in found.groups())


def order(entry_id: str) -> tuple[int, int]:
    """The ids of entries as they follow each other."""
    ms, _, sequence = entry_id.partition("-")
    return int(ms), int(sequence)


class Page:
    """Gathers the newest `limit` messages before `border` out of entries that are shown to it, newest first."""

    def __init__(self, border: Border | None, limit: int) -> None:
        self._border = border
        self._limit = limit
        self._heard: dict[str, tuple[Message, ...]] = {}
        self._found: list[LoggedMessage] = []

    @property
    def full(self) -> bool:
        """No further entry can change the page."""
        return len(self._found) >= self._limit

    @property
    def messages(self) -> tuple[LoggedMessage, ...]:
        """The page, newest first."""
        return tuple(self._found[: self._limit])

    def look_past(self, newer: Iterable[Entry]) -> None:
        """Take the marks from entries past the border (newest first), which themselves are not of this page."""
        for entry in newer:
            if isinstance(entry, HeardEntry):
                self._heard.setdefault(entry.key, entry.messages)

    def add(self, entry: Entry) -> None:
        """The next older entry."""
        match entry:
            case HeardEntry():
                self._heard.setdefault(entry.key, entry.messages)
            case TurnEntry():
                record = entry.record
                messages = _with_ids(entry.id, self._heard.get(record.key, record.messages))
                if self._border is not None and entry.id == self._border.entry:
                    messages = messages[: self._border.position]
                self._found.extend(LoggedMessage(record.turn_id, message) for message in reversed(messages))
            case _:
                assert_never(entry)


def _with_ids(entry_id: str, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    return tuple(replace(message, id=f"{entry_id}.{place}") for place, message in enumerate(messages))
