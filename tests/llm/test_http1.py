"""HTTP/1.1 as providers answer it: every way to end a body, however it is cut, and every way to break it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme

from tests.llm.rawserver import Connection, raw_server
from voice_agent.llm.http1 import WireError
from voice_agent.llm.wire import Endpoint, Http, Pool

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED
UNSIZED = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello world"


async def body_of(pool: Pool) -> bytes:
    """The body of one POST."""
    pieces: list[bytes] = []

    def take(piece: bytes) -> bool:
        pieces.append(piece)
        return False

    async with pool.post("/x", b"{}") as reply:
        assert reply.status == 200
        await reply.stream(take)
    return b"".join(pieces)


@pytest.mark.parametrize("answer", [CHUNKED, SIZED, CONTINUED])
async def test_a_body_is_the_same_however_it_is_cut(answer: bytes) -> None:
    """Cut at any byte, on one connection for all, and the connection is kept each time."""
    numbers = set()

    async def cut(connection: Connection) -> None:
        for place in range(1, len(answer)):
            await connection.request()
            numbers.add(connection.number)
            connection.send_rest(answer[:place])
            await asyncio.sleep(0)
            connection.send_rest(answer[place:])
        await connection.closed()

    async with raw_server(cut) as url, Http() as http:
        pool = Pool(http, Endpoint("acme", url))
        for _ in range(1, len(answer)):
            assert await body_of(pool) == b"hello world"
    assert numbers == {1}


async def test_a_body_without_length_ends_with_its_connection() -> None:
    """Which is not used again."""
    numbers = []

    async def answer(connection: Connection) -> None:
        await connection.request()
        numbers.append(connection.number)
        connection.send_rest(UNSIZED)

    async with raw_server(answer) as url, Http() as http:
        pool = Pool(http, Endpoint("acme", url))
        assert [await body_of(pool), await body_of(pool)] == [b"hello world"] * 2
    assert numbers == [1, 2]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "it does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "it does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "the head of its answer is endless"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "the connection was lost"),
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "it does not speak HTTP"),
        (CHUNKED[:-5], "the connection was lost"),
    ],
)
async def test_what_is_no_answer_is_a_fault(answer: bytes, fault: str) -> None:
    """Each in its own words."""

    async def break_it(connection: Connection) -> None:
        await connection.request()
        connection.send_rest(answer)

    async with raw_server(break_it) as url, Http() as http:
        with pytest.raises(WireError, match=f"^{fault}$"):
            await body_of(Pool(http, Endpoint("acme", url)))


async def test_words_that_nobody_asked_for_end_a_kept_connection() -> None:
    """A server that says more than was asked is out of step: the next request goes on a new connection."""
    numbers = []

    async def babble(connection: Connection) -> None:
        await connection.request()
        numbers.append(connection.number)
        connection.send_rest(SIZED)
        if connection.number == 1:
            connection.send_rest(SIZED)
        await connection.closed()

    async with raw_server(babble) as url, Http() as http:
        pool = Pool(http, Endpoint("acme", url))
        assert [await body_of(pool), await body_of(pool)] == [b"hello world"] * 2
    assert numbers == [1, 2]


@pytest.mark.parametrize("more", [b"nonsense\r\n\r\n", SIZED])
async def test_what_follows_an_answer_in_one_read_takes_nothing_from_it(more: bytes) -> None:
    """But the connection is not used again."""
    numbers = []

    async def babble(connection: Connection) -> None:
        await connection.request()
        numbers.append(connection.number)
        connection.send_rest(SIZED + more)
        await connection.closed()

    async with raw_server(babble) as url, Http() as http:
        pool = Pool(http, Endpoint("acme", url))
        assert [await body_of(pool), await body_of(pool)] == [b"hello world"] * 2
    assert numbers == [1, 2]


async def test_what_the_taker_raises_comes_out_of_the_stream() -> None:
    """And the connection is closed."""
    closed = asyncio.Event()

    async def answer(connection: Connection) -> None:
        await connection.request()
        connection.send(b"half", length=8)
        await connection.closed()
        closed.set()

    def take(_: bytes) -> bool:
        raise ZeroDivisionError

    async with raw_server(answer) as url, Http() as http:
        with pytest.raises(ZeroDivisionError):
            async with Pool(http, Endpoint("acme", url)).post("/x", b"{}") as reply:
                await reply.stream(take)
        async with asyncio.timeout(5):
            await closed.wait()


@asynccontextmanager
async def tls_server(context: ssl.SSLContext) -> AsyncIterator[str]:
    """Answers every request in one read, over TLS."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            writer.write(SIZED)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"


async def test_tls_is_spoken_to_those_who_can_be_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate of a known authority is accepted, one of a stranger is not."""
    known, stranger = trustme.CA(), trustme.CA()
    with known.cert_pem.tempfile() as bundle:
        monkeypatch.setenv("SSL_CERT_FILE", bundle)
        for authority in (known, stranger):
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            authority.issue_cert("localhost").configure_cert(context)
            async with tls_server(context) as url, Http() as http:
                pool = Pool(http, Endpoint("acme", url))
                if authority is known:
                    assert await body_of(pool) == b"hello world"
                    continue
                with pytest.raises(WireError, match=r"^no trusted TLS connection$"):
                    await body_of(pool)
