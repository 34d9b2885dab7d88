"""A model behind a Chat Completions address: OpenAI's own, Azure's, or any compatible server's."""

from collections.abc import Callable

import msgspec

from voice_agent.events import ModelEvent
from voice_agent.llm import faults
from voice_agent.llm.capabilities import Capabilities, refused_field
from voice_agent.llm.chat_completions.request import chat_fields
from voice_agent.llm.chat_completions.stream import ChatDecoder
from voice_agent.llm.wire import Pool, Reply, WireError
from voice_agent.messages import ModelRequest


class OpenAICompatible:
    """One model of one provider.

    `name` is what the product calls it ("openai/gpt-6-luna"), `wire_model` what the provider calls it.
    """

    def __init__(self, pool: Pool, name: str, wire_model: str, capabilities: Capabilities) -> None:
        self._pool = pool
        self._name = name
        self._wire_model = wire_model
        self._capabilities = capabilities

    async def reply(self, request: ModelRequest, emit: Callable[[ModelEvent], None]) -> None:
        """See `Model.reply`. A field that the provider refuses by name is left out from then on, and asked again."""
        try:
            while await self._attempt(request, emit):
                pass
        except WireError as fault:
            emit(faults.unreachable(self._pool.endpoint.provider, str(fault)))

    async def warm(self) -> None:
        """See `Model.warm`."""
        await self._pool.warm()

    async def _attempt(self, request: ModelRequest, emit: Callable[[ModelEvent], None]) -> bool:
        """Whether another attempt is worth it: nothing was emitted and one field fewer will be sent."""
        endpoint = self._pool.endpoint
        record = self._capabilities.of(endpoint.base_url, self._wire_model)
        fields = chat_fields(request, self._wire_model, self._name, record)
        async with self._pool.post("/chat/completions", msgspec.json.encode(fields)) as reply:
            if reply.status == 200:
                await self._stream(reply, emit)
                return False
            error = faults.read_body(await reply.read_refusal())
            if reply.status in (400, 422):
                field = refused_field(error.message, error.param, frozenset(fields))
                if field is not None:
                    self._capabilities.refuse(endpoint.base_url, self._wire_model, field)
                    return True
            emit(faults.http_fault(endpoint.provider, reply.status, error, endpoint.key))
            return False

    async def _stream(self, reply: Reply, emit: Callable[[ModelEvent], None]) -> None:
        endpoint = self._pool.endpoint
        decoder = ChatDecoder(self._name, endpoint.provider, endpoint.key)
        while not decoder.finished:
            try:
                chunk = await reply.read()
            except WireError:
                # Lost after the finish reason is no loss; the decoder knows.
                chunk = b""
            for event in decoder.feed(chunk) if chunk else decoder.eof():
                emit(event)
        await reply.drain()
