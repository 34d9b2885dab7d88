"""A whole gateway in the test's own loop, on a loopback port over a real store, and a caller who speaks `voice.v1`."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response
from websockets.typing import Subprotocol

from gateway.address import listen
from gateway.app import Gateway, build_server
from tests.api.world import Client
from tests.stores import fresh_store
from voice_agent.clock import SystemClock
from voice_agent.config import Settings
from voice_agent.llm.wire import Http
from voice_agent.store.base import Owner
from voice_agent.store.connection import Connection
from voice_agent.tools.function import ToolFunction

# Nothing that the machine's environment says may reach a test; the lease is long so that no beat comes in between.
_SETTINGS: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 0,
    "api_key": None,
    "model": "simulated",
    "openai_api_key": None,
    "anthropic_api_key": None,
    "providers": None,
    "mcp_servers": None,
    "simulated_first_token_ms": 0,
    "simulated_token_ms": 0,
    "lease_ms": 600_000,
    "resume_s": 60,
    "idle_s": 60,
    "max_frame_bytes": 65_536,
    "max_text_chars": 16_000,
    "max_frames_per_s": 1000,
}


class Caller:
    """One connection to a session. `events` are the numbered ones; that no number is missing or comes twice is checked.

    `after` is the last number seen on an earlier connection.
    """

    def __init__(self, connection: ClientConnection, after: int) -> None:
        self.socket = connection
        self.ready: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []
        self.seq = after

    async def send(self, what: str, /, **fields: Any) -> None:
        """A frame."""
        await self.socket.send(json.dumps({"type": what, **fields}))

    async def next(self) -> dict[str, Any]:
        """The next frame."""
        async with asyncio.timeout(10):
            frame: dict[str, Any] = json.loads(await self.socket.recv())
        if frame["type"] in ("session.ready", "pong"):
            assert "seq" not in frame
            return frame
        assert frame["seq"] == self.seq + 1, f"{frame} after {self.seq}"
        self.seq += 1
        self.events.append(frame)
        return frame

    async def until(self, what: str, **fields: Any) -> dict[str, Any]:
        """Read up to the next frame of a type, with these fields."""
        while True:
            frame = await self.next()
            if frame["type"] == what and fields.items() <= frame.items():
                return frame

    async def ask(self, text: str, turn_id: str) -> dict[str, Any]:
        """Say something and hear the turn to its end."""
        await self.send("user.text", text=text, turn_id=turn_id)
        return await self.end_of(turn_id)

    async def end_of(self, turn_id: str) -> dict[str, Any]:
        """The end of a turn, if need be after reading up to it."""
        ended = [event for event in self.of("turn.ended") if event["turn_id"] == turn_id]
        return ended[-1] if ended else await self.until("turn.ended", turn_id=turn_id)

    async def settle(self) -> int:
        """Read what was on its way, which the answer to a ping follows; returns how many events that were."""
        before = len(self.events)
        await self.send("ping", id=f"settle-{before}")
        await self.until("pong", id=f"settle-{before}")
        return len(self.events) - before

    async def closed(self) -> int:
        """Read to the end of the connection; returns its close code."""
        try:
            while True:
                await self.next()
        except ConnectionClosed:
            assert self.socket.close_code is not None
            return self.socket.close_code

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        """The events of these types so far."""
        return [event for event in self.events if event["type"] in kinds]

    def said(self, turn_id: str) -> str:
        """What has been spoken in a turn."""
        return "".join(event["text"] for event in self.of("speech.delta") if event["turn_id"] == turn_id)

    def drop(self) -> None:
        """The network fails: no close frame."""
        self.socket.transport.abort()


@dataclass(frozen=True)
class Place:
    """A gateway that serves at `base`; `http` speaks to its resources."""

    base: str
    gateway: Gateway
    store: Connection
    http: Client

    def url(self, agent: str = "demo", **query: str | int) -> str:
        """Where the session of an agent is."""
        return f"{self.base.replace('http', 'ws', 1)}/v1/agents/{agent}/session?{urlencode(query)}"

    @asynccontextmanager
    async def call(
        self, agent: str = "demo", *, rcvbuf: int | None = None, **query: str | int
    ) -> AsyncIterator[Caller]:
        """A call; hanging up is closing the connection. `rcvbuf`: bytes that the machine keeps for a deaf caller."""
        line = None
        if rcvbuf is not None:
            line = socket.socket()
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            line.connect(("127.0.0.1", int(self.base.rpartition(":")[2])))
        async with connect(
            self.url(agent, **query),
            sock=line,
            compression=None,
            ping_interval=None,
            close_timeout=1,
            max_size=None,
            max_queue=None if rcvbuf is None else 1,
            proxy=None,
            subprotocols=[Subprotocol("voice.v1")],
        ) as connection:
            caller = Caller(connection, int(query.get("last_seq", 0)))
            caller.ready = await caller.next()
            assert caller.ready["type"] == "session.ready"
            yield caller

    async def refusal(self, agent: str = "demo", *, key: str | None = None, **query: str | int) -> Response:
        """The answer to a call that is not let in."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        try:
            async with connect(self.url(agent, **query), additional_headers=headers, proxy=None):
                pass
        except InvalidStatus as refused:
            return refused.response
        raise AssertionError("the call was let in")


@asynccontextmanager
async def gateway(
    store: Connection | None = None, *, sndbuf: int | None = None, tools: Iterable[ToolFunction] = (), **settings: Any
) -> AsyncIterator[Place]:
    """Run a gateway over `store`, or over the run's own, emptied. `sndbuf`: bytes the machine keeps for each caller.

    `tools` are known beside the product's own.
    """
    if store is None:
        async with fresh_store() as fresh, gateway(fresh, sndbuf=sndbuf, tools=tools, **settings) as place:
            yield place
        return
    chosen = Settings(**(_SETTINGS | settings))
    with listen("127.0.0.1", 0) as bound:
        if sndbuf is not None:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
        base = f"http://127.0.0.1:{bound.getsockname()[1]}"
        async with Http() as provider, aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            served = Gateway(chosen, store, provider, Owner(base, "1"), SystemClock(), tools)
            await served.prepare()
            tasks.create_task(served.run())
            await served.ready()
            server = build_server(chosen, served.app)
            server.config.load()
            server.lifespan = server.config.lifespan_class(server.config)
            await server.startup(sockets=[bound])
            try:
                yield Place(base, served, store, Client(session, base))
            finally:
                await served.close()
                await server.shutdown(sockets=[bound])
