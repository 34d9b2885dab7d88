"""Streams written down as providers send them, each with the events that it stands for, and their decoding."""

from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from voice_agent import events
from voice_agent.events import ModelEvent
from voice_agent.llm.capabilities import Api
from voice_agent.llm.provider import FORMATS
from voice_agent.messages import Opaque

_KINDS: dict[str, Any] = {**vars(events), "Opaque": Opaque}
_PACKAGES: dict[Api, str] = {
    "chat": "chat_completions",
    "messages": "anthropic_messages",
    "responses": "openai_responses",
}
_HERE = Path(__file__).parent
STREAMS = sorted((api, path.stem) for api, name in _PACKAGES.items() for path in _HERE.glob(f"{name}/goldens/*.sse"))


def decode(api: Api, *pieces: bytes) -> list[ModelEvent]:
    """All events of a stream that arrives in these pieces."""
    decoder = FORMATS[api].decoder("acme/model", "acme", "s3cret-key")
    out = [event for piece in pieces for event in decoder.feed(piece)]
    out += decoder.eof()
    assert decoder.finished
    return out


def golden(api: Api, name: str) -> tuple[bytes, list[ModelEvent]]:
    """A stream and its events."""
    path = _HERE / _PACKAGES[api] / "goldens" / name
    written = msgspec.json.decode(path.with_suffix(".json").read_bytes())
    return path.with_suffix(".sse").read_bytes(), [msgspec.convert(fields, _KINDS[kind]) for kind, fields in written]


decode_chat = partial(decode, "chat")
decode_messages = partial(decode, "messages")
decode_responses = partial(decode, "responses")
