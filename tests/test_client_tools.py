"""Tools that a client brings along, over its socket: what is taken, what is refused, and from when on it counts."""

from typing import Any

import pytest

from tests.gateways import gateway

ZOOM: dict[str, Any] = {"name": "zoom", "description": "Zooms the caller's map."}


async def test_brought_tools_count_from_the_next_turn_until_others_are_brought() -> None:
    """An empty list takes them away again; other options leave them alone."""
    async with gateway() as place, place.call() as caller:
        await caller.send("session.configure", client_tools=[ZOOM])
        await caller.send("session.configure", language="de")
        await caller.send("user.text", text="!call zoom !then !say There.", turn_id="t1")
        asked = await caller.until("tool.request", name="zoom")
        await caller.send("session.configure", client_tools=[])
        await caller.send("tool.result", call_id=asked["call_id"], output=[1, "two"])
        assert (await caller.until("tool.finished"))["status"] == "ok"
        ended = await caller.end_of("t1")
        assert ended["heard"].endswith("There.")
        assert "client" in [part["name"] for part in ended["latency"]["parts"]]
        await caller.ask("!call zoom !then !say No.", "t2")
        assert [event["status"] for event in caller.of("tool.finished")] == ["ok", "error"]
        assert len(caller.of("tool.request")) == 1
        assert caller.of("error") == []


@pytest.mark.parametrize(
    ("tools", "field", "message"),
    [
        ([ZOOM, {"name": "pan"}], "client_tools[1].description", "this field is required"),
        ([ZOOM, ZOOM], "client_tools[1].name", "'zoom' is named twice"),
        ([ZOOM | {"name": "a b"}], "client_tools[0].name", "String should match pattern"),
        ([ZOOM | {"url": "https://x.test"}], "client_tools[0].url", "there is no such field"),
        ([ZOOM | {"name": "get_time"}], "client_tools[0].name", "there is a tool 'get_time' already"),
        ([ZOOM | {"parameters": {"type": "array"}}], "client_tools[0].parameters.type", 'it has to be "object"'),
        (["zoom"], "client_tools[0]", "Input should be an object"),
        (ZOOM, "client_tools", "Expected `array | null`, got `object`"),
        ([ZOOM] * 65, "client_tools", "Expected `array` of length <= 64"),
    ],
)
async def test_what_is_wrong_with_them_is_told_with_its_place(tools: Any, field: str, message: str) -> None:
    """Nothing of the frame counts then."""
    async with gateway() as place, place.call() as caller:
        await caller.send("session.configure", client_tools=tools, language="de")
        error = await caller.until("error")
        assert (error["code"], error["field"]) == ("bad_field", field)
        assert message in error["message"]
        await caller.ask("!call zoom !then !say No.", "t1")
        assert [event["status"] for event in caller.of("tool.finished")] == ["error"]
        messages = (await place.http.ask("GET", "/v1/agents/demo/messages")).json["items"]
        assert all(item["role"] != "context" for item in messages)


async def test_an_approval_over_the_socket() -> None:
    """A person is asked before the call runs, its frames come in order, and unknown ids are told."""
    rules = [{"type": "requires_approval", "tool": "get_time"}]
    async with gateway() as place:
        await place.http.ask(
            "POST", "/v1/agents", json={"id": "a", "name": "A", "tools": ["get_time"], "tool_rules": rules}
        )
        async with place.call("a") as caller:
            await caller.send("user.text", text="!call get_time !then !say There.", turn_id="t1")
            asked = await caller.until("approval.request", name="get_time", turn_id="t1")
            await caller.send("tool.approval", call_id="call_0", approved=True)
            error = await caller.until("error")
            assert (error["code"], error["field"]) == ("unknown_id", "call_id")
            for _ in range(2):
                await caller.send("tool.approval", call_id=asked["call_id"], approved=True)
            await caller.end_of("t1")
            calls = caller.of("approval.request", "tool.started", "tool.finished")
            assert [event["type"] for event in calls] == ["approval.request", "tool.started", "tool.finished"]
            assert {event["call_id"] for event in calls} == {asked["call_id"]}
            assert len(caller.of("error")) == 1
