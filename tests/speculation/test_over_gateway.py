"""Thinking ahead over a real gateway: what its provider is asked, what its callers are told, and what it counts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.gateways import Caller, Place, gateway
from tests.llm.counters import stats
from tests.servers import serving
from tests.stores import until
from tests.test_client_tools import ZOOM
from voice_agent.llm.simulated.server import create_app
from voice_agent.tools.registry import tool

SLOW = "!first_token_ms 60000 !say never"


@asynccontextmanager
async def provided(model: str = "openai/simulated", **settings: Any) -> AsyncIterator[tuple[Place, str]]:
    """A gateway that asks a provider over HTTP, and where the provider counts."""
    async with (
        serving(create_app(0, 1)) as provider,
        gateway(
            model=model,
            openai_base_url=f"{provider}/v1",
            openai_api_key="sk-of-these-tests",
            anthropic_base_url=provider,
            anthropic_api_key="sk-ant-of-these-tests",
            **settings,
        ) as place,
    ):
        yield place, provider


async def seen(provider: str, **counts: int) -> None:
    """Until the provider has counted just that."""

    async def holds() -> bool:
        counted = await stats(provider)
        return all(counted[name] == count for name, count in counts.items())

    await until(holds, f"the provider has counted {counts}")


async def counted(place: Place, metric: str, labels: str) -> float:
    """What `/metrics` has."""
    async with place.http._session.get(f"{place.base}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{metric}{{{labels}}} ")), 0.0)


async def thinks(caller: Caller, provider: str, text: str, requests: int, **fields: Any) -> None:
    """An interim text, and its request at the provider."""
    await caller.send("user.text", text=text, final=False, **fields)
    await seen(provider, requests=requests)


async def stored(place: Place, **query: str) -> list[str]:
    """What the user is known to have said."""
    answer = await place.http.ask("GET", "/v1/agents/demo/messages", params=query)
    return [item["text"] for item in reversed(answer.json["items"]) if item["role"] == "user"]


@pytest.mark.parametrize("model", ["openai/simulated", "openai/gpt-5", "anthropic/simulated"])
async def test_an_adopted_turn_is_one_request_and_leaves_no_other_trace(model: str) -> None:
    """In all three wire formats: nothing is told or stored before the final text, and nothing was spent in vain."""
    async with provided(model) as (place, provider), place.call() as caller:
        await thinks(caller, provider, "!say one two", 1)
        await seen(provider, open=0)
        assert await caller.settle() == 0
        assert await stored(place) == []
        ended = await caller.ask("!say  one two.", "t1")
        assert (caller.said("t1"), ended["usage"]["steps"]) == ("one two", 1)
        assert "wasted" not in ended
        assert (await stats(provider))["requests"] == 1
        assert await stored(place) == ["!say one two"]
        assert await counted(place, "voice_speculations_total", 'outcome="adopted"') == 1
        assert await counted(place, "voice_turns_total", 'reason="end_turn"') == 1


async def test_a_discarded_thought_is_closed_at_the_provider_and_counted_apart() -> None:
    """The turn that it was for tells of its cost, and no other turn does."""
    async with provided() as (place, provider), place.call() as caller:
        await thinks(caller, provider, "!tokens 5000", 1)
        ended = await caller.ask("!say two", "t1")
        assert (caller.said("t1"), ended["usage"]["steps"], ended["wasted"]["steps"]) == ("two", 1, 1)
        await seen(provider, requests=2, closed_early=1, open=0)
        assert "wasted" not in await caller.ask("!say three", "t2")
        assert await counted(place, "voice_speculations_total", 'outcome="discarded"') == 1
        assert await stored(place) == ["!say two", "!say three"]


async def test_the_tokens_of_a_whole_reply_that_nobody_wanted_are_told() -> None:
    """In the turn's end, and in the metrics, apart from those that turns took."""
    async with provided() as (place, provider), place.call() as caller:
        await thinks(caller, provider, "!say one two three", 1)
        await seen(provider, open=0)
        ended = await caller.ask("!say two", "t1")
        assert ended["wasted"]["output_tokens"] == 3
        assert await counted(place, "voice_wasted_tokens_total", 'kind="output"') == 3
        assert await counted(place, "voice_tokens_total", 'kind="output"') == ended["usage"]["output_tokens"]


