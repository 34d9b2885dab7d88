"""The chain over real HTTP: providers that are busy, cut off, hang, or are not there."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from tests.llm.asking import KEY, asks, base_url
from tests.llm.counters import stats
from tests.llm.rawserver import DONE, Connection, Handler, raw_server
from tests.servers import serving
from voice_agent import events as ev
from voice_agent.clock import SystemClock
from voice_agent.llm.capabilities import Api, Capabilities
from voice_agent.llm.provider import ProviderModel
from voice_agent.llm.race.form import Form
from voice_agent.llm.race.model import RacingModel, Runner
from voice_agent.llm.race.race import Policy
from voice_agent.llm.simulated.server import create_app
from voice_agent.llm.wire import Endpoint, Http, Pool
from voice_agent.messages import Message, ModelBusy, ModelRequest, Opaque

QUICK = Policy(deadline_s=0.4, hedge_share=1.0)
PATIENT = Policy(deadline_s=8.0)
Place = tuple[str, Api]


async def reply(*places: Place, policy: Policy = PATIENT, request: ModelRequest | None = None) -> list[ev.ModelEvent]:
    """All events of one reply of the models at these places, `one/m`, `two/m` …"""
    out: list[ev.ModelEvent] = []
    async with Http() as http, asyncio.timeout(20):
        await RacingModel(runners(http, *places), policy, SystemClock()).reply(request or asks("hello"), out.append)
    return out


def runners(http: Http, *places: Place) -> list[Runner]:
    made = []
    for name, (url, api) in zip(("one", "two", "three"), places, strict=False):
        pool = Pool(
            http, Endpoint(name, base_url(url, api), KEY, "x-api-key" if api == "messages" else "bearer", api=api)
        )
        made.append(Runner(f"{name}/m", ProviderModel(pool, f"{name}/m", "simulated", Capabilities()), Form()))
    return made


def told(out: list[ev.ModelEvent]) -> list[ev.ModelEvent]:
    """The reply itself."""
    return [event for event in out if not isinstance(event, ModelBusy)]


def text(out: list[ev.ModelEvent]) -> str:
    return "".join(event.text for event in out if isinstance(event, ev.TextDelta))


def attempts(out: list[ev.ModelEvent]) -> int:
    return sum(event.spent.attempts for event in out if isinstance(event, ModelBusy) and event.spent)


def first_then(first: Callable[[Connection], None]) -> Handler:
    """A provider whose first answer is this one and whose others are good."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        if connection.number == 1:
            first(connection)
        else:
            connection.send(DONE)

    return handle


@pytest.mark.parametrize("header", ["Retry-After: 1", "Retry-After-Ms: 300"])
async def test_429_is_asked_again_when_it_says(header: str) -> None:
    """Not before."""
    asked: list[float] = []

    async def busy(connection: Connection) -> None:
        await connection.request()
        asked.append(asyncio.get_running_loop().time())
        if connection.number == 1:
            connection.send(b"{}", f"429 Too Many Requests\r\n{header}")
        else:
            connection.send(DONE)

    async with raw_server(busy) as url:
        out = await reply((url, "chat"))
    assert text(out) == "ok"
    assert attempts(out) == 2
    assert asked[1] - asked[0] >= (1.0 if header.endswith(" 1") else 0.3)


@pytest.mark.parametrize(
    "first",
    [
        lambda connection: connection.send(b"{}", "503 Service Unavailable"),
        lambda connection: connection.send(b'data: {"choices":[{"index":0,"delta":{"content":""}}]}\n\n', length=4096),
        lambda _: None,
    ],
    ids=["503", "cut before the first word", "closed without an answer"],
)
async def test_what_fails_before_the_first_word_is_asked_again(first: Callable[[Connection], None]) -> None:
    """And the caller hears one reply."""
    async with raw_server(first_then(first)) as url:
        out = await reply((url, "chat"))
    assert text(out) == "ok"
    assert isinstance(out[-1], ev.ModelFinished)


async def test_a_stream_that_is_cut_after_the_first_word_is_not_asked_again() -> None:
    """Its failure is told, and nobody else is asked."""
    async with serving(create_app(0, 0)) as url, serving(create_app(0, 0)) as other:
        out = await reply((url, "chat"), (other, "messages"), request=asks("!say one two three four !fault cut"))
        assert (await stats(url))["requests"] == 1
        assert (await stats(other))["requests"] == 0
    assert text(out) == "one two"
    assert told(out)[-1] == ev.ModelFailed("one cut its reply off", retryable=True)


@pytest.mark.parametrize("api", ["chat", "messages", "responses"])
async def test_a_provider_that_is_not_there_is_made_good_by_the_next(api: Api) -> None:
    """Whatever it speaks."""
    async with raw_server(Connection.closed) as gone:
        pass
    async with serving(create_app(0, 0)) as url:
        out = await reply((gone, "chat"), (url, api), request=asks("!say Hello there."))
    assert text(out) == "Hello there."


async def test_a_hanging_provider_is_made_good_by_the_next_and_let_go() -> None:
    """Its connection is closed."""
    async with serving(create_app(60_000, 0)) as hangs, serving(create_app(0, 0)) as url:
        out = await reply((hangs, "chat"), (url, "messages"), policy=QUICK, request=asks("!say Hello."))
        while (counters := await stats(hangs))["open"]:
            await asyncio.sleep(0)
    assert text(out) == "Hello."
    assert counters == {"requests": 1, "open": 0, "closed_early": 1}


async def test_both_providers_down_is_told_by_the_last_one_s_failure() -> None:
    """Each was asked as often as its deadline and its retries allow."""
    async with serving(create_app(0, 0)) as one, serving(create_app(0, 0)) as two:
        out = await reply((one, "chat"), (two, "messages"), request=asks("!fault 500"))
        assert ((await stats(one))["requests"], (await stats(two))["requests"]) == (3, 4)
    assert told(out) == [ev.ModelFailed("two has a fault of its own (HTTP 500)", retryable=True)]


async def test_both_providers_hanging_ends_with_the_deadline() -> None:
    """No request is left open."""
    async with serving(create_app(60_000, 0)) as url:
        out = await reply((url, "chat"), (url, "messages"), policy=QUICK)
        while (counters := await stats(url))["open"]:
            await asyncio.sleep(0)
    assert told(out) == [ev.ModelFailed("the model said nothing for 0.4 s", retryable=True)]
    assert counters["requests"] == counters["closed_early"] == attempts(out)


async def test_reasoning_goes_back_to_the_model_that_made_it_alone() -> None:
    """A fallback is not shown what another has thought."""
    thought = Message("assistant", "Let me see.", 0.0, opaque=(Opaque("one/m", "reasoning_content", "SECRET"),))
    request = asks("hello", thought, "and?")
    async with raw_server(Connection.closed) as gone:
        pass
    async with Http() as http, serving(create_app(0, 0)) as url:
        chain = runners(http, (gone, "chat"), (url, "chat"))
        out: list[ev.ModelEvent] = []
        await RacingModel(chain, PATIENT, SystemClock()).reply(request, out.append)
        sent = await Pool(http, Endpoint("stats", url)).get("/last_request?path=/v1/chat/completions")
    assert b"SECRET" not in sent
    assert len(msgspec.json.decode(sent)["messages"]) == 4
