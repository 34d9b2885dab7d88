"""What a model would send, told without sending it."""

import asyncio

import aiohttp
import msgspec
import pytest

from tests.llm.asking import KEY, Asked, asks, base_url
from tests.llm.counters import stats
from tests.llm.rawserver import DONE, Connection, raw_server
from tests.servers import serving
from voice_agent.clock import SystemClock
from voice_agent.llm.capabilities import Api, Capabilities
from voice_agent.llm.provider import FORMATS, ProviderModel
from voice_agent.llm.simulated.answer import Pace
from voice_agent.llm.simulated.model import SimulatedModel
from voice_agent.llm.simulated.server import create_app
from voice_agent.llm.wire import Endpoint, Http, Pool
from voice_agent.run_record import Trace

REQUEST = asks("!say hi", temperature=0.5, reasoning="none")


@pytest.mark.parametrize("api", FORMATS)
async def test_it_is_what_is_sent(api: Api) -> None:
    """The very bytes, to the very address; nothing was sent before that."""
    async with serving(create_app(0, 0)) as url, Http() as http, aiohttp.ClientSession() as session:
        model = Asked(http, url, api)
        shown = model.preview(REQUEST)
        assert (await stats(url))["requests"] == 0
        await model.reply(REQUEST, lambda _: None)
        path = shown.url.removeprefix(url)
        async with session.get(f"{url}/last_request", params={"path": path}) as answer:
            assert bytes(shown.body) == await answer.read()
    assert (shown.method, shown.url) == ("POST", base_url(url, api) + FORMATS[api].path)


async def test_what_was_refused_is_not_in_it() -> None:
    """It is made of what is known by now."""

    async def picky(connection: Connection) -> None:
        while True:
            _, body = await connection.request()
            refused = b"temperature" in body
            said = b'{"error":{"message":"no","param":"temperature"}}' if refused else DONE
            connection.send(said, "400 Bad Request" if refused else "200 OK")

    async with raw_server(picky) as url, Http() as http, asyncio.timeout(10):
        model = Asked(http, url, "chat")
        before = model.preview(REQUEST)
        await model.reply(REQUEST, lambda _: None)
        after = model.preview(REQUEST)
    assert [b"temperature" in bytes(shown.body) for shown in (before, after)] == [True, False]


async def test_the_key_is_not_in_it() -> None:
    """Wherever it stands; a query that belongs to the address is told."""
    async with Http() as http:
        query = (("api-version", "2026-10-01"), ("key", KEY))
        pool = Pool(http, Endpoint("acme", "https://acme.example/v1/", KEY, query=query))
        shown = ProviderModel(pool, "acme/m", "m", Capabilities()).preview(asks(f"it is {KEY}"))
    assert shown.url == "https://acme.example/v1/chat/completions?api-version=2026-10-01&key=***"
    assert KEY.encode() not in msgspec.json.encode(shown)
    assert msgspec.json.decode(shown.body)["messages"][-1]["content"] == "it is ***"


async def test_of_the_simulated_model_too() -> None:
    """The same bytes that it reads."""
    traces: list[Trace] = []
    model = SimulatedModel(Pace(0, 0), SystemClock(), traces.append)
    shown = model.preview(REQUEST)
    await model.reply(REQUEST, lambda _: None)
    assert [shown.body] == [trace.request for trace in traces]
    assert (shown.method, shown.url) == ("POST", "simulated:/v1/chat/completions")