async def test_an_agent_without_speculation_thinks_of_nothing_ahead() -> None:
    """Interim texts cost it nothing."""
    async with provided() as (place, provider):
        agent = {"id": "calm", "name": "Calm", "voice": {"speculation": False}}
        assert (await place.http.ask("POST", "/v1/agents", json=agent)).status == 201
        async with place.call("calm") as caller:
            await caller.send("user.text", text="!say one", final=False)
            await caller.ask("!say two", "t1")
            await caller.send("user.text", text="!say three", final=False)
            assert "wasted" not in await caller.ask("!say three", "t2")
        assert (await stats(provider))["requests"] == 2
        assert await counted(place, "voice_speculations_total", 'outcome="adopted"') == 0


async def test_tools_run_ahead_once_if_they_have_no_effects_and_never_if_they_have() -> None:
    """The client is told of both as of any other call, after the final text."""
    ran: list[str] = []

    @tool(effects="none")
    async def peek() -> str:
        """Look at something."""
        ran.append("peek")
        return "seen"

    @tool(effects="irreversible")
    async def act() -> str:
        """Do something."""
        ran.append("act")
        return "acted"

    async with provided(tools=(peek, act)) as (place, provider):
        agent = {"id": "handy", "name": "Handy", "tools": ["peek", "act"]}
        assert (await place.http.ask("POST", "/v1/agents", json=agent)).status == 201
        async with place.call("handy") as caller:
            words = "!call peek {} !then !call act {} !then !say done"
            await thinks(caller, provider, words, 2)
            await seen(provider, open=0)
            assert await caller.settle() == 0
            assert ran == ["peek"]
            await caller.ask(words, "t1")
        assert ran == ["peek", "act"]
        assert (await stats(provider))["requests"] == 3
        told = [(event["type"], event["name"]) for event in caller.of("tool.started", "tool.finished")]
        assert told == [(f"tool.{what}", name) for name in ("peek", "act") for what in ("started", "finished")]


async def test_a_turn_that_is_interrupted_as_soon_as_it_adopts_is_closed_at_the_provider() -> None:
    """It ends once, as interrupted, and the next one is answered."""
    async with provided() as (place, provider), place.call() as caller:
        await thinks(caller, provider, "!tokens 5000", 1)
        await caller.send("user.text", text="!tokens 5000", turn_id="t1")
        await caller.send("user.interrupt")
        assert (await caller.end_of("t1"))["reason"] == "interrupted"
        await seen(provider, requests=1, closed_early=1, open=0)
        await caller.ask("!say yes", "t2")
        assert [event["reason"] for event in caller.of("turn.ended")] == ["interrupted", "end_turn"]


async def test_an_interim_text_while_the_agent_speaks_waits_until_it_does_not() -> None:
    """Nothing is asked beside the turn that is live; after it was cut into, the same words are thought about."""
    async with provided() as (place, provider), place.call() as caller:
        await caller.send("user.text", text="!tokens 5000", turn_id="t1")
        await caller.until("speech.delta")
        await caller.send("user.text", text="!say one", final=False, turn_id="t2")
        while "tok200" not in caller.said("t1"):
            await caller.next()
        assert (await stats(provider))["requests"] == 1
        await caller.send("user.interrupt")
        await caller.end_of("t1")
        await thinks(caller, provider, "!say one", 2, turn_id="t2")
        await caller.ask("!say one", "t2")
        assert (await stats(provider))["requests"] == 2


@pytest.mark.parametrize(
    "between",
    [
        ("PUT", "/v1/agents/demo/blocks/human", {"value": "Likes tea."}),
        ("session.configure", {"client_tools": [ZOOM]}),
        ("context.add", {"text": "It rains."}),
    ],
    ids=lambda between: between[0],
)
async def test_what_the_agent_has_learnt_meanwhile_is_in_the_request_that_counts(between: tuple[Any, ...]) -> None:
    """A block that was written, a tool that was brought, a fact: the final text is asked about anew."""
    async with provided() as (place, provider), place.call() as caller:
        await thinks(caller, provider, "!say one", 1)
        if between[0] == "PUT":
            answer = await place.http.ask(*between[:2], json=between[2], params={"user": "default"})
            assert answer.status == 200, answer
            await caller.until("memory.updated")
        else:
            await caller.send(between[0], **between[1])
        ended = await caller.ask("!say one", "t1")
        assert (await stats(provider))["requests"] == 2
        assert ended["wasted"]["steps"] == 1
        assert caller.said("t1") == "one"


async def test_a_socket_that_is_lost_between_the_texts_takes_nothing_along() -> None:
    """Whoever resumes says the final text, and finds what was thought."""
    async with provided() as (place, provider):
        async with place.call() as caller:
            await thinks(caller, provider, "!say one", 1)
            token = caller.ready["resume_token"]
            caller.drop()
        async with place.call(resume=token, last_seq=0) as caller:
            await caller.ask("!say one", "t1")
            assert caller.said("t1") == "one"
        assert (await stats(provider))["requests"] == 1


