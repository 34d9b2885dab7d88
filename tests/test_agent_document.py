"""Tools that an agent brings along, and its secrets: as they are written, refused, stored, and shown to nobody."""

from typing import Any

import msgspec
import pytest

from tests.api.world import api, check_model, make_agent, new_store
from tests.turns import spec
from voice_agent.agent import Agent, InvalidAgentError
from voice_agent.agent_document import change_document, validate_agent
from voice_agent.tool_definitions import ClientTool, WebhookTool, tool_name
from voice_agent.tools.outward import Guard

DAY = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}
HOOK: dict[str, Any] = {"type": "webhook", "name": "book", "description": "Book.", "url": "https://example.com/book"}
CLIENT: dict[str, Any] = {"type": "client", "name": "show_map", "description": "Show a map.", "parameters": DAY}
SECRETS = {"KEY": "hunter2", "MULTILINE": "hun\nter2"}


def validated(**fields: Any) -> Agent:
    document = {"id": "ann", "name": "Ann"} | fields
    return validate_agent(document, {"get_time": spec("get_time")}, check_model, Guard().fault, "simulated")


def faults(**fields: Any) -> dict[str, str]:
    with pytest.raises(InvalidAgentError) as caught:
        validated(**fields)
    assert "hunter2" not in str(caught.value)
    return {fault.path: fault.message for fault in caught.value.faults}


def test_tools_are_names_or_objects_in_their_order() -> None:
    """Both kinds get the policies of any tool, and are stored without defaults."""
    agent = validated(
        tools=[CLIENT, "get_time", HOOK | {"secret": "KEY", "timeout_s": 5, "effects": "none"}], secrets=SECRETS
    )
    assert [tool_name(entry) for entry in agent.tools] == ["show_map", "get_time", "book"]
    client, hook = agent.brought_tools()
    assert isinstance(client, ClientTool)
    assert isinstance(hook, WebhookTool)
    assert (client.timeout_s, client.effects, client.say, client.return_char_limit) == (
        15,
        "irreversible",
        True,
        50_000,
    )
    assert (hook.timeout_s, hook.effects, hook.idempotent, hook.secret) == (5, "none", False, "KEY")
    stored = msgspec.json.decode(agent.document())
    assert stored["tools"] == [CLIENT, "get_time", HOOK | {"secret": "KEY", "timeout_s": 5, "effects": "none"}]
    assert Agent.model_validate_json(agent.document()) == agent
    made = Agent(id="a", name="A", tools=(ClientTool(name="x", description="X."),))
    assert Agent.model_validate_json(made.document()).tools == made.tools


@pytest.mark.parametrize(
    ("tool", "found"),
    [
        (5, "/tools/0"),
        (None, "/tools/0"),
        ({}, "/tools/0/type"),
        ({"type": "python", "name": "x"}, "/tools/0/type"),
        (CLIENT | {"url": "https://example.com/"}, "/tools/0/url"),
        (HOOK | {"name": "with space"}, "/tools/0/name"),
        (HOOK | {"name": "x" * 49}, "/tools/0/name"),
        (HOOK | {"name": "book\n"}, "/tools/0/name"),
        (HOOK | {"description": ""}, "/tools/0/description"),
        (HOOK | {"timeout_s": 0}, "/tools/0/timeout_s"),
        (HOOK | {"effects": "some"}, "/tools/0/effects"),
        (HOOK | {"idempotent": "yes"}, "/tools/0/idempotent"),
        (HOOK | {"url": "ftp://example.com"}, "/tools/0/url"),
        (HOOK | {"url": "http://10.0.0.1/"}, "/tools/0/url"),
        (HOOK | {"url": "http://2130706433/"}, "/tools/0/url"),
        (HOOK | {"url": "https://me:hunter2@example.com"}, "/tools/0/url"),
        (HOOK | {"secret": "NONE"}, "/tools/0/secret"),
        (HOOK | {"secret": "hunter2 "}, "/tools/0/secret"),
        (HOOK | {"headers": {"X~Y": "${NONE}"}}, "/tools/0/headers/X~0Y"),
        (HOOK | {"headers": {"X": "${MULTILINE}"}}, "/tools/0/headers/X"),
        (HOOK | {"headers": {"X": "a\r\nY: b"}}, "/tools/0/headers"),
        (HOOK | {"headers": {"X Y": "b"}}, "/tools/0/headers"),
        (HOOK | {"headers": {"X": "${" * 100_000}}, "/tools/0/headers"),
        (HOOK | {"headers": {"Content-Length": "5"}}, "/tools/0/headers"),
        (HOOK | {"headers": {"X-Voice-SIGNATURE": "5"}}, "/tools/0/headers"),
        (HOOK | {"parameters": []}, "/tools/0/parameters"),
        (HOOK | {"parameters": {"type": "array"}}, "/tools/0/parameters/type"),
        (HOOK | {"parameters": {"properties": {}}}, "/tools/0/parameters/type"),
        (HOOK | {"parameters": DAY | {"required": "day"}}, "/tools/0/parameters/required"),
        (
            HOOK | {"parameters": {"type": "object", "properties": {"pre_exec_msg": {}}}},
            "/tools/0/parameters/properties/pre_exec_msg",
        ),
    ],
)  # fmt: skip
def test_a_wrong_tool_is_refused_where_it_is_wrong(tool: Any, found: str) -> None:
    """One fault, at its field, and what was given is not repeated."""
    assert list(faults(tools=[tool], secrets=SECRETS)) == [found]


