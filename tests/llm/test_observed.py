"""Exchanges with providers as somebody looks on: each attempt once, as far as it came, without the key."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.llm.asking import KEY, Asked, asks, reply
from tests.llm.rawserver import DONE, Connection, raw_server
from tests.servers import serving
from voice_agent.clock import SystemClock
from voice_agent.config import Settings
from voice_agent.events import ModelEvent, ModelFailed, TextDelta
from voice_agent.llm.capabilities import Api
from voice_agent.llm.catalogue import Catalogue
from voice_agent.llm.provider import FORMATS
from voice_agent.llm.simulated.server import create_app
from voice_agent.llm.wire import Http
from voice_agent.run_record import MAX_TRACED, Trace

REFUSAL = b'{"error":{"message":"Unsupported","param":"temperature"}}'


def sent(trace: Trace) -> dict[str, Any]:
    """The request of a trace."""
    return msgspec.json.decode(trace.request, type=dict[str, Any])


@pytest.mark.parametrize("api", FORMATS)
async def test_a_reply_is_one_exchange_in_every_format(api: Api) -> None:
    """The body as the provider got it, and its answer byte for byte."""
    traces: list[Trace] = []
    bodies: list[bytes] = []

    async def answer(connection: Connection) -> None:
        bodies.append((await connection.request())[1])
        connection.send(DONE)

    async with raw_server(answer) as url:
        await reply(url, api, asks("hi"), traces.append)
    assert traces == [Trace(msgspec.Raw(bodies[0]), 200, DONE.decode())]


async def test_each_attempt_is_an_exchange() -> None:
    """A refusal, and what was asked instead, in order; looking on changes nothing of the reply."""
    traces: list[Trace] = []

    async def picky(connection: Connection) -> None:
        while True:
            _, body = await connection.request()
            if b"temperature" in body:
                connection.send(REFUSAL, "400 Bad Request")
            else:
                connection.send(DONE)

    async with raw_server(picky) as url:
        out = await reply(url, "chat", asks("hi", temperature=1.0), traces.append)
    assert out[0] == TextDelta("ok")
    assert [(trace.status, trace.response) for trace in traces] == [(400, REFUSAL.decode()), (200, DONE.decode())]
    assert ["temperature" in sent(trace) for trace in traces] == [True, False]


async def test_nobody_there_is_an_exchange_without_a_status() -> None:
    """What was to be sent is seen all the same."""
    traces: list[Trace] = []
    async with raw_server(Connection.closed) as url:
        pass
    out = await reply(url, "chat", asks("hi"), traces.append)
    assert isinstance(out[0], ModelFailed)
    assert [(trace.status, trace.response) for trace in traces] == [(None, "")]
    assert sent(traces[0])["messages"][-1]["content"] == "hi"


@pytest.mark.parametrize("begun", [True, False])
async def test_a_reply_that_is_given_up_is_seen_as_far_as_it_came(begun: bool) -> None:
    """Before its head, and in its middle."""
    traces: list[Trace] = []
    out: list[ModelEvent] = []
    asked = asyncio.Event()
    part = DONE.partition(b"data: [DONE]")[0]

    async def stall(connection: Connection) -> None:
        await connection.request()
        if begun:
            connection.send(part, length=5000)
        asked.set()
        await connection.closed()

    async with raw_server(stall) as url, Http() as http, asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(Asked(http, url, "chat", observe=traces.append).reply(asks("hi"), out.append))
        await asked.wait()
        while begun and not out:
            await asyncio.sleep(0)
        assert traces == []
        task.cancel()
    assert [(trace.status, trace.response) for trace in traces] == [(200, part.decode()) if begun else (None, "")]


async def test_the_key_is_in_no_exchange() -> None:
    """Not where it was sent, nor where it came back, nor in parts in a refusal of it; a long answer is cut."""
    traces: list[Trace] = []

    async def answer(connection: Connection) -> None:
        while True:
            _, body = await connection.request()
            if b"locked" in body:
                connection.send(b'{"error":{"message":"no such key: sk-abc***xyz"}}', "401 Unauthorized")
            else:
                connection.send(b'{"error":{"message":"bad s3cret-key, %b"}}' % (b"x" * MAX_TRACED))

    async with raw_server(answer) as url:
        await reply(url, "chat", asks(f"my key is {KEY}"), traces.append)
        await reply(url, "chat", asks("locked"), traces.append)
    assert sent(traces[0])["messages"][-1]["content"] == "my key is ***"
    assert traces[0].response.startswith('{"error":{"message":"bad ***, xxx')
    assert traces[0].response.endswith("characters in all]")
    assert "abc" not in traces[1].response
    assert "xyz" not in traces[1].response


async def test_the_catalogue_opens_models_that_are_observed() -> None:
    """Of a provider and the simulated one; a model that was opened beside them is not looked at."""
    traces: list[Trace] = []
    async with serving(create_app(0, 0)) as url, Http() as http:
        settings = Settings(
            openai_api_key="any", openai_base_url=f"{url}/v1", simulated_first_token_ms=0, simulated_token_ms=0
        )
        catalogue = Catalogue(settings, SystemClock(), http)
        for name in ("openai/simulated", "simulated"):
            await catalogue.open(name).reply(asks("!say unseen"), lambda _: None)
            await catalogue.open(name, traces.append).reply(asks("!say hello"), lambda _: None)
            await catalogue.open(name, traces.append).reply(asks("!fault 429"), lambda _: None)
    assert [trace.status for trace in traces] == [200, 429] * 2
    assert [sent(trace)["messages"][-1]["content"] for trace in traces] == ["!say hello", "!fault 429"] * 2
    assert all("hello" in trace.response for trace in traces[::2])
    assert "Rate limit" in traces[1].response
    assert traces[1].response == traces[3].response


async def test_a_simulated_reply_that_is_given_up_is_seen() -> None:
    """As one over the wire is."""
    traces: list[Trace] = []
    out: list[ModelEvent] = []
    async with Http() as http, asyncio.timeout(10), asyncio.TaskGroup() as group:
        settings = Settings(simulated_first_token_ms=0, simulated_token_ms=0)
        model = Catalogue(settings, SystemClock(), http).open("simulated", traces.append)
        task = group.create_task(model.reply(asks("!say one two !fault stall"), out.append))
        while not out:
            await asyncio.sleep(0)
        task.cancel()
    [trace] = traces
    assert (trace.status, "one" in trace.response, "two" in trace.response) == (200, True, False)
