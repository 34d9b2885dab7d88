"""The ways to an MCP server: its process, whose stderr goes to the log, or HTTP; and word of it when the way ends."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Self, TextIO

import httpx2
from mcp import StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import MCP_SESSION_ID, streamable_http_client
from mcp.shared.message import SessionMessage

from voice_agent.tools.mcp.definitions import Definition, Http, Stdio

_Incoming = SessionMessage | Exception

_CONNECT_S = 10.0
_READ_S = 300.0
_FAREWELL_S = 1.0
_LONGEST_EVENT = 32 * 1024 * 1024
_LONGEST_LINE = 8192

_log = logging.getLogger(__name__)


@asynccontextmanager
async def streams(definition: Definition, ended: Callable[[str], None]) -> AsyncGenerator[tuple["_Watched", Any]]:
    """The two streams that an MCP client speaks by. `ended` is told why once they are of no more use."""
    async with _way(definition, ended) as (incoming, outgoing):
        yield _Watched(incoming, ended), outgoing


def _way(definition: Definition, ended: Callable[[str], None]) -> AbstractAsyncContextManager[tuple[Any, Any]]:
    match definition.place:
        case Stdio() as place:
            return _spawned(definition.name, place)
        case Http() as place:
            return _reached(place, definition.timeout_s, ended)


@asynccontextmanager
async def _spawned(name: str, place: Stdio) -> AsyncGenerator[tuple[Any, Any]]:
    """A process in a session of its own, ended with all it started: its stdin's end, SIGTERM, SIGKILL."""
    parameters = StdioServerParameters(
        command=place.command,
        args=list(place.args),
        env=place.env,
        cwd=place.cwd,
        # The default would end the connection at the first byte that is not UTF-8.
        encoding_error_handler="replace",
    )
    async with _logged(name) as errors, stdio_client(parameters, errors) as both:
        # The process has its own end by now; the pipe ends when that is closed.
        errors.close()
        yield both


@asynccontextmanager
async def _logged(name: str) -> AsyncGenerator[TextIO]:
    """A file for a process to write to; each line becomes a record of our log."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "w") as sink:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: _Lines(name), source)
        try:
            yield sink
        finally:
            transport.close()


class _Lines(asyncio.Protocol):
    def __init__(self, name: str) -> None:
        self._name = name
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._log(line)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._log(self._rest)

    def _log(self, line: bytes) -> None:
        if text := line[:_LONGEST_LINE].decode("utf-8", "replace").strip():
            _log.debug("the MCP server %s says: %s", self._name, text)


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
        httpx2.AsyncClient(headers=place.headers, timeout=timeout, event_hooks=hooks, trust_env=False) as http,
        streamable_http_client(place.url, http_client=http, max_sse_event_size=_LONGEST_EVENT) as both,
    ):
        yield both


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
