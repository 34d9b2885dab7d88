"""A provider in a few lines of raw HTTP, for faults that no well-behaved server produces."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Handler = Callable[["Connection"], Awaitable[None]]
DONE = b'data: {"choices":[{"index":0,"delta":{"content":"ok"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


class Connection:
    """One accepted connection; `number` counts them from 1."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self._reader = reader
        self._writer = writer

    async def request(self) -> tuple[str, bytes]:
        """The next request's head and body."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        lengths = [line for line in head.lower().splitlines() if line.startswith("content-length:")]
        return head, await self._reader.readexactly(int(lengths[0].partition(":")[2])) if lengths else b""

    def send(self, body: bytes, status: str = "200 OK", length: int | None = None) -> None:
        """An answer; a `length` beyond the body's leaves it unfinished."""
        size = len(body) if length is None else length
        self._writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n\r\n".encode() + body)

    def send_rest(self, body: bytes) -> None:
        """More of an answer that was left unfinished."""
        self._writer.write(body)

    async def closed(self) -> None:
        """Returns when the client has closed."""
        while await self._reader.read(65536):
            pass


@asynccontextmanager
async def raw_server(handler: Handler) -> AsyncIterator[str]:
    """Serve on a free port, each connection closed when its handler returns; yields the base URL."""
    count = 0
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await handler(Connection(count, reader, writer))
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        for writer in writers:
            writer.close()
