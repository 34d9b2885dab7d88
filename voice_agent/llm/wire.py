"""Streaming HTTP to providers: connections that are kept, warmed and closed at once, and raw bytes as they arrive.

This is the only file that knows aiohttp; its faults leave here as `WireError`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
from typing import Any, Literal, Self

import aiohttp
import msgspec

from voice_agent.llm.capabilities import Api

_CONNECT_S = 5.0
_KEEPALIVE_S = 120.0
_WARM_S = 10.0
_DRAIN_S = 0.25
_MAX_REFUSAL_BYTES = 65_536


class WireError(Exception):
    """No answer, or none to its end; the message says why in a few words, without an address."""


Auth = Literal["bearer", "api-key", "x-api-key"]


class Endpoint(msgspec.Struct, frozen=True):
    """Where a provider listens, what it speaks by default, and how it is told who asks.

    Azure: a deployment's URL, `api-key` and a query.
    """

    provider: str
    base_url: str
    key: str | None = None
    auth: Auth = "bearer"
    query: tuple[tuple[str, str], ...] = ()
    api: Api = "chat"

    def __repr__(self) -> str:
        """Without the key: this ends up in logs."""
        return f"Endpoint({self.provider!r}, {self.base_url!r})"

    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        if self.key is None:
            return {}
        return {"Authorization": f"Bearer {self.key}"} if self.auth == "bearer" else {self.auth: self.key}


class Http:
    """The process's HTTP client, open from construction (in a running loop) until `close`."""

    def __init__(self) -> None:
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        self._kept = _session(aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S, ttl_dns_cache=300), [trace])
        # For the one retry: whatever killed a kept connection may have killed its neighbours too.
        self._fresh = _session(aiohttp.TCPConnector(limit=0, force_close=True), [])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._kept.close()
        await self._fresh.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """The response as soon as its head is there. A kept connection found dead is replaced once, silently."""
        seen = SimpleNamespace(reused=False)
        sending: dict[str, Any] = {"data": body, "headers": headers, "allow_redirects": False}
        try:
            return await self._kept.post(url, trace_request_ctx=seen, **sending)
        except aiohttp.ClientConnectionError:
            if not seen.reused:
                raise
        return await self._fresh.post(url, **sending)

    async def get(self, url: str, headers: Mapping[str, str]) -> bytes:
        """A resource read to its end on a kept connection; `b""` if its status is not 200."""
        timeout = aiohttp.ClientTimeout(total=_WARM_S)
        async with self._kept.get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
            body = await response.read()
            return body if response.status == 200 else b""


class Reply:
    """A provider's answer: its status now, its body as it comes."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status

    async def read(self) -> bytes:
        """The bytes that are there, waiting for the first; `b""` at the end. Raises WireError if it was cut."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as fault:
            raise WireError("the connection was lost") from fault

    async def read_refusal(self) -> bytes:
        """The body of an error, as much of it as could matter."""
        pieces, size = [], 0
        with contextlib.suppress(WireError):
            while size < _MAX_REFUSAL_BYTES and (piece := await self.read()):
                pieces.append(piece)
                size += len(piece)
        return b"".join(pieces)

    async def drain(self) -> None:
        """Read what follows the reply's end, which is next to nothing, so that the connection can be used again."""
        with contextlib.suppress(WireError, TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                while await self.read():
                    pass


class Pool:
    """The connections of one provider and key."""

    def __init__(self, http: Http, endpoint: Endpoint) -> None:
        self._http = http
        self._warming = False
        self._headers = endpoint.headers()
        self.endpoint = endpoint

    @contextlib.asynccontextmanager
    async def post(self, path: str, body: bytes, headers: Mapping[str, str] = {}) -> AsyncIterator[Reply]:
        """Send JSON, with `headers` beside the endpoint's. Raises WireError if no answer came.

        Leaving the block, or being cancelled in it, closes the connection unless it was read to its end.
        """
        sent = {"Content-Type": "application/json", **self._headers, **headers}
        try:
            response = await self._http.post(self._url(path), body, sent)
        except (aiohttp.ClientError, OSError) as fault:
            raise WireError(_why(fault)) from fault
        try:
            yield Reply(response)
        finally:
            response.close()

    async def warm(self, path: str, headers: Mapping[str, str] = {}) -> bytes:
        """Have a connection open by a GET that costs no token, one at a time; what it answered. Faults are silent."""
        if self._warming:
            return b""
        self._warming = True
        try:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                return await self._http.get(self._url(path), {**self._headers, **headers})
            return b""
        finally:
            self._warming = False

    def _url(self, path: str) -> str:
        query = "&".join(f"{name}={value}" for name, value in self.endpoint.query)
        return f"{self.endpoint.base_url.rstrip('/')}{path}{'?' if query else ''}{query}"


def _session(connector: aiohttp.TCPConnector, traces: list[aiohttp.TraceConfig]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=traces,
    )


async def _note_reuse(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.reused = True


def _why(fault: Exception) -> str:
    match fault:
        case TimeoutError():
            return "no connection within 5 s"
        case aiohttp.ClientConnectorDNSError():
            return "its host name is not known"
        case aiohttp.ClientSSLError():
            return "no trusted TLS connection"
        case aiohttp.ClientConnectorError():
            return "no connection"
        case aiohttp.InvalidURL():
            return "its address is no URL"
        case _:
            return "the connection was lost"
