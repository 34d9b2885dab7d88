"""What a model is to the agent: one coroutine that hands over events."""

from collections.abc import Callable
from typing import Protocol

from voice_agent.events import ModelEvent
from voice_agent.messages import ModelRequest


class ModelError(Exception):
    """A model cannot be had (unknown provider, no key); the message says which and where to set it."""


class Model(Protocol):
    """A provider's model."""

    async def reply(self, request: ModelRequest, emit: Callable[[ModelEvent], None]) -> None:
        """Send the request and emit its events as they arrive; the last one is `ModelFinished` or `ModelFailed`.

        Raises nothing of the provider's. Cancelling it closes the provider's connection at once.
        """
        ...

    async def warm(self) -> None:
        """Have a connection ready, without spending a token. Failures are silent: the request will tell."""
        ...
