"""A model at a provider's address, in whichever wire format it takes: ask, stream, and learn from refusals."""

import re
from collections.abc import Callable, Mapping

import msgspec

from voice_agent.events import ModelEvent
from voice_agent.llm import chat_completions, faults
from voice_agent.llm.base import WireFormat
from voice_agent.llm.capabilities import Api, Capabilities, refused_field
from voice_agent.llm.faults import ProviderError
from voice_agent.llm.model_list import read_models
from voice_agent.llm.wire import Pool, Reply, WireError
from voice_agent.messages import ModelRequest

FORMATS: Mapping[Api, WireFormat] = {
    "chat": chat_completions.FORMAT,
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
        if not self._capabilities.told(endpoint.base_url):
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
            error = faults.read_body(await reply.read_refusal())
            if reply.status in (400, 422):
                again = self._learn(wire, request, body, error)
                if again is not None:
                    return again
            emit(faults.http_fault(endpoint.provider, reply.status, error, endpoint.key))
            return None

    def _learn(self, wire: WireFormat, request: ModelRequest, body: bytes, error: ProviderError) -> ModelRequest | None:
        """The request to try again with, after what this refusal taught; None if it taught nothing."""
        where = (self._pool.endpoint.base_url, self._wire_model)
        if wire is not FORMATS.get("responses") and "/v1/responses" in error.message:
            self._capabilities.move(*where, "responses")
            return request
        field = refused_field(error.message, error.param, wire.droppable, body)
        if field is not None:
            self._capabilities.refuse(*where, field)
            return request
        if _ABOUT_REASONING.search(error.message) and any(message.opaque for message in request.turn):
            # Replayed reasoning that the provider will not have: without any of it, every provider goes on.
            bare = tuple(msgspec.structs.replace(message, opaque=()) for message in request.turn)
            return msgspec.structs.replace(request, turn=bare)
        return None

    async def _stream(self, wire: WireFormat, reply: Reply, emit: Callable[[ModelEvent], None]) -> None:
        endpoint = self._pool.endpoint
        decoder = wire.decoder(self._name, endpoint.provider, endpoint.key)
        while not decoder.finished:
            try:
                chunk = await reply.read()
            except WireError:
                # Lost after the finish reason is no loss; the decoder knows.
                chunk = b""
            for event in decoder.feed(chunk) if chunk else decoder.eof():
                emit(event)
        await reply.drain()
