"""Streaming HTTP to providers: connections that are kept, warmed and closed at once, and raw bytes as they arrive."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Literal, Self
from urllib.parse import urlencode, urlsplit

import msgspec

from voice_agent.llm import faults
from voice_agent.llm.capabilities import Api
from voice_agent.llm.http1 import Connection, WireError

_CONNECT_S = 5.0
_KEEPALIVE_S = 120.0
_GET_S = 10.0
_DRAIN_S = 0.25
_MAX_REFUSAL_BYTES = 65_536
_MAX_LIST_BYTES = 8 * 1_048_576

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

    def url(self, path: str) -> str:
        """Where requests for this path go, which may have a query of its own."""
        query = urlencode(self.query)
        return self.base_url.rstrip("/") + path + (("&" if "?" in path else "?") + query if query else "")


class Http:
    """The process's HTTP client, open from construction (in a running loop) until `close`."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self._tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        for connection in tuple(self._open):
            connection.close()
        await asyncio.sleep(0)  # their transports close in the loop's next round

    async def connect(self, url: str, on_free: Callable[[Connection], None]) -> Connection:
        """A new connection to the URL's host. Raises WireError."""

        def freed(connection: Connection) -> None:
            if not connection.reusable:
                self._open.discard(connection)
            on_free(connection)

        loop = asyncio.get_running_loop()
        try:
            parts = urlsplit(url)
            tls = parts.scheme == "https"
            async with asyncio.timeout(_CONNECT_S):
                _, connection = await loop.create_connection(
                    lambda: Connection(freed),
                    parts.hostname or "",
                    parts.port or (443 if tls else 80),
                    ssl=self._context() if tls else None,
                )
        except (OSError, ValueError) as fault:
            raise WireError(_why(fault)) from fault
        self._open.add(connection)
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


class Reply:
    """A provider's answer: its status now, its body as it comes. `retry_after_s`: when it wants to be asked again."""

    def __init__(self, connection: Connection, status: int) -> None:
        self._connection = connection
        self.status = status
        self.retry_after_s = None if status == 200 else faults.read_retry_after(connection.headers)

    async def stream(self, take: Callable[[bytes], bool]) -> None:
        """Give the body to `take`, each piece in the call that reads it, until it has enough or the body ends.

        Raises WireError if it was cut. What follows when `take` has enough is next to nothing, and is read for a
        moment, so that the connection can be used again.
        """
        await self._connection.stream(take)
        with contextlib.suppress(WireError, TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                await self._connection.stream(lambda _: False)

    async def read(self, limit: int = _MAX_REFUSAL_BYTES) -> bytes:
        """The whole body, or as much of it as came, `limit` bytes or a little more."""
        pieces: list[bytes] = []
        size = 0

        def take(piece: bytes) -> bool:
            nonlocal size
            pieces.append(piece)
            size += len(piece)
            return size >= limit

        with contextlib.suppress(WireError):
            await self._connection.stream(take)
        return b"".join(pieces)


class Pool:
    """The connections of one provider and key."""

    def __init__(self, http: Http, endpoint: Endpoint) -> None:
        self._http = http
        self._warming = False
        self._free: list[Connection] = []
        self._heads: dict[tuple[str, str, tuple[tuple[str, str], ...]], bytes] = {}
        self.endpoint = endpoint

    @contextlib.asynccontextmanager
    async def post(self, path: str, body: bytes, headers: Mapping[str, str] = {}) -> AsyncIterator[Reply]:
        """Send JSON, with `headers` beside the endpoint's. Raises WireError if no answer came.

        A kept connection found dead is replaced once, silently. Leaving the block, or being cancelled in it, closes the
        connection unless the answer was read to its end.
        """
        head = self._head("POST", path, headers)
        request = b"%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
        async with self._asked(request) as reply:
            yield reply

    async def warm(self, path: str, headers: Mapping[str, str] = {}) -> bytes:
        """Have a connection open by a GET that costs no token, one at a time; what `get` gives."""
        if self._warming:
            return b""
        self._warming = True
        try:
            return await self.get(path, headers)
        finally:
            self._warming = False

    async def get(self, path: str, headers: Mapping[str, str] = {}) -> bytes:
        """What a GET is answered with; empty unless that is a 200 which comes soon. Faults are silent."""
        with contextlib.suppress(WireError, TimeoutError):
            async with asyncio.timeout(_GET_S), self._asked(self._head("GET", path, headers) + b"\r\n") as reply:
                body = await reply.read(_MAX_LIST_BYTES)
                return body if reply.status == 200 else b""
        return b""

    @contextlib.asynccontextmanager
    async def _asked(self, request: bytes) -> AsyncIterator[Reply]:
        kept = self._kept()
        connection = kept or await self._connect()
        try:
            try:
                status = await connection.ask(request)
            except WireError as fault:
                if kept is None or not fault.untouched:
                    raise
                # Whatever killed a kept connection may have killed its neighbours too.
                connection = await self._connect()
                status = await connection.ask(request)
            yield Reply(connection, status)
        finally:
            if connection.reusable:
                self._free.append(connection)
            else:
                connection.close()

    async def _connect(self) -> Connection:
        return await self._http.connect(self.endpoint.base_url, self._forget)

    def _forget(self, connection: Connection) -> None:
        if connection in self._free:
            self._free.remove(connection)

    def _kept(self) -> Connection | None:
        """The connection that was used last; those that were idle for too long are closed."""
        oldest = asyncio.get_running_loop().time() - _KEEPALIVE_S
        while self._free and self._free[0].free_since < oldest:
            self._free.pop(0).close()
        return self._free.pop() if self._free else None

    def _head(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        """The request's head but for what tells of its body; made once for each kind of request."""
        key = (method, path, tuple(headers.items()))
        head = self._heads.get(key)
        if head is None:
            url = urlsplit(self.endpoint.url(path))
            target = f"{url.path}?{url.query}" if url.query else url.path
            fields = {"Host": url.netloc.rpartition("@")[2], **self.endpoint.headers(), **headers}
            lines = [f"{method} {target} HTTP/1.1", "User-Agent: voice-agent-gateway", "Accept: */*"]
            lines.append("Accept-Encoding: identity")
            lines += [f"{name}: {value}" for name, value in fields.items()]
            head = self._heads[key] = "".join(f"{line}\r\n" for line in lines).encode("ascii")
        return head


def _why(fault: Exception) -> str:
    match fault:
        case TimeoutError():
            return f"no connection within {_CONNECT_S:g} s"
        case socket.gaierror():
            return "its host name is not known"
        case ssl.SSLError():
            return "no trusted TLS connection"
        case OSError():
            return "no connection"
        case _:
            return "its address is no URL"
