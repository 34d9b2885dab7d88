"""The JSON of Anthropic Messages replies, as much of it as is read: stream events and whole messages alike."""

from typing import Any

import msgspec

from voice_agent.messages import Usage

_KNOWN = frozenset({
    "content_block_delta", "content_block_start", "content_block_stop", "error", "message", "message_delta",
    "message_start", "message_stop",
})  # fmt: skip


class Block(msgspec.Struct):
    """A content block, whole or as it begins; `input` of one that begins is a placeholder."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Any = None


class Delta(msgspec.Struct):
    """A piece of a block, or of the message (`stop_reason`)."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class Started(msgspec.Struct):
    """The message as it begins."""

    usage: Any = None


class Event(msgspec.Struct):
    """One event of the stream, or the whole message. `object` and `choices` are of other APIs."""

    type: str = ""
    index: int | None = None
    message: Started | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    content: list[Block] | None = None
    stop_reason: str | None = None
    usage: Any = None
    error: Any = None
    object: Any = None
    choices: Any = None

    @property
    def is_foreign(self) -> bool:
        """Whether it is a chunk of Chat Completions or an event of OpenAI Responses, or the whole of either."""
        of_chat = not self.type and (self.choices is not None or self.object in ("chat.completion.chunk", "response"))
        return of_chat or self.type.startswith("response.")


_decode = msgspec.json.Decoder(Event).decode


def read_event(data: bytes) -> Event:
    """The event. One of a kind that is not known is just its type, whatever it holds. Raises `faults.NOT_JSON`."""
    try:
        return _decode(data)
    except msgspec.ValidationError:
        loose = msgspec.json.decode(data)
        kind = loose.get("type") if isinstance(loose, dict) else None
        if not isinstance(kind, str) or kind in _KNOWN:
            raise
        return Event(type=kind)


class Counts:
    """The tokens a reply reports. Reports are cumulative: a later one replaces what it names."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def read(self, usage: Any) -> None:
        """Take a report in; what is no count is left out."""
        if not isinstance(usage, dict):
            return
        details = usage.get("output_tokens_details")
        named = {**usage, **(details if isinstance(details, dict) else {})}
        self._counts.update((name, count) for name, count in named.items() if isinstance(count, int))

    def total(self) -> Usage:
        """The usage of the step. Anthropic's input tokens leave out what was read from a cache or written to it."""
        fresh = self._counts.get("input_tokens")
        read = self._counts.get("cache_read_input_tokens")
        written = self._counts.get("cache_creation_input_tokens")
        return Usage(
            steps=1,
            input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
            output_tokens=self._counts.get("output_tokens"),
            cached_input_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=self._counts.get("thinking_tokens"),
        )
