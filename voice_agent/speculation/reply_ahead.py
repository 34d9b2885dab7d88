"""One model reply that may outlive who asked for it: what comes is kept, and told again to whoever listens next."""

import asyncio
import logging
from collections.abc import Callable

from voice_agent.events import ModelEvent, ModelFailed, ModelFinished, ToolCallDelta
from voice_agent.llm.base import Speaker, joined
from voice_agent.messages import ModelBusy, ModelRequest, Usage
from voice_agent.speculation.errand import Errand

log = logging.getLogger(__name__)


class ReplyAhead:
    """The reply to `request`, which is sent at once and read by a task of `tasks`, whether anybody listens or not."""

    def __init__(self, model: Speaker, request: ModelRequest, tasks: asyncio.TaskGroup) -> None:
        self.request = request
        self._events: list[ModelEvent] = []
        self._emit: Callable[[ModelEvent], None] | None = None
        self._errand = Errand(self._read(model), tasks)

    @property
    def count(self) -> int:
        """How many events have come."""
        return len(self._events)

    @property
    def failed(self) -> bool:
        """Whether it will never be whole."""
        return self._errand.dropped or any(isinstance(event, ModelFailed) for event in self._events)

    @property
    def has_calls(self) -> bool:
        """Whether it has begun to call a tool."""
        return any(isinstance(event, ToolCallDelta) for event in self._events)

    @property
    def usage(self) -> Usage:
        """What it took, as far as that is known: one step, of which nobody knows more before its end."""
        spent, reported = Usage(), Usage(steps=1)
        for event in self._events:
            if isinstance(event, ModelBusy) and event.spent is not None:
                spent += event.spent
            elif isinstance(event, ModelFinished) and event.usage is not None:
                reported = event.usage
        return spent + reported

    async def listen(self, emit: Callable[[ModelEvent], None], start: int = 0) -> None:
        """Tell all from the event numbered `start` on: what has come in this very call, text as one piece; the rest
        as it comes, until the end. Nobody else is told from now on.

        Being cancelled closes the provider's connection, unless it was told to `detach` before.
        """
        self._emit = emit
        for event in joined(self._events[start:]):
            emit(event)
        await self._errand.over()

    def detach(self) -> None:
        """Whoever listens is told nothing more, and may go: it is read on."""
        self._emit = None
        self._errand.let_go()

    def drop(self) -> None:
        """Close the provider's connection; nothing more is told."""
        self._emit = None
        self._errand.drop()

    async def _read(self, model: Speaker) -> None:
        try:
            await model.reply(self.request, self._take)
        except Exception:
            log.exception("a model raised instead of reporting its failure")
            self._take(ModelFailed("the model could not be asked"))

    def _take(self, event: ModelEvent) -> None:
        self._events.append(event)
        if self._emit is not None:
            self._emit(event)
