"""The simulated model in process: deterministic, and it sees the request and nothing else.

It reads the very bytes that a provider would be sent and answers with the bytes that a provider would send, so that
everything it is used for goes through the encoder and the decoder. For a person it makes small talk, tells the time,
sets reminders, tells a story, remembers a name and says goodbye; for tests it takes the directives of
`simulated_script`.
"""

from collections.abc import Callable

import msgspec

from voice_agent.clock import Clock
from voice_agent.events import ModelEvent
from voice_agent.llm import faults
from voice_agent.llm.capabilities import Capability
from voice_agent.llm.chat_completions.request import chat_fields
from voice_agent.llm.chat_completions.stream import ChatDecoder
from voice_agent.llm.simulated.answer import Pace, answer, paced
from voice_agent.llm.simulated.chat_completions import CHAT_COMPLETIONS
from voice_agent.messages import ModelRequest

_NAME = "simulated"


class SimulatedModel:
    """A model that needs no key and no network."""

    def __init__(self, pace: Pace, clock: Clock) -> None:
        self._pace = pace
        self._clock = clock

    async def reply(self, request: ModelRequest, emit: Callable[[ModelEvent], None]) -> None:
        """See `Model.reply`."""
        arrived = self._clock.now()
        given = answer(msgspec.json.encode(chat_fields(request, _NAME, _NAME, Capability())), CHAT_COMPLETIONS)
        if given.status != 200:
            emit(faults.http_fault(_NAME, given.status, faults.read_body(given.tail), None))
            return
        decoder = ChatDecoder(_NAME, _NAME)
        async for piece in paced(given, self._pace, self._clock, arrived):
            for event in decoder.feed(piece):
                emit(event)
        if not decoder.finished:
            for event in decoder.eof():
                emit(event)

    async def warm(self) -> None:
        """Nothing to open."""
