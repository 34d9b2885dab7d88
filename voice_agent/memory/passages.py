"""What search finds: messages of the log and documents beside them, one passage each, and the terms that lead there."""

from typing import Literal

import msgspec

from voice_agent.memory.words import STOP_TERMS, date_terms, terms
from voice_agent.messages import Message
from voice_agent.store.base import LoggedTurn
from voice_agent.store.memory import Document

SEARCH_TOOL = "search_memory"
# A tool may return a book; what of it is past this many characters cannot be searched.
_MOST_CHARACTERS = 20_000
# What a calendar can tell, in any time zone: a document may claim any date.
_EARLIEST, _LATEST = -62_135_400_000.0, 253_402_000_000.0

_QUESTION_MARKS = ("?", "\uff1f", "\u061f")


class Passage(msgspec.Struct, frozen=True):
    """One result of a search; `at` in seconds since the epoch. `ref` is what a document was added under."""

    id: str
    text: str
    speaker: str
    at: float
    source: Literal["message", "document"]
    ref: str = ""

    @property
    def asks(self) -> bool:
        """Whether it ends in a question."""
        return self.text.rstrip().endswith(_QUESTION_MARKS)


class Key(msgspec.Struct, frozen=True):
    """The terms of a text, and how many of them are no stop words."""

    terms: tuple[str, ...]
    length: int


def passages_of(turn: LoggedTurn) -> tuple[Passage, ...]:
    """A turn's messages as they were heard.

    Without what `search_memory` returned: each line of that is a passage already, and would be found twice.
    """
    calls = {call.id: call.name for message in turn.record.messages for call in message.tool_calls}
    return tuple(
        Passage(f"{turn.id}.{place}", _said(message), _speaker(message, calls), message.at, "message")
        for place, message in enumerate(turn.record.messages)
        if calls.get(message.tool_call_id or "") != SEARCH_TOOL
    )


def passage_of(document: Document) -> Passage:
    """A document as a passage."""
    at = min(max(document.at, _EARLIEST), _LATEST)
    return Passage(document.id, document.text, document.speaker, at, "document", document.ref)


def key_of(passage: Passage) -> Key:
    """Under which terms a passage is found: its words, when it was said, and who said it if that is a name."""
    said = terms(passage.text[:_MOST_CHARACTERS])
    if not said:
        return Key((), 0)
    if passage.source == "document":
        who = terms(passage.speaker)
        said += who if said[: len(who)] != who else []
    return _key(said + date_terms(passage.at))


def key_of_text(text: str) -> Key:
    """Under which terms a text that leads to passages is found."""
    return _key(terms(text[:_MOST_CHARACTERS]))


def _key(found: list[str]) -> Key:
    return Key(tuple(found), sum(term not in STOP_TERMS for term in found))


def _said(message: Message) -> str:
    texts = [message.text if message.heard is None else message.heard]
    texts += [(call.utterance if call.heard is None else call.heard) or "" for call in message.tool_calls]
    return " ".join(filter(None, texts))


def _speaker(message: Message, calls: dict[str, str]) -> str:
    return calls.get(message.tool_call_id or "", "tool") if message.role == "tool" else message.role
