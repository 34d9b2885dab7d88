"""The ways to an MCP server: its process or HTTP; and word of it when the way ends."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Self

import httpx2
from mcp.client.streamable_http import MCP_SESSION_ID, streamable_http_client
from mcp.shared.message import SessionMessage

from voice_agent.tools.mcp.definitions import Definition, Http, Stdio
from voice_agent.tools.mcp.process import LONGEST_MESSAGE, spawned

_Incoming = SessionMessage | Exception

_CONNECT_S = 10.0
_READ_S = 300.0
_FAREWELL_S = 1.0


@asynccontextmanager
async def streams(definition: Definition, ended: Callable[[str], None]) -> AsyncGenerator[tuple["_Watched", Any]]:
    """The two streams that an MCP client speaks by. `ended` is told why once they are of no more use."""
    async with _way(definition, ended) as (incoming, outgoing):
        yield _Watched(incoming, ended), outgoing


def _way(definition: Definition, ended: Callable[[str], None]) -> AbstractAsyncContextManager[tuple[Any, Any]]:
    match definition.place:
        case Stdio() as place:
            return spawned(definition.name, place, ended)
        case Http() as place:
            return _reached(place, definition.timeout_s, ended)


@asynccontextmanager
async def _reached(place: Http, timeout_s: float, ended: Callable[[str], None]) -> AsyncGenerator[tuple[Any, Any]]:
    async def hurry_farewell(request: httpx2.Request) -> None:
        # The request that ends a session is sent while we stop: a server that hangs must not hold that up.
        if request.method == "DELETE":
            request.extensions["timeout"] = httpx2.Timeout(_FAREWELL_S).as_dict()

    async def notice_forgotten(response: httpx2.Response) -> None:
        # The specification's word for a session that is over; a new one must be begun.
        if response.status_code == 404 and MCP_SESSION_ID in response.request.headers:
            ended("it has forgotten the session")

    # A longer silence is taken for a broken connection; a call that may take as long must not be cut by it.
    timeout = httpx2.Timeout(_CONNECT_S, read=max(_READ_S, 2 * timeout_s))
    hooks: dict[str, list[Callable[..., Any]]] = {"request": [hurry_farewell], "response": [notice_forgotten]}
    async with (
        httpx2.AsyncClient(
            # What is packed could be of any size once it is unpacked.
            headers={"Accept-Encoding": "identity"} | place.headers,
            timeout=timeout,
            event_hooks=hooks,
            transport=_Bounded(trust_env=False),
            trust_env=False,
        ) as http,
        streamable_http_client(place.url, http_client=http, max_sse_event_size=LONGEST_MESSAGE) as both,
    ):
        yield both


class _Bounded(httpx2.AsyncHTTPTransport):
    """Breaks off an answer that is too long for a message, or packed. The library bounds the events of a stream."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx2.DecodingError("a packed answer")
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _BoundedBody(response.stream)
        return response


class _BoundedBody(httpx2.AsyncByteStream):
    def __init__(self, body: httpx2.AsyncByteStream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._body:
            size += len(piece)
            if size > LONGEST_MESSAGE:
                raise httpx2.ReadError("a message without end")
            yield piece

    async def aclose(self) -> None:
        await self._body.aclose()


class _Watched:
    """A stream of messages from a server that tells when it has ended: the client itself does not."""

    def __init__(self, stream: Any, ended: Callable[[str], None]) -> None:
        self._stream = stream
        self._ended = ended

    @property
    def last_context(self) -> Any:
        """The context variables of the last message's sender, which the client runs its handler in."""
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> _Incoming:
        message: _Incoming = await self._stream.receive()
        return message

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _Incoming:
        try:
            message: _Incoming = await self._stream.__anext__()
        except Exception:
            # Being cancelled is no end: whatever else has gone wrong is then the reason.
            self._ended("it has closed the connection")
            raise
        return message

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        suppressed: bool | None = await self._stream.__aexit__(kind, fault, trace)
        return suppressed
