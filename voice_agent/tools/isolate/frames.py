"""What the gateway and a worker process say to each other: frames of a length and that many bytes of JSON."""

import struct
from typing import Any, TypeVar

import msgspec

from voice_agent.events import ToolStatus
from voice_agent.tools.base import ToolContext
from voice_agent.tools.secrets import Secrets

T = TypeVar("T")
LENGTH = struct.Struct(">I")


class Place(msgspec.Struct, frozen=True):
    """Which function a worker runs: the tool's name, where it is found, and the memory it may take, in megabytes."""

    name: str
    module: str
    qualname: str
    memory_mb: int


class Job(msgspec.Struct, frozen=True):
    """One call. `cpu_s`: seconds of processor time that it may take."""

    arguments: dict[str, Any]
    context: ToolContext
    return_char_limit: int
    cpu_s: int | None = None


class Answer(msgspec.Struct, frozen=True):
    """What became of a call, in words for the model. `spent`: the worker is not fit for another."""

    text: str
    status: ToolStatus = "ok"
    spent: bool = False


def packed(message: Place | Job | Answer) -> bytes:
    """The whole frame."""
    body = msgspec.json.encode(message, enc_hook=_plain)
    return LENGTH.pack(len(body)) + body


def unpacked(body: bytes, kind: type[T]) -> T:
    """What a frame's bytes say. Raises msgspec.DecodeError."""
    return msgspec.json.decode(body, type=kind, dec_hook=_made)


def _plain(value: Any) -> Any:
    if isinstance(value, Secrets):
        return dict(value)
    raise NotImplementedError


def _made(kind: type, value: Any) -> Any:
    if kind is Secrets:
        return Secrets(value)
    raise NotImplementedError
