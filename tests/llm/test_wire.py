"""Connections to providers on real sockets: kept, warmed, replaced when found dead, closed at once."""

import asyncio

import pytest

from tests.llm.rawserver import Connection, raw_server
from voice_agent.llm.http1 import WireError
from voice_agent.llm.wire import Endpoint, Http, Pool


async def read_all(pool: Pool) -> tuple[int, bytes]:
    """Status and body of one POST."""
    async with pool.post("/chat/completions", b"{}") as reply:
        pieces: list[bytes] = []
        await reply.stream(lambda piece: bool(pieces.append(piece)))  # type: ignore[func-returns-value]
        return reply.status, b"".join(pieces)


async def test_connection_is_kept_and_request_is_whole() -> None:
    """Three requests share a connection; head, query, key and body arrive as given."""
    requests: list[tuple[int, str, bytes]] = []

    async def answer(connection: Connection) -> None:
        while True:
            head, body = await connection.request()
            requests.append((connection.number, head, body))
            connection.send(b"fine")

    async with raw_server(answer) as url, Http() as http:
        endpoint = Endpoint("azure", url + "/", "k3y", auth="api-key", query=(("api-version", "2026-10-01"),))
        pool = Pool(http, endpoint)
        assert [await read_all(pool) for _ in range(3)] == [(200, b"fine")] * 3
    assert [number for number, _, _ in requests] == [1, 1, 1]
    _, head, body = requests[0]
    assert head.startswith("POST /v1/chat/completions?api-version=2026-10-01 HTTP/1.1\r\n")
    assert "api-key: k3y" in head
    assert "authorization" not in head.lower()
    assert body == b"{}"
    assert "k3y" not in repr(endpoint)


async def test_dead_kept_connections_are_replaced_once() -> None:
    """A request on a kept connection that dies without a byte goes again on a new one, though others are dead too."""
    seen: list[int] = []
    both_there = asyncio.Event()

    async def answer(connection: Connection) -> None:
        await connection.request()
        seen.append(connection.number)
        if connection.number == 2:
            both_there.set()
        await both_there.wait()
        connection.send(b"fine")
        await connection.request()
        seen.append(connection.number)
        if connection.number > 2:
            connection.send(b"fine")

    async with raw_server(answer) as url, Http() as http:
        pool = Pool(http, Endpoint("acme", url))
        await asyncio.gather(read_all(pool), read_all(pool))
        assert await read_all(pool) == (200, b"fine")
    assert sorted(seen[:2]) == [1, 2]
    assert len(seen) == 4
    assert seen[3] == 3


async def test_new_connection_that_dies_is_a_fault() -> None:
    """A request is never sent twice when its connection was new."""
    requests: list[int] = []

    async def drop(connection: Connection) -> None:
        await connection.request()
        requests.append(connection.number)

    async with raw_server(drop) as url, Http() as http:
        with pytest.raises(WireError, match="the connection was lost"):
            await read_all(Pool(http, Endpoint("acme", url)))
    assert requests == [1]


async def test_body_that_breaks_off_is_a_fault() -> None:
    """Bytes come as they arrive, and then the loss is told."""

    async def cut(connection: Connection) -> None:
        await connection.request()
        connection.send(b"half", length=8)

    async with raw_server(cut) as url, Http() as http, Pool(http, Endpoint("acme", url)).post("/x", b"{}") as reply:
        pieces: list[bytes] = []
        with pytest.raises(WireError, match="the connection was lost"):
            await reply.stream(lambda piece: bool(pieces.append(piece)))  # type: ignore[func-returns-value]
        assert pieces == [b"half"]


@pytest.mark.parametrize("answers", [True, False])
async def test_cancel_closes_the_connection(answers: bool) -> None:
    """Cancelling a request, before its head or in its body, shows at the server at once."""
    asked, closed = asyncio.Event(), asyncio.Event()

    async def hold(connection: Connection) -> None:
        await connection.request()
        if answers:
            connection.send(b"half", length=8)
        asked.set()
        await connection.closed()
        closed.set()

    async with raw_server(hold) as url, Http() as http, asyncio.timeout(5):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(read_all(Pool(http, Endpoint("acme", url))))
            await asked.wait()
            task.cancel()
        await closed.wait()


async def test_warm_opens_what_the_request_uses() -> None:
    """Two warmings at once are one authenticated GET, and the request after it takes its connection."""
    heads: list[tuple[int, str]] = []

    async def answer(connection: Connection) -> None:
        while True:
            head, _ = await connection.request()
            heads.append((connection.number, head))
            connection.send(b"fine")

    async with raw_server(answer) as url, Http() as http:
        pool = Pool(http, Endpoint("acme", url, "k3y"))
        await asyncio.gather(pool.warm("/models"), pool.warm("/models"))
        await read_all(pool)
    assert [(number, head.split()[0]) for number, head in heads] == [(1, "GET"), (1, "POST")]
    assert "Authorization: Bearer k3y" in heads[0][1]


async def test_what_is_asked_for_is_asked_each_time() -> None:
    """A GET is answered however many there are at once; with nothing where the answer is no 200."""
    answers = [b"one", b"two", b"no"]

    async def answer(connection: Connection) -> None:
        while True:
            head, _ = await connection.request()
            connection.send(answers.pop(0), "404 Not Found" if "/gone" in head else "200 OK")

    async with raw_server(answer) as url, Http() as http:
        pool = Pool(http, Endpoint("acme", url))
        assert sorted(await asyncio.gather(pool.get("/models"), pool.get("/models"))) == [b"one", b"two"]
        assert await pool.get("/gone") == b""


async def test_warm_is_silent_where_nobody_listens() -> None:
    """A provider that is not there is the request's business."""
    async with raw_server(Connection.closed) as url:
        pass
    async with Http() as http:
        pool = Pool(http, Endpoint("acme", url))
        assert await pool.warm("/models") == b""
        with pytest.raises(WireError, match=r"^no connection$"):
            await read_all(pool)
