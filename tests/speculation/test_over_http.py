"""Thinking ahead at a provider over real HTTP: what it is asked, and what it sees closed."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.llm.asking import SCHEMAS, Asked
from tests.llm.counters import stats
from tests.servers import serving
from tests.speculation.host import Hands, Host
from voice_agent.clock import SystemClock
from voice_agent.llm.capabilities import Api
from voice_agent.llm.simulated.server import create_app
from voice_agent.llm.wire import Http
from voice_agent.prompt import Prompt

LOOKS = "!say Let me see. !call look {} !then !say Found it."


async def play(api: Api, caller: Callable[[Host, str], Awaitable[None]]) -> Hands:
    """A call whose model is at a provider that speaks `api`."""
    hands = Hands(takes_s=0.01)
    prompt = Prompt(model="m", system="s", tools=SCHEMAS)
    serves = serving(create_app(20, 1))
    async with serves as url, Http() as http, asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        host = Host(tasks, Asked(http, url, api), hands, SystemClock(), prompt=prompt)
        await caller(host, url)
        await host.answered()
        host.ahead.close()
    return hands


async def seen(url: str, counter: str, count: int) -> None:
    """Until the provider has counted so many."""
    while (await stats(url))[counter] < count:
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("api", ["chat", "messages", "responses"])
async def test_what_was_adopted_was_asked_once(api: Api) -> None:
    """A turn of two steps and a tool costs two requests and one run, as if there had been no interim text."""

    async def caller(host: Host, url: str) -> None:
        host.hear(LOOKS.removesuffix("."))
        await seen(url, "requests", 2)
        host.hear(LOOKS, final=True)
        await host.answered()
        assert host.said == "Let me see.Found it"
        assert (await stats(url))["requests"] == 2
        assert [outcome for outcome, _ in host.reports] == ["adopted"]

    assert (await play(api, caller)).began == ["look"]


async def test_what_was_discarded_is_closed_at_the_provider() -> None:
    """It sees the connection go while it still thinks, and then the request that counts."""

    async def caller(host: Host, url: str) -> None:
        host.hear("!first_token_ms 60000 !say One.")
        await seen(url, "requests", 1)
        host.hear("!say Two.", final=True)
        await seen(url, "closed_early", 1)
        await host.answered()
        assert host.said == "Two."
        assert (await stats(url))["requests"] == 2

    await play("chat", caller)
