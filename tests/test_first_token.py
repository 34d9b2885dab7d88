"""The first useful token in live calls and in runs: deadline, second request, fallback, and what is told of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.gateways import Place, gateway
from tests.llm.counters import stats
from tests.servers import serving
from tests.stores import fresh_store
from voice_agent.llm.simulated.server import create_app

QUICK = {"first_token_deadline_ms": 400}


@asynccontextmanager
async def house(openai: float = 0, anthropic: float = 0, **settings: Any) -> AsyncIterator[tuple[Place, str, str]]:
    """A gateway with two providers, whose first tokens take so many milliseconds; the gateway, and where they are."""
    async with serving(create_app(openai, 0)) as one, serving(create_app(anthropic, 0)) as two:
        providers = {
            "openai_api_key": "any",
            "openai_base_url": f"{one}/v1",
            "anthropic_api_key": "any",
            "anthropic_base_url": two,
        }
        async with gateway(**{"model": "openai/m", **providers, **settings}) as place:
            yield place, one, two


async def create(place: Place, **fields: Any) -> Any:
    """The answer to the creation of the agent `a`."""
    return await place.http.ask("POST", "/v1/agents", json={"id": "a", "name": "A"} | fields)


async def test_a_fallback_that_cannot_be_asked_is_a_fault_of_the_agent() -> None:
    """At its creation, each with its path: a missing key, an unknown provider, a name twice, a name that is none."""
    async with gateway(openai_api_key="any") as place:
        models = ["anthropic/claude", "simulated", "nobody/m"]
        made = await create(place, model="openai/m", fallback_models=models)
        assert made.status == 422
        assert [(fault["path"], fault["message"].partition(":")[0]) for fault in made.json["errors"]] == [
            ("/fallback_models/0", "anthropic/claude needs an API key"),
            ("/fallback_models/2", "there is no model provider 'nobody'"),
        ]
        for wrong, path in ((["simulated", "simulated"], ""), (["simulated", "what"], "/1"), ("simulated", "")):
            made = await create(place, model="openai/m", fallback_models=wrong)
            assert [fault["path"] for fault in made.json["errors"]] == [f"/fallback_models{path}"]


async def test_a_fallback_whose_key_is_gone_is_told_before_the_call() -> None:
    """The next start without the key lets nobody in to that agent, and everybody to the others."""
    async with fresh_store() as store:
        async with gateway(store, openai_api_key="any", anthropic_api_key="any") as place:
            assert (await create(place, model="openai/m", fallback_models=["anthropic/m"])).status == 201
        async with gateway(store, openai_api_key="any") as place:
            refused = await place.refusal("a")
            assert refused.status_code == 503
            assert b"anthropic/m needs an API key" in (refused.body or b"")
            async with place.call() as caller:
                assert (await caller.ask("!say Fine.", "t1"))["generated"] == "Fine."


async def test_a_hanging_provider_costs_its_own_caller_a_moment_and_others_nothing() -> None:
    """The fallback answers, both requests are in the account, and the time that was lost has a name."""
    async with house(openai=60_000) as (place, one, _):
        await create(place, fallback_models=["anthropic/m"], voice=QUICK)
        async with place.call("a", user="ann") as ann, place.call(user="ben") as ben:
            await ben.send("user.text", text="!first_token_ms 0 !say Fine.", turn_id="b1")
            await ann.send("user.text", text="hello", turn_id="a1")
            assert (await ben.end_of("b1"))["reason"] == "end_turn"
            ended = await ann.end_of("a1")
        assert (ended["reason"], ended["generated"]) == ("end_turn", "Hello! What can I do for you?")
        assert (ended["usage"]["steps"], ended["usage"]["attempts"], ended["usage"]["hedges"]) == (1, 2, 1)
        parts = {part["name"]: part["ms"] for part in ended["latency"]["parts"]}
        assert parts["provider:hedge"] >= 199
        assert sum(parts.values()) == pytest.approx(ended["latency"]["total"], abs=0.01)
        while (counters := await stats(one))["open"]:
            await asyncio.sleep(0)
        assert counters["closed_early"] == 1
        metrics = (await place.http.ask("GET", "/metrics")).body.decode()
    assert 'voice_model_requests_total{kind="first"} 2.0' in metrics
    assert 'voice_model_requests_total{kind="hedge"} 1.0' in metrics


async def test_without_hedging_the_chain_goes_on_at_the_deadline() -> None:
    """One request at a time."""
    async with house(openai=60_000) as (place, *_):
        await create(place, fallback_models=["anthropic/m"], voice=QUICK | {"hedge": False})
        async with place.call("a") as caller:
            ended = await caller.ask("hello", "t1")
    assert (ended["reason"], ended["usage"]["attempts"], ended["usage"]["hedges"]) == ("end_turn", 2, 0)
    assert "provider:fallback" in [part["name"] for part in ended["latency"]["parts"]]


async def test_both_providers_hanging_ends_in_a_notice() -> None:
    """The call goes on, and every request has been let go of."""
    async with house(openai=60_000, anthropic=60_000) as (place, one, two):
        await create(place, fallback_models=["anthropic/m"], voice=QUICK | {"failure_notice": "Sorry.", "fillers": []})
        async with place.call("a") as caller:
            ended = await caller.ask("hello", "t1")
            assert (ended["reason"], ended["generated"]) == ("llm_api_error", "Sorry.")
            (failed,) = caller.of("error")
            assert (failed["code"], failed["retryable"]) == ("provider", True)
            assert (await caller.ask("!first_token_ms 0 !say Fine.", "t2"))["generated"] == "Fine."
        while (await stats(one))["open"] or (await stats(two))["open"]:
            await asyncio.sleep(0)


async def test_a_barge_in_closes_every_request_and_keeps_the_account() -> None:
    """While two are out for the same reply."""
    async with house(openai=60_000) as (place, one, _):
        await create(place, voice={"first_token_deadline_ms": 2000})
        async with place.call("a") as caller:
            await caller.send("user.text", text="hello", turn_id="t1")
            while (await stats(one))["open"] < 2:
                await asyncio.sleep(0)
            await caller.send("user.interrupt")
            ended = await caller.end_of("t1")
            assert (ended["reason"], ended["usage"]["attempts"]) == ("interrupted", 2)
            while (await stats(one))["open"]:
                await asyncio.sleep(0)


async def test_a_run_without_a_socket_has_time() -> None:
    """No deadline, no second request; a failure is made good all the same, and the record says who answered."""
    async with house(openai=700) as (place, one, _):
        await create(place, fallback_models=["anthropic/m"], voice=QUICK)
        made = await place.http.ask("POST", "/v1/agents/a/messages", json=_says("!say Slowly."))
        assert made.json["messages"][-1]["text"] == "Slowly."
        assert (await stats(one))["requests"] == made.json["usage"]["attempts"] == 1
        made = await place.http.ask("POST", "/v1/agents/a/messages", json=_says("hello !fault 401"))
        steps = await place.http.ask("GET", f"/v1/runs/{made.json['run_id']}/steps")
    assert made.json["usage"]["attempts"] == 2
    assert [step["model"] for step in steps.json["items"]] == ["openai/m"]


async def test_the_record_of_a_run_names_the_model_that_answered() -> None:
    """Not the one that was meant."""
    async with serving(create_app(0, 0)) as gone:
        pass
    async with house(openai_base_url=f"{gone}/v1") as (place, *_):
        await create(place, fallback_models=["anthropic/m"])
        made = await place.http.ask("POST", "/v1/agents/a/messages", json=_says("hello"))
        steps = await place.http.ask("GET", f"/v1/runs/{made.json['run_id']}/steps")
    assert [step["model"] for step in steps.json["items"]] == ["anthropic/m"]


def _says(words: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "text": words}]}