def test_every_fault_of_every_tool_is_reported_at_once() -> None:
    """Also beside faults that have nothing to do with tools."""
    bad = {
        "url": "http://localhost/",
        "secret": "NONE",
        "parameters": {"type": "object", "properties": {"a": 5, "b": 6}},
    }
    found = faults(max_steps=0, tools=["fly", HOOK | bad, CLIENT | {"name": ""}, HOOK | {"url": "x"}])
    assert set(found) == {
        "/max_steps", "/tools/0", "/tools/1/url", "/tools/1/secret", "/tools/1/parameters/properties/a",
        "/tools/1/parameters/properties/b", "/tools/2/name", "/tools/3/url",
    }  # fmt: skip


def test_models_and_the_system_text_are_judged_beside_all_other_faults() -> None:
    """They are read off the document, as far as it can be read."""
    found = faults(
        max_steps=0, model="no/x", sleeptime={"model": "no/y", "idle_after_s": 0}, system="x" * 9000, context_window=300
    )
    assert set(found) == {"/max_steps", "/model", "/sleeptime/model", "/sleeptime/idle_after_s", "/system"}
    assert set(faults(system=5, context_window="x", sleeptime=[], model=5)) == {
        "/system", "/context_window", "/sleeptime", "/model",
    }  # fmt: skip


@pytest.mark.parametrize("entry", ["get_time", CLIENT])
def test_there_is_an_end_to_tools(entry: Any) -> None:
    """Of a list that is too long nothing else is said, so that nobody waits for it."""
    assert list(faults(tools=[entry] * 20_000, tool_rules=[{"type": "exit", "tool": "fly"}])) == ["/tools"]


def test_there_is_an_end_to_what_rules_name() -> None:
    """Also where all of a server's tools are meant, and not known."""
    rules = [
        {"type": "children", "tool": f"far__{n}", "children": [f"far__{n}_{m}" for m in range(200)]} for n in range(100)
    ]
    says = "they name more than 200 tools of servers"
    assert faults(tools=["far__*"], tool_rules=rules)["/tool_rules"] == says


def test_there_is_an_end_to_patterns() -> None:
    """Over all tools, since each takes a while to read."""
    some = {"type": "object", "properties": {f"x{n}": {"pattern": f"^{n}$"} for n in range(20)}}
    tools = [CLIENT | {"name": f"show{n}", "parameters": some} for n in range(4)]
    assert validated(tools=tools[:2]).tools
    says = "the agent's tools have more than 50 patterns"
    assert faults(tools=tools) == {"/tools/2/parameters": says, "/tools/3/parameters": says}


def test_a_name_is_given_once() -> None:
    """Whether by a name or an object; a tool that is brought takes none of the gateway's, listed or not."""
    taken = {"/tools/1/name": "the gateway has a tool 'get_time' already"}
    assert faults(tools=["get_time", HOOK | {"name": "get_time"}]) == {"/tools": "named twice: get_time"} | taken
    assert faults(tools=[HOOK, CLIENT | {"name": "get_time"}]) == taken
    assert faults(tools=[HOOK, CLIENT | {"name": "book"}]) == {"/tools": "named twice: book"}


