"""The JSON of Responses replies, as much of it as is read: the events of a stream, and whole responses.

Events and items of unknown types may hold anything under any name, so fields are looked at where they are used.
"""

from typing import Any

import msgspec

from voice_agent.messages import Usage

# Where an item stands in the output: its index, or its id where a server does not count.
Place = int | str | None

_NULL = msgspec.Raw(b"null")


class Event(msgspec.Struct):
    """One event, or a whole response. `item`, `response` and `output` stay as they came until they matter.

    `choices` is of Chat Completions.
    """

    type: str | None = None
    output_index: Any = None
    item_id: Any = None
    delta: Any = None
    arguments: Any = None
    item: msgspec.Raw = _NULL
    response: msgspec.Raw = _NULL
    object: Any = None
    error: Any = None
    choices: Any = None

    def place(self, item_id: Any = None) -> Place:
        """The item that the event is about; `item_id` is its id if the event holds the item itself."""
        keys = (self.output_index, self.item_id, item_id)
        return next((key for key in keys if isinstance(key, int | str)), None)

    @property
    def is_foreign(self) -> bool:
        """Whether it is of Chat Completions or of Anthropic Messages, an event or the whole."""
        if self.type is None:
            return self.choices is not None
        return self.type == "message" or self.type.startswith(("message_", "content_block_"))


class Item(msgspec.Struct):
    """One item of the output: a message, a function call, reasoning, or something that is not asked for."""

    type: Any = None
    id: Any = None
    call_id: Any = None
    name: Any = None
    arguments: Any = None
    phase: Any = None
    content: Any = None
    encrypted_content: Any = None


class Reply(msgspec.Struct):
    """A response as its last event tells it, or as it comes where no stream does."""

    status: Any = None
    error: Any = None
    incomplete_details: Any = None
    output: list[msgspec.Raw] | None = None
    usage: Any = None


decode_event = msgspec.json.Decoder(Event).decode
decode_item = msgspec.json.Decoder(Item).decode
decode_reply = msgspec.json.Decoder(Reply).decode


def content_texts(content: Any) -> list[tuple[str, bool]]:
    """The texts of a message's content, and whether each is a refusal."""
    texts = []
    for part in content if isinstance(content, list) else ():
        kind = part.get("type") if isinstance(part, dict) else None
        text = part.get("refusal" if kind == "refusal" else "text") if kind else None
        if isinstance(text, str):
            texts.append((text, kind == "refusal"))
    return texts


def reported_usage(usage: Any) -> Usage:
    """The usage of a response. Input tokens include the cached ones; what is not reported is None."""
    return Usage(
        steps=1,
        input_tokens=_count(usage, "input_tokens"),
        output_tokens=_count(usage, "output_tokens"),
        cached_input_tokens=_count(_details(usage, "input_tokens_details"), "cached_tokens"),
        cache_write_tokens=_count(_details(usage, "input_tokens_details"), "cache_write_tokens"),
        reasoning_tokens=_count(_details(usage, "output_tokens_details"), "reasoning_tokens"),
    )


def _details(usage: Any, name: str) -> Any:
    return usage.get(name) if isinstance(usage, dict) else None


def _count(counts: Any, name: str) -> int | None:
    value = counts.get(name) if isinstance(counts, dict) else None
    return value if isinstance(value, int) else None
