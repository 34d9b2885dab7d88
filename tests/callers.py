"""Callers of a gateway that may die under them, and what its history must look like whatever happened."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect

from tests.processes import PATIENCE_S


class Caller:
    """One call: what was said on it, and every event that came back."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.events: list[dict[str, Any]] = []

    async def send(self, what: str, **fields: Any) -> None:
        """A frame."""
        await self._socket.send(json.dumps({"type": what, **fields}))

    async def say(self, text: str, turn_id: str) -> None:
        """Final words of the user's."""
        await self.send("user.text", text=text, turn_id=turn_id)

    async def hear(self) -> dict[str, Any]:
        """The next event."""
        event: dict[str, Any] = json.loads(await self._socket.recv())
        self.events.append(event)
        return event

    async def until(self, what: str, **fields: Any) -> dict[str, Any]:
        """The next event of this type with these fields; others are kept and passed by."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                event = await self.hear()
                if event["type"] == what and fields.items() <= event.items():
                    return event

    async def ask(self, text: str, turn_id: str) -> dict[str, Any]:
        """Say something and hear the turn out; returns its end."""
        await self.say(text, turn_id)
        return await self.until("turn.ended", turn_id=turn_id)

    def of(self, what: str, **fields: Any) -> list[dict[str, Any]]:
        """The events heard so far of this type with these fields."""
        return [event for event in self.events if event["type"] == what and fields.items() <= event.items()]

    async def caught_up(self) -> None:
        """Everything that the gateway had to tell until now was heard."""
        await self.send("ping", id="now")
        await self.until("pong", id="now")


@asynccontextmanager
async def calling(url: str, user: str, agent: str = "demo") -> AsyncIterator[Caller]:
    """A call of `user` with an agent of the gateway at `url`, which may be cut off at any time."""
    where = f"ws{url.removeprefix('http')}/v1/agents/{agent}/session?user={user}"
    async with connect(where, ping_interval=None, compression=None, close_timeout=1, proxy=None) as socket:
        caller = Caller(socket)
        await caller.until("session.ready")
        yield caller


async def history(url: str, user: str, agent: str = "demo") -> list[dict[str, Any]]:
    """All that `GET /v1/agents/{agent}/messages` has, oldest first."""
    found: list[dict[str, Any]] = []
    query = {"user": user, "limit": "200"}
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"{url}/v1/agents/{agent}/messages", params=query) as reply:
                assert reply.status == 200, await reply.text()
                page = await reply.json()
            found += page["items"]
            if page["next"] is None:
                return found[::-1]
            query["before"] = page["next"]


def check_shape(items: list[dict[str, Any]]) -> None:
    """What every provider demands of a history: turns are whole, and each call has its one result directly after it."""
    assert len({item["id"] for item in items}) == len(items)
    turns = [turn_id for turn_id, _ in groupby(item["turn_id"] for item in items)]
    assert len(set(turns)) == len(turns), f"a turn is torn, or there twice: {turns}"
    for _, turn in groupby(items, key=lambda item: item["turn_id"]):
        roles, waiting = [], list[str]()
        for item in turn:
            roles.append(item["role"])
            if item["role"] == "tool":
                assert waiting, "a result without a call"
                assert item["tool_call_id"] == waiting.pop(0)
            else:
                assert not waiting, "a call without its result"
                waiting = [call["id"] for call in item["tool_calls"]]
        assert not waiting, "a call without its result at the end"
        assert roles[0] == "user"
        assert roles[-1] == "assistant"
        assert set(roles[1:]) <= {"assistant", "tool"}


async def goes_on(url: str, user: str) -> None:
    """The provider takes the history: the next turn of the user ends as it should."""
    async with calling(url, user) as caller:
        ended = await caller.ask("!say on we go", "going on")
        assert (ended["reason"], ended["generated"], caller.of("error")) == ("end_turn", "on we go", [])
    check_shape(await history(url, user))