def test_rules_know_the_tools_that_are_brought() -> None:
    """Their names, and what they take."""
    rule = {"type": "run_first", "tool": "show_map", "args": {"day": "today"}}
    assert validated(tools=[CLIENT], tool_rules=[rule]).tool_rules
    assert list(faults(tools=[CLIENT], tool_rules=[rule | {"args": {"day": 5}}])) == ["/tool_rules/0/args"]
    assert list(faults(tools=["get_time"], tool_rules=[rule])) == ["/tool_rules/0/tool"]
    odd = {"type": "object", "properties": {"a/b": {"type": "integer"}, **{f"x{n}": {} for n in range(20)}}}
    wide = CLIENT | {"parameters": odd | {"required": list(odd["properties"])}}
    assert list(faults(tools=[wide], tool_rules=[rule | {"args": {"a/b": "x"}}])) == ["/tool_rules/0/args"]


@pytest.mark.parametrize(
    ("secrets", "found"),
    [
        ({"1KEY": "hunter2"}, "/secrets/1KEY"),
        ({"KEY": ""}, "/secrets/KEY"),
        ({"KEY": 5}, "/secrets/KEY"),
        ({"KEY": "***"}, "/secrets/KEY"),
        ({"KEY": "hunter2\0"}, "/secrets/KEY"),
        (["hunter2"], "/secrets"),
    ],
)
def test_wrong_secrets_are_refused(secrets: Any, found: str) -> None:
    """The mask is none."""
    assert list(faults(secrets=secrets)) == [found]


def test_secrets_are_masked_wherever_an_agent_is_shown() -> None:
    """As text, as Python data and as JSON; what is stored holds them."""
    agent = validated(secrets=SECRETS, tools=[HOOK | {"secret": "KEY", "headers": {"X": "${KEY}"}}])
    for shown in (repr(agent), str(agent), str(agent.model_dump()), agent.model_dump_json(), repr(agent.secrets)):
        assert "hunter2" not in shown
    assert agent.model_dump()["secrets"] == {"KEY": "***", "MULTILINE": "***"}
    assert msgspec.json.decode(agent.document())["secrets"] == SECRETS
    assert agent.secret_values() == SECRETS


@pytest.mark.parametrize(
    ("patch", "secrets"),
    [
        ({"name": "B"}, {"A": "1", "B": "2"}),
        ({"secrets": {"A": "***"}}, {"A": "1", "B": "2"}),
        ({"secrets": {"A": "***", "B": "3", "C": "4"}}, {"A": "1", "B": "3", "C": "4"}),
        ({"secrets": {"A": None, "B": "***"}}, {"B": "2"}),
        ({"secrets": {"C": "***"}}, {"A": "1", "B": "2", "C": "***"}),
        ({"secrets": "***"}, "***"),
    ],
)
def test_a_masked_secret_in_a_patch_keeps_its_value(patch: dict[str, Any], secrets: object) -> None:
    """So that what was read may be sent back."""
    stored = {"id": "a", "secrets": {"A": "1", "B": "2"}}
    assert change_document(stored, patch)["secrets"] == secrets
    assert stored == {"id": "a", "secrets": {"A": "1", "B": "2"}}


async def test_secrets_never_leave_over_http() -> None:
    """Made, read, listed, changed and sent back as read: always masked, and kept."""
    store = new_store()
    async with api(store) as client:
        made = await make_agent(client, id="ann", secrets=SECRETS, tools=[HOOK | {"secret": "KEY"}])
        assert made["secrets"] == {"KEY": "***", "MULTILINE": "***"}
        read = (await client.ask("GET", "/v1/agents/ann")).json
        assert read == made
        for patch in (read, {"secrets": {"NEW": "hunter2", "MULTILINE": None}}):
            answer = await client.ask("PATCH", "/v1/agents/ann", json=patch)
            assert answer.status == 200, answer.body
            assert b"hunter2" not in answer.body
        assert b"hunter2" not in (await client.ask("GET", "/v1/agents")).body
        refused = await client.ask("PATCH", "/v1/agents/ann", json={"secrets": {"KEY": None}})
        assert [fault["path"] for fault in refused.json["errors"]] == ["/tools/0/secret"]
        refused = await client.ask("PATCH", "/v1/agents/ann", json={"secrets": {"OTHER": "***"}})
        assert [fault["path"] for fault in refused.json["errors"]] == ["/secrets/OTHER"]
    row = await store.read_agent("ann")
    assert row is not None
    assert Agent.model_validate_json(row.document).secret_values() == {"KEY": "hunter2", "NEW": "hunter2"}
