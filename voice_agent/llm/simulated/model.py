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
from voice_agent.llm.base import Preview
from voice_agent.llm.capabilities import Capability
from voice_agent.llm.chat_completions.request import chat_fields
from voice_agent.llm.chat_completions.stream import ChatDecoder
from voice_agent.llm.observed import Exchange, Observe, watched
from voice_agent.llm.simulated.answer import Pace, answer, paced
from voice_agent.llm.simulated.chat_completions import CHAT_COMPLETIONS
from voice_agent.messages import ModelRequest

_NAME = "simulated"


class SimulatedModel:
    """A model that needs no key and no network. What passes for its exchanges is handed to `observe`."""

    def __init__(self, pace: Pace, clock: Clock, observe: Observe | None = None) -> None:
        self._pace = pace
        self._clock = clock
        self._observe = observe

    async def reply(self, request: ModelRequest, emit: Callable[[ModelEvent], None]) -> None:
        """See `Model.reply`."""
        arrived = self._clock.now()
        body = _body(request)
        given = answer(body, CHAT_COMPLETIONS)
        pieces = paced(given, self._pace, self._clock, arrived)
        if self._observe is not None:
            pieces = watched(pieces, Exchange(body, None, self._observe, given.status))
        if given.status != 200:
            refusal = b"".join([piece async for piece in pieces])
            failed, again = (
                faults.http_fault(_NAME, given.status, faults.read_body(refusal), None),
                given.retry_after_ms,
            )
            emit(msgspec.structs.replace(failed, retry_after_s=None if again is None else again / 1000))
            return
        decoder = ChatDecoder(_NAME, _NAME)
        async for piece in pieces:
            for event in decoder.feed(piece):
                emit(event)
        if not decoder.finished:
            for event in decoder.eof():
                emit(event)

    async def warm(self) -> None:
        """Nothing to open."""

    def preview(self, request: ModelRequest) -> Preview:
        """See `Model.preview`; the address is nobody's."""
        return Preview("POST", f"simulated:{CHAT_COMPLETIONS.path}", msgspec.Raw(_body(request)))


def _body(request: ModelRequest) -> bytes:
    return msgspec.json.encode(chat_fields(request, _NAME, _NAME, Capability()))