async def test_two_calls_of_one_user_think_beside_each_other() -> None:
    """What the one was answered meanwhile is in the request of the other."""
    async with provided() as (place, provider), place.call() as one, place.call() as two:
        await thinks(one, provider, "!say one", 1)
        await thinks(two, provider, "!say two", 2)
        await one.ask("!say one", "t1")
        ended = await two.ask("!say two", "t1")
        assert (await stats(provider))["requests"] == 3
        assert (two.said("t1"), ended["wasted"]["steps"]) == ("two", 1)
        assert await stored(place) == ["!say one", "!say two"]


async def test_what_a_gateway_thinks_about_when_it_closes_is_closed_too() -> None:
    """Its provider sees the connection go, and nothing of it is stored."""
    async with serving(create_app(0, 1)) as provider:
        settings: dict[str, Any] = {"openai_base_url": f"{provider}/v1", "openai_api_key": "sk-of-these-tests"}
        async with gateway(model="openai/simulated", **settings) as place, place.call() as caller:
            await thinks(caller, provider, SLOW, 1)
        await seen(provider, requests=1, closed_early=1, open=0)


async def test_a_provider_that_fails_ahead_is_asked_again() -> None:
    """The caller hears of no failure, unless the final text fails, too."""
    async with provided() as (place, provider), place.call() as caller:
        await thinks(caller, provider, "!fault 401", 1)
        await seen(provider, open=0)
        ended = await caller.ask("!fault 401", "t1")
        assert (await stats(provider))["requests"] == 2
        assert ended["reason"] == "llm_api_error"
        assert len(caller.of("error")) == 1
        await caller.ask("!say fine", "t2")
        assert await counted(place, "voice_speculations_total", 'outcome="failed"') == 1


TURNS: dict[str, tuple[list[tuple[str, bool, str | None, int]], int, dict[str, str]]] = {
    # What the recogniser says (text, final, turn, revision), without waiting; requests at the most; what was answered.
    "final at once": ([("!say a", False, None, 0), ("!say a", True, "t", 0)], 1, {"t": "a"}),
    "another turn": ([("!say a", False, "u", 0), ("!say a", True, "t", 0)], 2, {"t": "a"}),
    "interim after its final": ([("!say a", True, "t", 0), ("!say b", False, "t", 0)], 1, {"t": "a"}),
    "a revision going backwards": (
        [("!say b", False, "t", 2), ("!say a", False, "t", 1), ("!say b", True, "t", 2)],
        2,
        {"t": "b"},
    ),
    "the same final twice": (
        [("!say a", False, "t", 0), ("!say a", True, "t", 0), ("!say a", True, "t", 0)],
        1,
        {"t": "a"},
    ),
}


@pytest.mark.parametrize("case", TURNS.values(), ids=TURNS.keys())
@pytest.mark.parametrize("thinks_first", [False, True], ids=["at once", "thought about"])
async def test_texts_in_any_order_are_answered_once(
    case: tuple[list[tuple[str, bool, str | None, int]], int, dict[str, str]], thinks_first: bool
) -> None:
    """Whether the interim ones have become requests by then or not."""
    texts, most, answers = case
    async with provided() as (place, provider), place.call() as caller:
        for text, final, turn_id, revision in texts:
            named = {} if turn_id is None else {"turn_id": turn_id, "revision": revision}
            if thinks_first and final and not caller.events and texts[0][1] is False:
                await seen(provider, requests=1)
            await caller.send("user.text", text=text, final=final, **named)
        for turn_id, said in answers.items():
            await caller.end_of(turn_id)
            assert caller.said(turn_id) == said
        await caller.settle()
        assert len(caller.of("turn.started")) == len(answers)
        assert 1 <= (await stats(provider))["requests"] <= most


async def test_fifty_long_interim_texts_a_second_cost_next_to_nothing() -> None:
    """A text that goes on changing, of up to 16,000 characters, is not thought about before it stands."""
    async with provided() as (place, provider), place.call() as caller:
        text = "!say done " + "x" * 15_000
        for number in range(150):
            await caller.send("user.text", text=f"{text}{'y' * number}", final=False, turn_id="t1", revision=number)
        await caller.ask(f"{text}z", "t1")
        await caller.settle()
        assert caller.of("error") == []
        assert (await stats(provider))["requests"] <= 4
