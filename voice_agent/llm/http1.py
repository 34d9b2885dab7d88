"""HTTP/1.1 as a client speaks it to a provider: one socket, one request at a time, bytes handed on as they are read.

The body's bytes go to whoever wants them in the very call that brings them from the socket: no task is woken for a
token. This is the only file that knows httptools; its faults leave here as `WireError`.
"""

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

_MAX_HEAD_BYTES = 65_536
_TELLING = (b"retry-after", b"retry-after-ms", b"date")


class WireError(Exception):
    """No answer, or none to its end; the message says why in a few words, without an address.

    `untouched`: not a byte of an answer had come.
    """

    def __init__(self, message: str, *, untouched: bool = False) -> None:
        super().__init__(message)
        self.untouched = untouched


class Connection(asyncio.Protocol):
    """One connection. It can be used again while `reusable`; `on_free` is told when that may have changed.

    The order of calls is `ask`, then `stream`; the connection is free when `complete` holds after that. `headers` are
    those of the answer that say when to come again, their names in lower case.
    """

    def __init__(self, on_free: Callable[["Connection"], None]) -> None:
        self._on_free = on_free
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._fault: Exception | None = None
        self._lost = False
        self.free_since = 0.0
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._head_bytes = 0
        self._has_length = False
        self._pieces: list[bytes] = []
        self._take: Callable[[bytes], bool] | None = None
        self._status = 0
        self.headers: dict[bytes, bytes] = {}
        self._touched = False
        self._keeps = False
        self.complete = False

    # ---- what the pool calls ----

    @property
    def reusable(self) -> bool:
        """Whether another request can be sent on it."""
        return self.complete and self._keeps and not self._lost and self._fault is None

    async def ask(self, request: bytes) -> int:
        """Send a whole request; the status of its answer, as soon as the head is there. Raises WireError."""
        self._reset()
        if self._transport is None or self._lost:
            raise WireError("the connection was lost", untouched=True)
        self._transport.write(request)
        while not self._status:
            await self._wait()
        return self._status

    async def stream(self, take: Callable[[bytes], bool]) -> None:
        """Give the body's bytes to `take` as they are read, until it says that it needs no more, or the body ends.

        Raises WireError if it was cut, and what `take` raises.
        """
        waiting, self._pieces = self._pieces, []
        if any(take(piece) for piece in waiting):
            return
        self._take = take
        try:
            while self._take is not None and not self.complete:
                await self._wait()
        finally:
            self._take = None

    def close(self) -> None:
        """Close it at once, whatever it is doing."""
        self._lost = True
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        """Until anything has changed. Raises what went wrong."""
        if self._fault is None and not self._lost:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._fault is not None:
            raise self._fault
        if self._lost and not self.complete:
            raise WireError("the connection was lost", untouched=not self._touched)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ---- what the event loop calls ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        if self.complete:
            # Nobody has asked: whatever it is, this connection is no longer in step.
            self.close()
            self._on_free(self)
            return
        self._touched = True
        try:
            self._parser.feed_data(data)
            if not self._status:
                self._head_bytes += len(data)
                if self._head_bytes > _MAX_HEAD_BYTES:
                    self._fail(WireError("the head of its answer is endless"))
        except httptools.HttpParserCallbackError as fault:
            self._fail(fault.__context__ if isinstance(fault.__context__, Exception) else fault)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(WireError("it does not speak HTTP"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._lost = True
        if self._status and not self._has_length:
            self.complete = True  # such a body ends with its connection
        del self._parser  # which holds on to this connection
        self._wake()
        self._on_free(self)

    def _fail(self, fault: Exception) -> None:
        if not self.complete:  # what follows a whole answer cannot spoil it
            self._fault = fault
        self.close()
        self._wake()

    # ---- what the parser calls ----

    def on_message_begin(self) -> None:
        if self.complete:
            self.close()  # it answers what was not asked

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            self._has_length = True
        elif name in _TELLING:
            self.headers[name] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and not self.complete:
            self._status = status
            self._wake()

    def on_body(self, body: bytes) -> None:
        if self.complete:
            return
        if self._take is None:
            self._pieces.append(body)
        elif self._take(body):
            self._take = None
            self._wake()

    def on_message_complete(self) -> None:
        if self._status and not self.complete:
            self.complete, self._keeps = True, self._parser.should_keep_alive()
            self.free_since = self._loop.time()
            self._wake()
