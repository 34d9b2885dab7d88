"""From a model's name to a model, and what is said where there is none."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.llm.rawserver import DONE, Connection, raw_server
from voice_agent.agent import Fault, InvalidAgentError
from voice_agent.agent_document import validate_agent
from voice_agent.clock import SystemClock
from voice_agent.config import Settings
from voice_agent.events import ModelEvent, TextDelta
from voice_agent.llm.base import ModelError
from voice_agent.llm.catalogue import Catalogue
from voice_agent.llm.race.form import FAILURES
from voice_agent.llm.wire import Http
from voice_agent.messages import Message, ModelRequest, ToolSchema
from voice_agent.tools.outward import Guard

UNSET: dict[str, Any] = {
    "openai_api_key": None,
    "openai_base_url": "https://api.openai.com/v1",
    "anthropic_api_key": None,
    "anthropic_base_url": "https://api.anthropic.com",
    "providers": None,
}
REQUEST = ModelRequest("simulated", "s", (), (Message("user", "!say ok !token_ms 0 !first_token_ms 0", 0.0),))


@pytest.mark.parametrize(
    ("name", "settings", "fault"),
    [
        ("simulated", {}, None),
        ("openai/gpt-6-luna", {"openai_api_key": "sk-1"}, None),
        ("openai/gpt-6-luna", {}, "openai/gpt-6-luna needs an API key: set OPENAI_API_KEY"),
        ("openai/gpt-6-luna", {"openai_api_key": ""}, "set OPENAI_API_KEY"),
        ("openai/gpt-6-luna", {"openai_api_key": "sk\n1"}, "OPENAI_API_KEY holds a character"),
        ("openai/gpt-6-luna", {"openai_api_key": "k", "openai_base_url": "ftp://x"}, "OPENAI_BASE_URL is no http"),
        ("openai/gpt-6-luna", {"openai_api_key": "k", "openai_base_url": "http://[x"}, "OPENAI_BASE_URL is no http"),
        (
            "openai/m",
            {"openai_api_key": "k", "openai_base_url": "http://x?a=b"},
            "OPENAI_BASE_URL may not end in a query",
        ),
        ("openai/", {"openai_api_key": "k"}, "name is missing"),
        ("anthropic/claude-haiku-5-5", {"anthropic_api_key": "sk-ant-1"}, None),
        ("anthropic/claude-haiku-5-5", {}, "anthropic/claude-haiku-5-5 needs an API key: set ANTHROPIC_API_KEY"),
        ("anthropic/m", {"anthropic_api_key": "k\u00e9"}, "ANTHROPIC_API_KEY holds a character"),
        ("anthropic/m", {"anthropic_api_key": "k", "anthropic_base_url": "x"}, "ANTHROPIC_BASE_URL is no http"),
        ("acme/fast", {}, "there is no model provider 'acme'"),
    ],
)
async def test_check(name: str, settings: dict[str, Any], fault: str | None) -> None:
    """Each fault names what is wrong and the setting that cures it, and opening says the same."""
    async with Http() as http:
        catalogue = Catalogue(Settings(**(UNSET | settings)), SystemClock(), http)
        told = catalogue.check(name)
        if fault is None:
            assert told is None
            catalogue.open(name)
            return
        assert told is not None
        assert fault in told
        with pytest.raises(ModelError, match=r".+") as caught:
            catalogue.open(name)
    assert str(caught.value) == told


async def test_simulated_speaks() -> None:
    """The simulated model needs nothing."""
    out: list[ModelEvent] = []
    async with Http() as http:
        await Catalogue(Settings(), SystemClock(), http).open("simulated").reply(REQUEST, out.append)
    assert out[0] == TextDelta("ok")


async def test_models_share_connections_and_what_was_learnt() -> None:
    """Two openings of a name use one connection, the key, and one capability record."""
    seen: list[tuple[int, bool]] = []

    async def answer(connection: Connection) -> None:
        while True:
            head, body = await connection.request()
            assert "Authorization: Bearer sk-test" in head
            assert b'"model":"gpt-6-luna"' in body
            seen.append((connection.number, b"stream_options" in body))
            if b"stream_options" in body:
                connection.send(b'{"error":{"message":"no stream_options here"}}', "400 Bad Request")
            else:
                connection.send(DONE)

    out: list[ModelEvent] = []
    async with raw_server(answer) as url, Http() as http:
        settings = Settings(openai_api_key="sk-test", openai_base_url=url)
        catalogue = Catalogue(settings, SystemClock(), http)
        for _ in range(2):
            await catalogue.open("openai/gpt-6-luna").reply(REQUEST, out.append)
    assert seen == [(1, True), (1, False), (1, False)]
    assert len(out) == 4


def test_a_model_without_its_key_is_a_fault_of_the_agent() -> None:
    """At creation, with the path to the field; never in the middle of a call."""
    catalogue = Catalogue(Settings(**UNSET), SystemClock(), Http())
    document = {"id": "a", "name": "A", "model": "anthropic/claude-haiku-5-5", "sleeptime": {"model": "openai/m"}}
    with pytest.raises(InvalidAgentError) as caught:
        validate_agent(document, {}, catalogue.check, Guard().fault, "simulated")
    told = "needs an API key: set {} (any text for a server that asks for none)"
    assert caught.value.faults == (
        Fault("/model", f"anthropic/claude-haiku-5-5 {told.format('ANTHROPIC_API_KEY')}"),
        Fault("/sleeptime/model", f"openai/m {told.format('OPENAI_API_KEY')}"),
    )
    with_keys = Settings(**(UNSET | {"anthropic_api_key": "k", "openai_api_key": "k"}))
    agent = validate_agent(document, {}, Catalogue(with_keys, SystemClock(), Http()).check, Guard().fault, "simulated")
    assert agent.model == "anthropic/claude-haiku-5-5"


async def test_each_model_of_a_provider_has_one_record_of_how_it_does() -> None:
    """Whichever agents ask it: the one that keeps failing is left out for all, the others of its provider for none."""
    told: list[tuple[str, bool]] = []
    async with Http() as http:
        settings = Settings(openai_api_key="sk-test")
        catalogue = Catalogue(settings, SystemClock(), http, lambda name, opens: told.append((name, opens)))
        failing, other, same = (catalogue.runner(name).form for name in ("openai/a", "openai/b", "openai/a"))
        for _ in range(FAILURES):
            failing.failed(0.0)
    assert (same.admits(0.0), other.admits(0.0), told) == (False, True, [("openai/a", True)])


async def test_a_server_without_a_key_is_told_none(tmp_path: Path) -> None:
    """No header tells who asks, whatever keys there are for others."""
    heads: list[str] = []

    async def answer(connection: Connection) -> None:
        head, _ = await connection.request()
        heads.append(head.lower())
        connection.send(DONE)

    out: list[ModelEvent] = []
    async with raw_server(answer) as url, Http() as http:
        file = tmp_path / "providers.toml"
        file.write_text(f'[local]\nurl = "{url}"\n')
        settings = Settings(**(UNSET | {"openai_api_key": "sk-1", "anthropic_api_key": "sk-2", "providers": file}))
        await Catalogue(settings, SystemClock(), http).open("local/m").reply(REQUEST, out.append)
    assert out[0] == TextDelta("ok")
    (head,) = heads
    assert not [name for name in ("authorization", "api-key", "sk-") if name in head]


async def test_the_file_has_the_word_on_its_models_and_on_no_others(tmp_path: Path) -> None:
    """Two providers of one address are two, each in its wire format."""
    asked: list[tuple[str, Any]] = []

    async def answer(connection: Connection) -> None:
        while True:
            head, body = await connection.request()
            asked.append((head.split()[1], msgspec.json.decode(body)))
            connection.send(b"{}")

    async with raw_server(answer) as url, Http() as http:
        file = tmp_path / "providers.toml"
        file.write_text(
            f'[one]\nurl = "{url}"\nmodels.m.max_tokens_field = "max_tokens"\n'
            f'[two]\nurl = "{url}"\napi = "messages"\nmodels.m.max_output = 55\n'
            f'[three]\nurl = "{url}"\napi = "responses"\nmodels.m.refused = ["include"]\n'
        )
        catalogue = Catalogue(Settings(**(UNSET | {"providers": file})), SystemClock(), http)
        for name in ("three/m", "two/m", "one/m", "one/n"):
            request = msgspec.structs.replace(REQUEST, max_output_tokens=99)
            await catalogue.open(name).reply(request, lambda _: None)
    paths = ["/v1/responses", "/v1/messages", "/v1/chat/completions", "/v1/chat/completions"]
    assert [path for path, _ in asked] == paths
    (_, responses), (_, messages), (_, chat), (_, other) = asked
    assert "include" not in responses
    assert messages["max_tokens"] == 55
    assert (chat.get("max_tokens"), other.get("max_completion_tokens")) == (99, 99)


async def test_warming_asks_what_models_take_until_it_is_told() -> None:
    """An empty list is asked for again; what it told once is not told again over what was learnt since."""
    lists = [b'{"data":[]}', listed(max_tokens=77), listed(max_tokens=99), listed(max_tokens=99)]
    asked: list[dict[str, Any]] = []

    async def answer(connection: Connection) -> None:
        while True:
            head, body = await connection.request()
            if head.startswith("GET /v1/models?limit=1000 "):
                connection.send(lists.pop(0))
                continue
            asked.append(msgspec.json.decode(body))
            refused = "tool_choice" in asked[-1]
            said = b'{"error":{"message":"tool_choice: Extra inputs are not permitted"}}' if refused else b"{}"
            connection.send(said, "400 Bad Request" if refused else "200 OK")

    tool = ToolSchema("look", "", {"type": "object", "properties": {}})
    request = msgspec.structs.replace(REQUEST, tools=(tool,))
    async with raw_server(answer) as url, Http() as http:
        catalogue = Catalogue(
            Settings(**(UNSET | {"anthropic_api_key": "k", "anthropic_base_url": url})), SystemClock(), http
        )
        for _ in range(3):
            model = catalogue.open("anthropic/claude-x")
            await model.warm()
            await model.reply(request, lambda _: None)
    assert [body["max_tokens"] for body in asked] == [8192, 8192, 77, 77]
    assert ["tool_choice" in body for body in asked] == [True, False, False, False]


def listed(**fields: int) -> bytes:
    """A list of one model."""
    return msgspec.json.encode({"data": [{"id": "claude-x", **fields}]})
