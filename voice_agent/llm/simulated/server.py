"""The simulated model over HTTP, as a provider: every wire format, `/v1/models`, its counters and the last request."""

import asyncio
import random
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from voice_agent.clock import Clock, SystemClock
from voice_agent.llm.simulated.answer import Answer, Pace, SimulatedFormat, answer, paced
from voice_agent.llm.simulated.anthropic_messages import ANTHROPIC_MESSAGES, MODELS
from voice_agent.llm.simulated.chat_completions import CHAT_COMPLETIONS
from voice_agent.llm.simulated.openai_responses import OPENAI_RESPONSES

FORMATS = (CHAT_COMPLETIONS, ANTHROPIC_MESSAGES, OPENAI_RESPONSES)


class _Counters:
    """All that the server keeps. `closed_early`: answers whose client left before their end."""

    def __init__(self) -> None:
        self.requests = 0
        self.open = 0
        self.closed_early = 0


class _PacedResponse(Response):
    """Sends an answer in time, and stops as soon as the client is gone."""

    def __init__(self, given: Answer, pace: Pace, clock: Clock, counters: _Counters, arrived: float) -> None:
        media_type = "text/event-stream" if given.is_stream else "application/json"
        super().__init__(status_code=given.status, media_type=media_type)
        if "content-length" in self.headers:
            del self.headers["content-length"]
        if given.retry_after_ms is not None:
            self.headers["retry-after-ms"] = f"{given.retry_after_ms:g}"
        self._given = given
        self._pace = pace
        self._clock = clock
        self._counters = counters
        self._arrived = arrived

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        self._counters.open += 1
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._send(send))
                watching = group.create_task(_when_gone(receive, sending))
                sending.add_done_callback(lambda _: watching.cancel())
            if sending.cancelled():
                self._counters.closed_early += 1
        finally:
            self._counters.open -= 1

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for piece in paced(self._given, self._pace, self._clock, self._arrived):
            if piece:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        if self._given.end != "cut":
            # Without this last message the server drops the connection: that is the cut.
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _when_gone(receive: Receive, sending: asyncio.Task[None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    sending.cancel()


class Stalls(msgspec.Struct, frozen=True):
    """This share of the requests (0 to 1), by chance and always by the same, waits so long for its first token."""

    share: float
    first_token_ms: float


def create_app(first_token_ms: float, token_ms: float, stalls: Stalls | None = None) -> Starlette:
    """The server; a request's own directives may set another pace."""
    pace, clock, counters = Pace(first_token_ms, token_ms), SystemClock(), _Counters()
    chance = random.Random(1)  # always the same numbers
    last: dict[str, bytes] = {}  # the body that came last, by path

    def serves(wire: SimulatedFormat) -> Route:
        async def reply(request: Request) -> Response:
            arrived = clock.now()  # before it is read: the longer request takes no longer to answer
            counters.requests += 1
            last[wire.path] = body = await request.body()
            given = answer(body, wire)
            if stalls is not None and given.status == 200 and chance.random() < stalls.share:
                given = msgspec.structs.replace(given, first_token_ms=stalls.first_token_ms)
            return _PacedResponse(given, pace, clock, counters, arrived)

        return Route(wire.path, reply, methods=["POST"])

    async def models(request: Request) -> Response:
        if "anthropic-version" in request.headers:
            return _json(MODELS)
        return _json({"object": "list", "data": [{"id": "simulated", "object": "model", "created": 0}]})

    async def last_request(request: Request) -> Response:
        return Response(last.get(request.query_params.get("path", ""), b"{}"), media_type="application/json")

    async def stats(_: Request) -> Response:
        return _json(vars(counters))

    return Starlette(
        routes=[
            *map(serves, FORMATS),
            Route("/v1/models", models),
            Route("/last_request", last_request),
            Route("/stats", stats),
        ]
    )


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
