"""The lean WebSocket client against a real server, and against every cut of a byte stream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.bench.line import Line
from gateway.bench.plan import BenchError
from gateway.bench.where import Address
from tests.scripted import Line as Answering
from tests.scripted import scripted


class _Heard:
    """A line, and all that came over it."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.texts: list[bytes] = []
        self.lost: list[str] = []
        self._changed = asyncio.Event()
        self.line = Line(Address(url, "a b", key).session("Zoë"), key, self._text, self._loss)

    def _text(self, text: bytes) -> None:
        self.texts.append(text)
        self._changed.set()

    def _loss(self, why: str) -> None:
        self.lost.append(why)
        self._changed.set()

    async def until(self, count: int) -> None:
        """So many texts and losses have come."""
        async with asyncio.timeout(10):
            while len(self.texts) + len(self.lost) < count:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def _hearing(url: str, key: str | None = None) -> AsyncIterator[_Heard]:
    heard = _Heard(url, key)
    await heard.line.open()
    try:
        yield heard
    finally:
        heard.line.hang_up()


async def test_frames_of_every_size_arrive_whole_and_in_order() -> None:
    """Lengths of 7, 16 and 64 bits, with a ping between them; agent, user and key reach the server."""
    sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000]
    seen: list[str | bytes | None] = []

    async def script(line: Answering) -> None:
        seen.extend((line.path, line.authorization, line.socket.subprotocol, await line.socket.recv()))
        for size in sizes:
            await line.socket.send("x" * size)
            await (await line.socket.ping())
        await line.socket.send("end")
        await line.socket.wait_closed()

    async with scripted(script) as url, _hearing(url, "secret-key") as heard:
        heard.line.send("häh?".encode())
        await heard.until(len(sizes) + 1)
    assert [len(text) for text in heard.texts[:-1]] == sizes
    assert heard.texts[-1] == b"end"
    assert seen == ["/v1/agents/a%20b/session?user=Zo%C3%AB", "Bearer secret-key", "voice.v1", "häh?"]
    assert heard.lost == []


async def test_a_connection_that_ends_says_how() -> None:
    """With the close frame's code and reason, or without one."""

    async def closes(line: Answering) -> None:
        await line.socket.close(4401, "credentials expired")

    async def drops(line: Answering) -> None:
        line.drop()

    async with scripted(closes) as url, _hearing(url) as heard:
        await heard.until(1)
        assert heard.lost == ["the gateway closed a connection (4401 credentials expired)"]
    async with scripted(drops) as url, _hearing(url) as heard:
        await heard.until(1)
        assert heard.lost == ["the gateway closed a connection (without a closing frame)"]


async def test_a_refusal_says_what_was_answered() -> None:
    """The status, the words of its body, and what may help."""

    async def never(_: Answering) -> None:
        raise AssertionError

    async with scripted(never, refuse=lambda _: 401) as url:
        with pytest.raises(BenchError, match=r"refused \(401\): because of 401; give a key with --key"):
            await _Heard(url).line.open()


async def test_what_is_no_gateway_is_told_apart_from_nothing_at_all() -> None:
    """A server that closes without an answer, a port that nobody listens at, a host that nobody knows."""

    async def hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hangs_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(BenchError, match="closed a connection before it answered"):
        await _Heard(f"http://127.0.0.1:{port}").line.open()
    server.close()
    await server.wait_closed()
    with pytest.raises(BenchError, match=f"nothing listens at 127.0.0.1:{port}"):
        await _Heard(f"ws://127.0.0.1:{port}").line.open()


def test_every_cut_of_a_stream_gives_the_same_frames() -> None:
    """Two text frames, one of them long, in all pairs of pieces."""

    async def run() -> None:
        frames = b"\x81\x05first" + b"\x81\x7e\x00\xc8" + b"y" * 200 + b"\x81\x00"
        for cut in range(len(frames) + 1):
            heard = _Heard("ws://127.0.0.1:1")
            heard.line._is_open = True
            heard.line.data_received(frames[:cut])
            heard.line.data_received(frames[cut:])
            assert heard.texts == [b"first", b"y" * 200, b""], cut

    asyncio.run(run())
