"""What a model is to the agent, one coroutine that hands over events, and what a wire format is to a model."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from voice_agent.events import ModelEvent, TextDelta
from voice_agent.llm.capabilities import Capability
from voice_agent.llm.transcript import Kept
from voice_agent.messages import ModelRequest


class ModelError(Exception):
    """A model cannot be had (unknown provider, no key); the message says which and where to set it."""


class Preview(msgspec.Struct, frozen=True):
    """What a model would send to its provider, as it is known by now, without headers: they hold the key."""

    method: str
    url: str
    body: msgspec.Raw


class Speaker(Protocol):
    """Whoever replies: all that a turn needs of a model."""

    async def reply(self, request: ModelRequest, emit: Callable[[ModelEvent], None]) -> None:
        """Send the request and emit its events as they arrive; the last one is `ModelFinished` or `ModelFailed`.

        Raises nothing of the provider's. Cancelling it closes the provider's connection at once.
        """
        ...


class Model(Speaker, Protocol):
    """A provider's model."""

    async def warm(self) -> None:
        """Have a connection ready, without spending a token. Failures are silent: the request will tell."""
        ...

    def preview(self, request: ModelRequest) -> Preview:
        """The first exchange that `reply` would begin with this request; nothing is sent."""
        ...


class ReplyDecoder(Protocol):
    """The bytes of one reply, as they arrive, to model events: pure, incremental, whatever the cuts."""

    finished: bool

    def feed(self, chunk: bytes) -> list[ModelEvent]:
        """The events this piece completes; nothing more once `ModelFinished` or `ModelFailed` has come."""
        ...

    def eof(self) -> list[ModelEvent]:
        """The events of the stream's end, the last of which is an ending unless one came before."""
        ...


class WireFormat(NamedTuple):
    """How one API is spoken. All of it is pure. `path` takes requests, `models` lists the provider's models.

    `fields(request, wire_model, maker, capability, kept)` is the body before it becomes JSON: `wire_model` is the
    model's name at the provider, `maker` the name `Opaque.model` has to be for an opaque part to go back, `kept` what
    the last request left.
    `decoder(maker, provider, secret)` reads one reply; provider and secret are for error texts. `droppable` are the
    names of fields, nested ones too, that can be left out when a provider refuses them (`Capability.refused`).
    """

    path: str
    models: str
    fields: Callable[[ModelRequest, str, str, Capability, Kept], dict[str, Any]]
    decoder: Callable[[str, str, str | None], ReplyDecoder]
    droppable: tuple[str, ...]
    headers: Mapping[str, str] = {}


def joined(events: list[ModelEvent]) -> list[ModelEvent]:
    """Text that was read at once is one piece: a process that is late has less to do, and catches up."""
    if len(events) < 2:
        return events
    out: list[ModelEvent] = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, TextDelta) and isinstance(last, TextDelta):
            out[-1] = TextDelta(last.text + event.text)
        else:
            out.append(event)
    return out
