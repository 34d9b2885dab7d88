"""A front end's counterpart that follows a script: a real WebSocket server speaking just enough of `voice.v1`."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

TURN = {
    "reason": "end_turn",
    "heard": "",
    "generated": "",
    "usage": {},
    "latency": {"first_speech": 12.0, "total": 30.0},
}


class Line:
    """One connection of a caller. `sent` numbers the session's events over all its connections."""

    def __init__(self, socket: ServerConnection, number: int, sent: list[dict[str, Any]]) -> None:
        assert socket.request is not None
        self.socket = socket
        self.number = number
        self.path = socket.request.path
        self.authorization = socket.request.headers.get("Authorization")
        self.sent = sent

    async def ready(self, *, resumed: bool = False) -> None:
        """`session.ready`, which has no number."""
        ready = {"type": "session.ready", "resume_token": "token-1", "resumed": resumed, "session_id": "s-1"}
        await self.socket.send(json.dumps(ready))

    async def event(self, what: str, /, **fields: Any) -> None:
        """The session's next event."""
        self.sent.append({"type": what, "seq": len(self.sent) + 1, **fields})
        await self.socket.send(json.dumps(self.sent[-1]))

    async def replay(self, after: int) -> None:
        """Events that were sent before, once more."""
        for event in self.sent[after:]:
            await self.socket.send(json.dumps(event))

    async def frame(self) -> dict[str, Any]:
        """What the caller sends next, but for word that all of a turn was seen."""
        while True:
            frame: dict[str, Any] = json.loads(await self.socket.recv())
            if not frame.get("done"):
                return frame

    async def say(self, turn: str, *words: str, kind: str = "reply") -> None:
        """Speech in pieces."""
        for word in words:
            await self.event("speech.delta", turn_id=turn, text=word, kind=kind)

    async def answer(self, turn: str, *words: str) -> None:
        """A whole turn."""
        await self.event("turn.started", turn_id=turn, revision=0)
        await self.say(turn, *words)
        await self.event("turn.spoken", turn_id=turn)
        await self.event("turn.ended", turn_id=turn, **TURN)

    def drop(self) -> None:
        """The network fails: no close frame."""
        self.socket.transport.abort()


@asynccontextmanager
async def scripted(
    script: Callable[[Line], Awaitable[None]],
    refuse: Callable[[int], int | None] = lambda _: None,
    page: str = "",
    answers: Mapping[str, Any] | None = None,
) -> AsyncIterator[str]:
    """Serve callers by `script`; yields the base URL.

    `refuse` gives the HTTP status for connection 1, 2 …, or None to let it in; `page` is what `/` shows; `answers` are
    what other paths (with their query) answer as JSON, None standing for 403.
    """
    calls: list[ServerConnection] = []
    sent: list[dict[str, Any]] = []

    async def handle(socket: ServerConnection) -> None:
        await script(Line(socket, len(calls), sent))

    def door(socket: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if not path.endswith("/session"):
            if path == "/":
                return _answer(200, "text/html; charset=utf-8", page)
            if request.path not in (answers or {}):
                return _answer(404, "application/json", "{}")
            document = (answers or {})[request.path]
            return _answer(403 if document is None else 200, "application/json", json.dumps(document))
        calls.append(socket)
        status = refuse(len(calls))
        if status is None:
            return None
        return socket.respond(HTTPStatus(status), json.dumps({"detail": f"because of {status}"}))

    async with serve(handle, "127.0.0.1", 0, process_request=door, subprotocols=[Subprotocol("voice.v1")]) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _answer(status: int, kind: str, text: str) -> Response:
    body = text.encode()
    headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}
    return Response(status, "", Headers(headers), body)
