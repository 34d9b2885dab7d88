"""Sending at once: frames of every length, in order with those sent the usual way, and none into a full socket."""

import asyncio
import socket

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from gateway.websocket import Protocol, at_once
from tests.servers import serving

SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000]


async def test_frames_of_every_length_arrive_whole_and_in_order() -> None:
    """Of 7, 16 and 64 bits, each behind one that was sent the usual way, and only from handshake to close frame."""
    ready: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ws = WebSocket(scope, receive, send)
        protocol = at_once(ws)
        assert protocol is not None
        ready.append(protocol.ready)
        await ws.accept()
        for size in SIZES:
            await ws.send_text(str(size))
            while not protocol.ready:
                await asyncio.sleep(0)
            protocol.send_text("x" * size)
        protocol.send_text("\N{GRINNING FACE}")
        ready.append(protocol.ready)
        await ws.close()
        ready.append(protocol.ready)

    async with serving(app, Protocol) as url, connect(url.replace("http", "ws"), max_size=None, proxy=None) as client:
        seen = [frame async for frame in client]
    assert seen == [text for size in SIZES for text in (str(size), "x" * size)] + ["\N{GRINNING FACE}"]
    assert ready == [False, True, False]


async def test_it_is_not_ready_while_the_client_reads_nothing() -> None:
    """And it is again when what was sent has been read."""
    full, rooms = asyncio.Event(), list[bool]()

    def has_room(protocol: Protocol) -> bool:
        return protocol.ready

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ws = WebSocket(scope, receive, send)
        await ws.accept()
        protocol = at_once(ws)
        assert protocol is not None
        while has_room(protocol):
            protocol.send_text("x" * 65_536)
        full.set()
        await ws.send_text("end")  # waits until there is room
        rooms.append(has_room(protocol))
        await ws.close()

    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    async with serving(app, Protocol) as url, asyncio.timeout(10):
        line.connect(("127.0.0.1", int(url.rpartition(":")[2])))
        async with connect(url.replace("http", "ws"), sock=line, max_queue=1, max_size=None, proxy=None) as client:
            await full.wait()
            assert rooms == []
            frames = [frame async for frame in client]
            assert frames[-1] == "end"
            assert rooms == [True]


async def test_under_another_server_there_is_no_such_way() -> None:
    """The connection then sends as ASGI has it."""
    found = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ws = WebSocket(scope, receive, send)
        found.append(at_once(ws))
        await ws.accept()
        await ws.close()

    async with serving(app) as url, connect(url.replace("http", "ws"), proxy=None) as client:
        await client.wait_closed()
    assert found == [None]
