"""The makings of an archive: turns, documents and what to ask."""

from voice_agent.memory.archive import Archive, Query
from voice_agent.messages import Message, ToolCall, TurnRecord
from voice_agent.store.base import LoggedTurn
from voice_agent.store.memory import Document

NOON = 1_683_547_200.0
DAY = 86_400.0


def turn(number: int, *said: str, session: str = "s1", at: float = NOON) -> LoggedTurn:
    """A turn in which user and agent speak by turns."""
    messages = tuple(Message("assistant" if place % 2 else "user", text, at) for place, text in enumerate(said))
    return logged(number, *messages, session=session)


def logged(number: int, *messages: Message, session: str = "s1") -> LoggedTurn:
    """A turn of these messages."""
    return LoggedTurn(f"{number}-0", TurnRecord(f"{session}:t{number}", "end_turn", messages, NOON))


def called(name: str, result: str) -> tuple[Message, Message]:
    """A tool call and its result."""
    call = ToolCall("c1", name, "{}", utterance="One moment.", heard="One moment.")
    return Message("assistant", "", NOON, tool_calls=(call,)), Message("tool", result, NOON, tool_call_id="c1")


def document(number: int, text: str, at: float = NOON, speaker: str = "", ref: str = "") -> Document:
    """A document as the store gives it."""
    return Document(text, speaker, at, ref, f"d{number}-0")


def ids(archive: Archive, words: str, **query: object) -> list[str]:
    """What is found, best first."""
    return [found.passage.id for found in archive.search(Query(words, **query))]  # type: ignore[arg-type]
