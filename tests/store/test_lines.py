"""Connections on which commands do not wait for each other: whose reply is whose, and what a loss takes with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import exceptions as faults

from tests.stores import fresh_store, server
from voice_agent.store.connection import Connection
from voice_agent.store.lines import Lines


@asynccontextmanager
async def lines_to(url: str, wait_timeout_s: float = 10.0) -> AsyncIterator[Lines]:
    """Connections to a server, closed in the end."""
    lines = Lines(url, "the test's", wait_timeout_s)
    try:
        yield lines
    finally:
        await lines.aclose()


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[str]:
    """The URL of a server that gives these bytes for its connections' first words, one each, and then says nothing."""
    left, writers = list(answers), list[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if await reader.read(1024):
            writer.write(left.pop(0))

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        listener.close()
        for writer in writers:
            writer.close()
            await writer.wait_closed()


async def clients(connection: Connection) -> int:
    """How many clients the server has."""
    return int((await connection.call("INFO", "clients"))["connected_clients"])


async def test_commands_under_way_share_one_connection_and_get_their_own_replies() -> None:
    """A thousand at once, errors and sequences among them, over one socket."""

    async def echo(connection: Connection, number: int) -> bool:
        if number % 10 == 0:
            with pytest.raises(Exception, match=f"NONESUCH{number}"):
                await connection.call(f"NONESUCH{number}")
            return True
        if number % 7 == 0:
            return await connection.pipe([("ECHO", number), ("ECHO", -number)]) == [b"%d" % number, b"-%d" % number]
        return bool(await connection.call("ECHO", number) == b"%d" % number)

    async with fresh_store() as connection:
        before = await clients(connection)
        assert all(await asyncio.gather(*(echo(connection, number) for number in range(1, 1001))))
        assert await clients(connection) == before


async def test_a_cancelled_command_takes_nothing_with_it() -> None:
    """Its reply goes to nobody, and those behind it get theirs."""
    async with fresh_store() as connection, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(connection.call("ECHO", "first"))
        second = tasks.create_task(connection.call("ECHO", "second"))
        await asyncio.sleep(0)  # both are sent
        first.cancel()
        assert await second == b"second"
        assert await connection.call("ECHO", "third") == b"third"
        assert first.cancelled()


async def test_a_command_that_blocks_holds_nobody_up(tmp_path: Path) -> None:
    """It has a connection of its own, which is closed when it is cancelled and else used again."""
    async with server(tmp_path, "--appendonly", "yes") as url, lines_to(url) as lines, asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(lines.wait("BLPOP", "nothing", 0))
        while int((await lines.ask("INFO", "clients"))["blocked_clients"]) == 0:
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait((waiting,))
        while int((await lines.ask("INFO", "clients"))["connected_clients"]) > 1:
            await asyncio.sleep(0)
        for _ in range(3):
            assert await lines.wait("BLPOP", "nothing", "0.001") is None
        assert int((await lines.ask("INFO", "clients"))["connected_clients"]) == 2


async def test_a_server_that_says_nothing_fails_all_that_is_under_way() -> None:
    """All get the same error when the first is overdue; the next command opens another connection."""
    async with answering(b"", b"+PONG\r\n") as url, lines_to(f"{url}?socket_timeout=0.05") as lines:
        for outcome in await asyncio.gather(lines.ask("PING"), lines.ask("PING"), return_exceptions=True):
            assert isinstance(outcome, faults.TimeoutError)
        assert await lines.ask("PING") in (b"PONG", True)


async def test_replies_that_nobody_asked_for_end_the_connection() -> None:
    """As do bytes that are no reply: what comes after them cannot be told apart."""
    for said in (b"+PONG\r\n+PONG\r\n", b"?what\r\n"):
        async with answering(said, b"+PONG\r\n") as url, lines_to(url) as lines:
            await asyncio.gather(lines.ask("PING"), return_exceptions=True)
            assert await lines.ask("PING") in (b"PONG", True)
