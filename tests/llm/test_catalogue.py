"""From a model's name to a model, and what is said where there is none."""

from typing import Any

import pytest

from tests.llm.rawserver import DONE, Connection, raw_server
from voice_agent.clock import SystemClock
from voice_agent.config import Settings
from voice_agent.events import ModelEvent, TextDelta
from voice_agent.llm.base import ModelError
from voice_agent.llm.catalogue import Catalogue
from voice_agent.llm.wire import Http
from voice_agent.messages import Message, ModelRequest

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
        ("openai/", {"openai_api_key": "k"}, "name is missing"),
        ("acme/fast", {}, "there is no model provider 'acme'"),
    ],
)
async def test_check(name: str, settings: dict[str, Any], fault: str | None) -> None:
    """Each fault names what is wrong and the setting that cures it, and opening says the same."""
    fixed: dict[str, Any] = {"openai_api_key": None, "openai_base_url": "https://api.openai.com/v1"}
    async with Http() as http:
        catalogue = Catalogue(Settings(**{**fixed, **settings}), SystemClock(), http)
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
