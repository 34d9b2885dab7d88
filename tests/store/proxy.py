"""A store whose replies get lost: a proxy before the run's server that drops one when told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from tests.stores import fresh_store, store_url
from voice_agent.store.connection import Connection
from voice_agent.store.server import connect


class Proxy:
    """Stands between client and server; while `swallow` is set, a reply is dropped and the client cut off instead."""

    def __init__(self) -> None:
        self.swallow = False
        self.swallowed = 0
        self._clients = 0
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client; `left` is set when none is left."""
        self._clients += 1
        self.left.clear()
        try:
            await self._serve(reader, writer)
        finally:
            self._clients -= 1
            if not self._clients:
                self.left.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(store_url().removeprefix("unix://"))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._requests(reader, up_writer))
                group.create_task(self._replies(up_reader, writer))
        finally:
            for end in (writer, up_writer):
                end.close()
                await end.wait_closed()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.write_eof()

    async def _replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if self.swallow:
                self.swallow = False
                self.swallowed += 1
                writer.close()
                return
            writer.write(data)


@asynccontextmanager
async def forgetful(folder: Path) -> AsyncIterator[tuple[Proxy, Connection]]:
    """A connection through a proxy, to an empty store."""
    proxy, path = Proxy(), folder / "proxy.sock"
    async with (
        fresh_store(),
        await asyncio.start_unix_server(proxy.serve, path),
    ):
        async with aclosing(await connect(f"unix://{path}", shards=16, allow_volatile=False)) as connection:
            yield proxy, connection
        await proxy.left.wait()
