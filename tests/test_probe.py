"""The health check: what it says of a server that is well, unwell, strange or not there."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.probe import probe
from tests.commands import run


@asynccontextmanager
async def answering(reply: bytes) -> AsyncIterator[int]:
    """A server that says the same to everybody; yields its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", None),
        (b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n", "answers with HTTP 503"),
        (b"SSH-2.0-nothing\r\n", "does not answer"),
        (b"", "does not answer"),
    ],
)
async def test_a_server_is_judged_by_its_answer(reply: bytes, fault: str | None) -> None:
    """Only a 200 is good."""
    async with answering(reply) as port:
        assert await asyncio.to_thread(probe, f"http://127.0.0.1:{port}/readyz") == fault


async def test_the_command_asks_where_the_settings_say() -> None:
    """Everywhere means loopback; code 0 for a server that is well, 1 with one line for one that is not there."""
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as port:
        well = await run("gateway", "health", VOICE_HOST="0.0.0.0", VOICE_PORT=str(port))
        assert (well.code, well.out, well.err) == (0, "", "")
    with socket.socket() as shut:
        shut.bind(("127.0.0.1", 0))
        port = shut.getsockname()[1]
        away = await run("gateway", "health", "worker", VOICE_SLEEPTIME_METRICS_PORT=str(port))
    told = f"voice-gateway: the worker at http://127.0.0.1:{port}/metrics does not answer\n"
    assert (away.code, away.out, away.err) == (1, "", told)


async def test_a_worker_without_a_port_cannot_be_asked() -> None:
    """The line names the setting."""
    ended = await run("gateway", "health", "worker")
    assert ended.code == 2
    assert ended.err.startswith("voice-gateway: VOICE_SLEEPTIME_METRICS_PORT: ")
