"""Tools of every kind in live calls: webhooks, MCP servers, the client's, and what rules and names they go by."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.gateways import Caller, Place, gateway
from tests.servers import serving
from tests.test_connection import problem
from tests.tools.mcp_ends import SERVER
from voice_agent.agent import Agent
from voice_agent.rules.kinds import MaxCount
from voice_agent.store.directory import RedisDirectory

LOOPBACK = ("127.0.0.1",)


@asynccontextmanager
async def shop() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """A server of webhooks: its URL, and what it was asked."""
    asked: list[dict[str, Any]] = []

    async def order(request: Request) -> Response:
        asked.append({"headers": dict(request.headers), "body": await request.json()})
        return JSONResponse({"ordered": asked[-1]["body"]["arguments"]["dish"], "with": "s3cret-key"})

    async with serving(Starlette(routes=[Route("/order", order, methods=["POST"])])) as url:
        yield f"{url}/order", asked


def webhook(url: str, **fields: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"dish": {"type": "string"}}, "required": ["dish"]}
    return {"type": "webhook", "name": "order", "description": "Orders.", "url": url, "parameters": parameters} | fields


def mcp_file(folder: Path, **servers: Any) -> Path:
    """A file that names MCP servers: `kit`, a real one, unless others are given."""
    path = folder / "mcp.json"
    kit = {"kit": {"command": sys.executable, "args": [SERVER, "stdio"]}}
    path.write_text(json.dumps({"mcpServers": servers or kit}))
    return path


async def create(place: Place, **fields: Any) -> Any:
    """The answer to the creation of the agent `a`."""
    return await place.http.ask("POST", "/v1/agents", json={"id": "a", "name": "A"} | fields)


def statuses(caller: Caller) -> list[tuple[str, str]]:
    return [(event["name"], event["status"]) for event in caller.of("tool.finished")]


async def test_a_webhook_is_called_with_the_agent_s_secrets_and_they_stay_hidden() -> None:
    """Header and signature reach the server; what it echoes of them is masked in the history."""
    async with shop() as (url, asked), gateway(allowed_hosts=LOOPBACK) as place:
        tool = webhook(url, headers={"X-Key": "${KEY}"}, secret="KEY")
        assert (await create(place, tools=[tool, "get_time"], secrets={"KEY": "s3cret-key"})).status == 201
        async with place.call("a", user="ann") as caller:
            await caller.ask('!call order {"dish":"soup"} !call order {"dish":7} !then !say Done.', "t1")
            assert sorted(statuses(caller)) == [("order", "error"), ("order", "ok")]
        (one,) = asked
        assert one["headers"]["x-key"] == "s3cret-key"
        assert one["headers"]["x-voice-signature"].startswith("t=")
        assert (one["body"]["user"], one["body"]["arguments"]) == ("ann", {"dish": "soup"})
        page = await place.http.ask("GET", "/v1/agents/a/messages?user=ann")
        assert b"s3cret-key" not in page.body
        assert b"***" in page.body


async def test_rules_may_name_tools_that_the_agent_brings() -> None:
    """A count for the webhook, an approval for the client's tool."""
    zoom = {"type": "client", "name": "zoom", "description": "Zooms."}
    rules = [{"type": "max_count", "tool": "order", "count": 1}, {"type": "requires_approval", "tool": "zoom"}]
    async with shop() as (url, asked), gateway(allowed_hosts=LOOPBACK) as place:
        assert (await create(place, tools=[webhook(url), zoom], tool_rules=rules)).status == 201
        async with place.call("a") as caller:
            text = '!call order {"dish":"a"} !then !call order {"dish":"b"} !then !call zoom !then !say Done.'
            await caller.send("user.text", text=text, turn_id="t1")
            call_id = (await caller.until("approval.request", name="zoom"))["call_id"]
            await caller.send("tool.approval", call_id=call_id, approved=True)
            await caller.until("tool.request", name="zoom", call_id=call_id)
            await caller.send("tool.result", call_id=call_id, output=None)
            assert (await caller.end_of("t1"))["reason"] == "end_turn"
            assert statuses(caller) == [("order", "ok"), ("order", "error"), ("zoom", "ok")]
        assert len(asked) == 1


async def test_a_brought_tool_takes_no_name_of_the_gateway_s(tmp_path: Path) -> None:
    """Not of its own tools, listed or not, and not of an MCP server's."""
    async with gateway(mcp_servers=mcp_file(tmp_path)) as place:
        for name in ("get_time", "kit__echo", "kit__whatever"):
            answer = await create(place, tools=[webhook("https://shop.test/order", name=name)])
            assert answer.status == 422
            assert answer.json["errors"] == [
                {"path": "/tools/0/name", "message": f"the gateway has a tool {name!r} already"}
            ]


@pytest.mark.parametrize("entry", ["kit__*", "kit__echo"])
async def test_tools_of_an_mcp_server_are_there_for_the_first_call(tmp_path: Path, entry: str) -> None:
    """By name or all of them, and under rules that name one of them."""
    rules = [{"type": "max_count", "tool": "kit__echo", "count": 1}]
    async with gateway(mcp_servers=mcp_file(tmp_path)) as place:
        assert (await create(place, tools=[entry, "get_time"], tool_rules=rules)).status == 201
        async with place.call("a") as caller:
            await caller.ask('!call kit__echo {"text":"ab"} !then !call kit__echo {"text":"c"} !then !say Done.', "t1")
            assert statuses(caller) == [("kit__echo", "ok"), ("kit__echo", "error")]
        page = await place.http.ask("GET", "/v1/agents/a/messages")
        assert "ab" in [item["text"] for item in page.json["items"]]


async def test_a_server_that_is_away_keeps_no_call_from_beginning(tmp_path: Path) -> None:
    """Its tools are missing, and a name of no server is a fault of the agent."""
    path = mcp_file(tmp_path, kit={"command": "/no/such/command"})
    async with gateway(mcp_servers=path) as place:
        assert (await create(place, tools=["kit__*", "kit__echo", "get_time"])).status == 201
        async with place.call("a") as caller:
            await caller.ask("!call kit__echo !then !call get_time !then !say Done.", "t1")
            assert statuses(caller) == [("kit__echo", "error"), ("get_time", "ok")]
        answer = await place.http.ask("POST", "/v1/agents", json={"name": "B", "tools": ["nokit__echo", "nokit__*"]})
        assert [fault["path"] for fault in answer.json["errors"]] == ["/tools/0", "/tools/1"]


async def test_an_agent_whose_tool_is_gone_cannot_be_called() -> None:
    """It was made when there was such a tool: told at the door, naming it."""
    async with gateway() as place:
        gone = Agent(id="a", name="A", tools=("get_time", "gone"))
        ruled = Agent(id="b", name="B", tools=("get_time",), tool_rules=(MaxCount(tool="gone", count=1),))
        for agent in (gone, ruled):
            await RedisDirectory(place.store).write_agent(agent.id, agent.document(), 0)
            assert "gone" in problem(await place.refusal(agent.id), 409)["detail"]
