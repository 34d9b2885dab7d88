"""The JSON of Chat Completions replies, as much of it as is read: stream chunks and whole completions alike.

Leaves that servers fill in different ways are `Any` and are looked at where they are used; unknown fields are skipped.
"""

from typing import Any

import msgspec

from voice_agent.messages import Usage


class Function(msgspec.Struct):
    """What a call runs. `arguments`: JSON text, or a piece of it; some servers send the object itself."""

    name: str | None = None
    arguments: Any = None


class Call(msgspec.Struct):
    """A tool call or a piece of one."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None
    extra_content: Any = None


class Delta(msgspec.Struct):
    """A piece of the reply, or the whole of it (`message` of a completion that was not streamed)."""

    content: Any = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    extra_content: Any = None


class Choice(msgspec.Struct):
    """One of the replies; only the first is asked for."""

    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    """One event of the stream. Errors are found by their fields: `error`, or `object` with a `message` (vLLM).

    `type` is of other APIs (Anthropic Messages, OpenAI Responses), as is `object` where it says `response`.
    """

    choices: list[Choice] | None = None
    usage: Any = None
    x_groq: Any = None
    error: Any = None
    object: Any = None
    message: Any = None
    type: Any = None

    @property
    def is_foreign(self) -> bool:
        """Whether it is an event, or the whole reply, of another API."""
        kind = self.type if isinstance(self.type, str) else ""
        return kind in ("message", "message_start") or kind.startswith("response.") or self.object == "response"


decode_chunk = msgspec.json.Decoder(Chunk).decode


def content_parts(content: Any) -> list[tuple[str, bool]]:
    """Text of a `content` field and whether it is thought: a string, or a list of parts (Mistral)."""
    if isinstance(content, str):
        return [(content, False)]
    if not isinstance(content, list):
        return []
    parts = []
    for part in content:
        if isinstance(part, str):
            parts.append((part, False))
        elif isinstance(part, dict):
            text, thought = part.get("text"), part.get("thinking")
            if isinstance(text, str):
                parts.append((text, False))
            parts.extend((inner, True) for inner, _ in content_parts(thought))
    return parts


def thought_signature(extra_content: Any) -> str | None:
    """What Gemini wants back with a call: `extra_content.google.thought_signature`."""
    google = extra_content.get("google") if isinstance(extra_content, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else None


def reported_usage(chunk: Chunk) -> Usage | None:
    """The usage a chunk reports (Groq: under `x_groq`), or None. Input tokens include the cached ones."""
    usage = chunk.usage
    if usage is None and isinstance(chunk.x_groq, dict):
        usage = chunk.x_groq.get("usage")
    if not isinstance(usage, dict):
        return None
    return Usage(
        steps=1,
        input_tokens=_count(usage, "prompt_tokens"),
        output_tokens=_count(usage, "completion_tokens"),
        cached_input_tokens=_count(usage.get("prompt_tokens_details"), "cached_tokens"),
        cache_write_tokens=_count(usage.get("prompt_tokens_details"), "cache_write_tokens"),
        reasoning_tokens=_count(usage.get("completion_tokens_details"), "reasoning_tokens"),
    )


def _count(counts: Any, name: str) -> int | None:
    value = counts.get(name) if isinstance(counts, dict) else None
    return value if isinstance(value, int) else None
