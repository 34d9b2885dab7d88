"""Rules from an agent's document to the end of a call: over HTTP, the socket, and the provider's wire."""

from tests.gateways import gateway
from tests.test_connection import problem
from voice_agent.agent import Agent
from voice_agent.rules.kinds import MaxCount
from voice_agent.store.directory import RedisDirectory

RULES = [
    {"type": "run_first", "tool": "get_time"},
    {"type": "children", "tool": "get_time", "children": ["set_reminder"],
     "args": {"set_reminder": {"text": "tea", "in_minutes": 5}}},
    {"type": "required_before_exit", "tool": "set_reminder"},
]  # fmt: skip
AGENT = {"id": "ann", "name": "Ann", "tools": ["get_time", "set_reminder", "end_call"], "tool_rules": RULES}


async def test_a_call_goes_by_the_rules_of_its_agent() -> None:
    """What is out of order is refused, what is forced is asked for, what is set is set."""
    async with gateway() as place:
        assert (await place.http.ask("POST", "/v1/agents", json=AGENT)).status == 201
        async with place.call("ann") as caller:
            ended = await caller.ask(
                "!call end_call !then !call get_time !call set_reminder !then !call end_call", "t1"
            )
            assert ended["reason"] == "tool_rule"
            done = [(event["name"], event["status"]) for event in caller.of("tool.finished")]
            assert done == [("end_call", "error"), ("get_time", "ok"), ("set_reminder", "ok"), ("end_call", "ok")]
            started = {event["name"]: event["arguments"] for event in caller.of("tool.started")}
            assert started["set_reminder"] == {"text": "tea", "in_minutes": 5}
        async with place.call("ann") as caller:
            ended = await caller.ask("!say no !then !say no", "t2")
            assert ended["reason"] == "invalid_tool_call"
            (failed,) = caller.of("error")
            assert "no valid call" in failed["message"]


async def test_rules_that_no_turn_can_follow_are_refused_over_http() -> None:
    """With the path to each fault."""
    async with gateway() as place:
        rules = [{"type": "exit"}, {"type": "run_first", "tool": "fly"}]
        answer = await place.http.ask("POST", "/v1/agents", json=AGENT | {"tool_rules": rules})
        assert answer.status == 422
        assert [fault["path"] for fault in answer.json["errors"]] == ["/tool_rules/0/tool", "/tool_rules/1/tool"]
        wrong = [{"type": "children", "tool": "get_time", "children": ["set_reminder"],
                  "args": {"set_reminder": {"in_minutes": "soon"}}}]  # fmt: skip
        answer = await place.http.ask("POST", "/v1/agents", json=AGENT | {"tool_rules": wrong})
        assert [fault["path"] for fault in answer.json["errors"]] == ["/tool_rules/0/args/set_reminder"]
        await place.http.ask("POST", "/v1/agents", json=AGENT)
        kept = await place.http.ask("GET", "/v1/agents/ann")
        assert kept.json["tool_rules"][0]["type"] == "run_first"


async def test_an_agent_whose_rules_lost_their_tool_is_not_called() -> None:
    """A document that was stored before the gateway's tools changed is refused at the door, with the reason."""
    async with gateway() as place:
        stored = Agent(id="old", name="Old", tools=("get_time",), tool_rules=(MaxCount(tool="set_reminder", count=1),))
        await RedisDirectory(place.store).write_agent("old", stored.document(), 0)
        refused = await place.refusal("old")
        assert "max_count set_reminder: the agent has no tool 'set_reminder'" in problem(refused, 409)["detail"]
