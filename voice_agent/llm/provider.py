"""A model at a provider's address, in whichever wire format it takes: ask, stream, and learn from refusals."""

import contextlib
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from voice_agent.events import ModelEvent
from voice_agent.llm import anthropic_messages, chat_completions, faults, openai_responses
from voice_agent.llm.base import Preview, WireFormat, joined
from voice_agent.llm.capabilities import Api, Capabilities, Capability, refused_field
from voice_agent.llm.faults import ProviderError
from voice_agent.llm.http1 import WireError
from voice_agent.llm.model_list import read_models
from voice_agent.llm.observed import ObservedPool, ObservedReply, without_key
from voice_agent.llm.transcript import Kept
from voice_agent.llm.wire import Pool, Reply
from voice_agent.messages import ModelRequest

FORMATS: Mapping[Api, WireFormat] = {
    "chat": chat_completions.FORMAT,
    "messages": anthropic_messages.FORMAT,
    "responses": openai_responses.FORMAT,
}
_ABOUT_VALUE = re.compile(
    r"\b(?:maximum|minimum|range|at (?:most|least)|between|too (?:large|small|high|low)|(?:less|more) than|schema)\b"
    r"|[<>]",
    re.IGNORECASE,
)
_ABOUT_REASONING = re.compile(r"thinking|signature|reasoning|encrypted", re.IGNORECASE)


class _Trial(NamedTuple):
    """A request, and what the model is thought to take; `lasting`: to be remembered if it is taken."""

    request: ModelRequest
    record: Capability
    lasting: bool = False


class ProviderModel:
    """One model of one provider.

    `name` is what the product calls it ("openai/gpt-6-luna"), `wire_model` what the provider calls it. With a pool that
    is observed, every attempt is handed over when it ends.
    """

    def __init__(self, pool: Pool | ObservedPool, name: str, wire_model: str, capabilities: Capabilities) -> None:
        self._pool = pool
        self._name = name
        self._wire_model = wire_model
        self._capabilities = capabilities
        self._kept: tuple[WireFormat, Capability, Kept] | None = None

    async def reply(self, request: ModelRequest, emit: Callable[[ModelEvent], None]) -> None:
        """See `Model.reply`. What is refused by name is left out, and asked again; for good, if that is taken."""
        trial: _Trial | None = _Trial(request, self._known())
        try:
            while trial is not None:
                trial = await self._attempt(trial, emit)
        except WireError as fault:
            emit(faults.unreachable(self._pool.endpoint.provider, str(fault)))

    async def warm(self) -> None:
        """See `Model.warm`. The GET that opens the connection is the provider's list of models: it tells of them."""
        endpoint = self._pool.endpoint
        wire = FORMATS[endpoint.api]
        listed = await self._pool.warm(wire.models, wire.headers)
        if not self._capabilities.told(endpoint.base_url, endpoint.api):
            self._capabilities.tell(endpoint.base_url, endpoint.api, read_models(listed))

    def preview(self, request: ModelRequest) -> Preview:
        """See `Model.preview`: as far as is known by now what the model takes."""
        endpoint = self._pool.endpoint
        wire, body = self._encoded(_Trial(request, self._known()))
        url = without_key(endpoint.url(wire.path).encode(), endpoint.key).decode()
        return Preview("POST", url, msgspec.Raw(without_key(body, endpoint.key)))

    def _known(self) -> Capability:
        endpoint = self._pool.endpoint
        return self._capabilities.of(endpoint.base_url, self._wire_model, endpoint.api)

    def _encoded(self, trial: "_Trial") -> tuple[WireFormat, bytes]:
        wire = FORMATS[trial.record.api_for(trial.request)]
        if self._kept is None or self._kept[:2] != (wire, trial.record):
            self._kept = (wire, trial.record, Kept())
        fields = wire.fields(trial.request, self._wire_model, self._name, trial.record, self._kept[2])
        return wire, msgspec.json.encode(fields)

    async def _attempt(self, trial: "_Trial", emit: Callable[[ModelEvent], None]) -> "_Trial | None":
        """What to try next, if that is worth it: nothing was emitted and something fewer will be sent."""
        endpoint = self._pool.endpoint
        wire, body = self._encoded(trial)
        async with self._pool.post(wire.path, body, wire.headers) as reply:
            if reply.status == 200:
                if trial.lasting:
                    self._capabilities.learn(endpoint.base_url, self._wire_model, trial.record, endpoint.api)
                await self._stream(wire, reply, emit)
                return None
            error = faults.read_body(await reply.read())
            if reply.status in (400, 404, 422) and not faults.is_overflow(error):
                again = self._next(wire, trial, body, error)
                if again is not None:
                    return again
            failed = faults.http_fault(endpoint.provider, reply.status, error, endpoint.key)
            emit(msgspec.structs.replace(failed, retry_after_s=reply.retry_after_s if failed.retryable else None))
            return None

    def _next(self, wire: WireFormat, trial: "_Trial", body: bytes, error: ProviderError) -> "_Trial | None":
        """What to try after this refusal; None if it teaches nothing."""
        request, record = trial.request, trial.record
        if wire is FORMATS["chat"] and "v1/responses" in error.message:
            return _Trial(request, record.moved("responses"), lasting=True)
        field = refused_field(error.message, error.param, wire.droppable, body)
        named = bool(error.param) and field == error.param
        if not named and _ABOUT_REASONING.search(error.message) and any(message.opaque for message in request.turn):
            # Replayed reasoning that the provider will not have: without any of it, every provider goes on.
            bare = tuple(msgspec.structs.replace(message, opaque=()) for message in request.turn)
            return trial._replace(request=msgspec.structs.replace(request, turn=bare))
        if field is None:
            return None
        bare_record = record.without(field)
        # A refusal that goes on, for all that was left out, means something else by the same word.
        if self._encoded(trial._replace(record=bare_record))[1] == body:
            return None
        # A value that is out of bounds, or a schema that is refused, says nothing of others.
        return _Trial(request, bare_record, lasting=trial.lasting or not _ABOUT_VALUE.search(error.message))

    async def _stream(self, wire: WireFormat, reply: Reply | ObservedReply, emit: Callable[[ModelEvent], None]) -> None:
        endpoint = self._pool.endpoint
        decoder = wire.decoder(self._name, endpoint.provider, endpoint.key)

        def take(chunk: bytes) -> bool:
            for event in joined(decoder.feed(chunk)):
                emit(event)
            return decoder.finished

        # Lost after the finish reason is no loss; the decoder knows.
        with contextlib.suppress(WireError):
            await reply.stream(take)
        if not decoder.finished:
            for event in decoder.eof():
                emit(event)
