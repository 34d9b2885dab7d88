"""A model at a provider's address, in whichever wire format it takes: ask, stream, and learn from refusals."""

import contextlib
import re
from collections.abc import Callable, Mapping

import msgspec

from voice_agent.events import ModelEvent
from voice_agent.llm import anthropic_messages, chat_completions, faults, openai_responses
from voice_agent.llm.base import WireFormat
from voice_agent.llm.capabilities import Api, Capabilities, refused_field
from voice_agent.llm.faults import ProviderError
from voice_agent.llm.http1 import WireError
from voice_agent.llm.model_list import read_models
from voice_agent.llm.wire import Pool, Reply
from voice_agent.messages import ModelRequest

FORMATS: Mapping[Api, WireFormat] = {
    "chat": chat_completions.FORMAT,
    "messages": anthropic_messages.FORMAT,
    "responses": openai_responses.FORMAT,
}
_ABOUT_REASONING = re.compile(r"thinking|signature|reasoning|encrypted", re.IGNORECASE)


class ProviderModel:
    """One model of one provider.

    `name` is what the product calls it ("openai/gpt-6-luna"), `wire_model` what the provider calls it.
    """

    def __init__(self, pool: Pool, name: str, wire_model: str, capabilities: Capabilities) -> None:
        self._pool = pool
        self._name = name
        self._wire_model = wire_model
        self._capabilities = capabilities

    async def reply(self, request: ModelRequest, emit: Callable[[ModelEvent], None]) -> None:
        """See `Model.reply`. What the provider refuses by name is left out from then on, and asked again."""
        asking: ModelRequest | None = request
        try:
            while asking is not None:
                asking = await self._attempt(asking, emit)
        except WireError as fault:
            emit(faults.unreachable(self._pool.endpoint.provider, str(fault)))

    async def warm(self) -> None:
        """See `Model.warm`. The GET that opens the connection is the provider's list of models: it tells of them."""
        endpoint = self._pool.endpoint
        wire = FORMATS[endpoint.api]
        listed = await self._pool.warm(wire.models, wire.headers)
        if not self._capabilities.told(endpoint.base_url, endpoint.api):
            self._capabilities.tell(endpoint.base_url, endpoint.api, read_models(listed))

    async def _attempt(self, request: ModelRequest, emit: Callable[[ModelEvent], None]) -> ModelRequest | None:
        """The request to try again with, if that is worth it: nothing was emitted and something fewer will be sent."""
        endpoint = self._pool.endpoint
        record = self._capabilities.of(endpoint.base_url, self._wire_model, endpoint.api)
        wire = FORMATS[record.api_for(request)]
        body = msgspec.json.encode(wire.fields(request, self._wire_model, self._name, record))
        async with self._pool.post(wire.path, body, wire.headers) as reply:
            if reply.status == 200:
                await self._stream(wire, reply, emit)
                return None
            error = faults.read_body(await reply.read())
            if reply.status in (400, 422):
                again = self._learn(wire, request, body, error)
                if again is not None:
                    return again
            emit(faults.http_fault(endpoint.provider, reply.status, error, endpoint.key))
            return None

    def _learn(self, wire: WireFormat, request: ModelRequest, body: bytes, error: ProviderError) -> ModelRequest | None:
        """The request to try again with, after what this refusal taught; None if it taught nothing."""
        where, api = (self._pool.endpoint.base_url, self._wire_model), self._pool.endpoint.api
        if wire is not FORMATS["responses"] and "/v1/responses" in error.message:
            self._capabilities.move(*where, "responses", api)
            return request
        field = refused_field(error.message, error.param, wire.droppable, body)
        named = bool(error.param) and field == error.param
        if not named and _ABOUT_REASONING.search(error.message) and any(message.opaque for message in request.turn):
            # Replayed reasoning that the provider will not have: without any of it, every provider goes on.
            bare = tuple(msgspec.structs.replace(message, opaque=()) for message in request.turn)
            return msgspec.structs.replace(request, turn=bare)
        if field is None:
            return None
        self._capabilities.refuse(*where, field, api)
        record = self._capabilities.of(*where, api)
        # A refusal that goes on, for all that was left out, means something else by the same word.
        changed = msgspec.json.encode(wire.fields(request, self._wire_model, self._name, record)) != body
        return request if changed else None

    async def _stream(self, wire: WireFormat, reply: Reply, emit: Callable[[ModelEvent], None]) -> None:
        endpoint = self._pool.endpoint
        decoder = wire.decoder(self._name, endpoint.provider, endpoint.key)

        def take(chunk: bytes) -> bool:
            for event in decoder.feed(chunk):
                emit(event)
            return decoder.finished

        # Lost after the finish reason is no loss; the decoder knows.
        with contextlib.suppress(WireError):
            await reply.stream(take)
        if not decoder.finished:
            for event in decoder.eof():
                emit(event)
