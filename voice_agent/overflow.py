"""What a conversation weighs in tokens, and what a turn leaves out of it when its model finds it too long; pure."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from voice_agent.messages import Message

_CHARS_PER_TOKEN = 4
_MOST_CUTS = 3
_STUB = re.compile(r"\[(\d+) earlier messages of this conversation are not shown here; search_memory finds them\.\]")


def tokens_of(messages: Iterable[Message]) -> int:
    """What messages weigh by their length, where no provider has counted them."""
    return sum(1 + _chars(message) // _CHARS_PER_TOKEN for message in messages)


def tokens_in(text: str, tools: Any = ()) -> int:
    """What a system text weighs by its length, with the schemas of tools beside it."""
    return (len(text) + (len(msgspec.json.encode(tools)) if tools else 0)) // _CHARS_PER_TOKEN


def stub(count: int, at: float) -> Message:
    """What stands in a prompt for so many messages that it leaves out."""
    text = f"[{count} earlier messages of this conversation are not shown here; search_memory finds them.]"
    return Message(role="context", text=text, at=at)


class History:
    """What a turn's requests show of the conversation before it.

    `dropped`: how many of its messages were left out since the turn began. `tokens`: what the last request weighed, if
    its provider has told.
    """

    def __init__(self, messages: tuple[Message, ...]) -> None:
        self.shown = messages
        self.dropped = 0
        self.tokens: int | None = None
        self._cuts = 0

    def shorten(self) -> bool:
        """Leave out the older half of the turns, a stub in their place; False if that was done too often, or of none.

        A turn begins with what the user said: no call parts from its result.
        """
        kept, hidden = self.shown, 0
        if kept and (found := _STUB.fullmatch(kept[0].text)) and kept[0].role == "context":
            kept, hidden = kept[1:], int(found[1])
        if not kept or self._cuts == _MOST_CUTS:
            return False
        starts = [i for i, message in enumerate(kept) if message.role == "user" or i == 0]
        gone = (*starts, len(kept))[-(-len(starts) // 2)]
        self._cuts += 1
        self.dropped += gone
        self.shown = (stub(hidden + gone, kept[gone - 1].at), *kept[gone:])
        return True


class Gauge:
    """Weighs turns by how much the provider's count has grown from one to the next."""

    def __init__(self) -> None:
        self._tokens: int | None = None
        self._beside: tuple[object, ...] = ()

    def weigh(self, tokens: int | None, beside: tuple[object, ...]) -> int | None:
        """What the newest turn weighs, if its request weighed `tokens` and the one before it is known.

        `beside` stands for all else that a request holds: two that differ in that tell nothing.
        """
        before = self._tokens if self._beside == beside else None
        self._tokens, self._beside = tokens, beside
        if tokens is None or before is None or tokens <= before:
            return None
        return tokens - before


def _chars(message: Message) -> int:
    said = message.text if message.heard is None else message.heard
    return len(said) + sum(
        len(call.name) + len(call.arguments) + len(call.utterance or "") for call in message.tool_calls
    )
