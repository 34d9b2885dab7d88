"""The HTTP side as a whole: who may ask for what, tokens, health, faults, the description, and no secret anywhere."""

import logging
from typing import Any

import pytest

from gateway.api.http import build_api
from gateway.auth import Keys
from tests.api.world import ENV_KEY, Client, HandClock, api, make_agent, new_store, services
from voice_agent.store.base import AgentRow, Health, StoreDown, StoreError
from voice_agent.store.recorder import Recorder

GUARDED = (
    ("GET", "/v1/agents"),
    ("POST", "/v1/agents"),
    ("GET", "/v1/agents/ann"),
    ("PATCH", "/v1/agents/ann"),
    ("DELETE", "/v1/agents/ann"),
    ("GET", "/v1/agents/ann/users"),
    ("DELETE", "/v1/agents/ann/users/bob"),
    ("GET", "/v1/agents/ann/messages"),
    ("POST", "/v1/agents/ann/messages"),
    ("GET", "/v1/runs/run-1"),
    ("GET", "/v1/runs/run-1/steps"),
    ("POST", "/v1/runs/run-1/cancel"),
    ("GET", "/v1/agents/ann/blocks"),
    ("GET", "/v1/agents/ann/blocks/human"),
    ("PUT", "/v1/agents/ann/blocks/human"),
    ("GET", "/v1/agents/ann/blocks/human/versions"),
    ("POST", "/v1/agents/ann/blocks/human/restore"),
    ("GET", "/v1/agents/ann/passages"),
    ("POST", "/v1/agents/ann/passages"),
    ("DELETE", "/v1/agents/ann/passages/d1-0"),
    ("GET", "/v1/agents/ann/memory"),
    ("DELETE", "/v1/agents/ann/memory"),
    ("POST", "/v1/agents/ann/summarize"),
    ("GET", "/v1/jobs"),
    ("POST", "/v1/jobs/j1/retry"),
    ("DELETE", "/v1/jobs/j1"),
    ("POST", "/v1/client_tokens"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
)


class BrokenStore(Recorder):
    """A store whose reads of agents, and whose health, raise what they are given."""

    def __init__(self, error: Exception) -> None:
        super().__init__(HandClock())
        self._error = error

    async def read_agent(self, agent_id: str) -> AgentRow | None:
        raise self._error

    async def health(self) -> Health:
        raise self._error


async def statuses(client: Client, key: str | None = None, **options: Any) -> set[int]:
    """What the guarded routes answer; agents' bodies are empty objects, so that none of them changes anything."""
    answers = [await client.ask(method, path, key, json={}, **options) for method, path in GUARDED]
    return {answer.status for answer in answers}


def test_the_list_of_guarded_routes_is_whole() -> None:
    """Every described operation but the two of health stands in the list that the tests go through."""
    paths = build_api(services(new_store(), HandClock())).openapi()["paths"]
    names = {
        "agent_id": "ann",
        "label": "human",
        "user": "bob",
        "passage_id": "d1-0",
        "job_id": "j1",
        "run_id": "run-1",
    }
    described = {(method.upper(), path.format(**names)) for path in paths for method in paths[path]}
    assert described - {("GET", "/livez"), ("GET", "/readyz")} == set(GUARDED) - {
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
    }


@pytest.mark.parametrize("key", [None, "whatever"])
async def test_loopback_without_keys_is_open(key: str | None) -> None:
    """Any credentials are ignored, wrong ones too."""
    async with api(new_store()) as client:
        assert not await statuses(client, key) & {401, 403}


@pytest.mark.parametrize("loopback", [True, False])
@pytest.mark.parametrize("given", [None, "wrong", ENV_KEY])
async def test_the_environments_key_guards_every_resource(given: str | None, loopback: bool) -> None:
    """Without it 401 with the scheme, with it anything else; on loopback too."""
    async with api(new_store(), api_key=ENV_KEY, loopback=loopback) as client:
        if given == ENV_KEY:
            assert not await statuses(client, given) & {401, 403}
            return
        assert await statuses(client, given) == {401}
        answer = await client.ask("GET", "/v1/agents", given)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_stored_key_guards_as_soon_as_it_exists() -> None:
    """The open door shuts with the first key, a revoked key is out at the next request."""
    store = new_store()
    keys = Keys(store, HandClock())
    async with api(store) as client:
        assert (await client.ask("GET", "/v1/agents")).status == 200
        made, other = await keys.create("one"), await keys.create("two")
        assert await statuses(client) == {401}
        assert not await statuses(client, made.key) & {401, 403}
        await keys.revoke(made.id)
        assert await statuses(client, made.key) == {401}
        assert (await client.ask("GET", "/v1/agents", other.key)).status == 200


@pytest.mark.parametrize("by_header", [True, False])
async def test_a_client_token_manages_nothing(by_header: bool) -> None:
    """403 for every resource while it is good, 401 when it has expired."""
    clock = HandClock()
    async with api(new_store(), clock, api_key=ENV_KEY) as client:
        made = await client.ask("POST", "/v1/agents", ENV_KEY, json={"id": "ann", "name": "Ann"})
        assert made.status == 201
        body = {"agent_id": "ann", "ttl_s": 60}
        token = (await client.ask("POST", "/v1/client_tokens", ENV_KEY, json=body)).json["token"]
        sent: dict[str, Any] = {"key": token} if by_header else {"params": {"token": token}}
        assert await statuses(client, **sent) == {403}
        clock.at += 60
        assert await statuses(client, **sent) == {401}


async def test_health_needs_no_credentials() -> None:
    """Liveness and readiness answer anybody; readiness says what the store is but not where."""
    async with api(new_store(), api_key=ENV_KEY, loopback=False) as client:
        assert (await client.ask("GET", "/livez")).json == {"status": "ok"}
        ready = await client.ask("GET", "/readyz")
        health = await new_store().health()
        assert ready.status == 200
        assert ready.json == {"status": "ready", "engine": health.engine, "durability": health.durability}


@pytest.mark.parametrize("error", [StoreDown("10.0.0.1 refused"), StoreError("10.0.0.1 is read-only")])
async def test_a_store_in_trouble_is_not_ready_yet_alive(error: Exception) -> None:
    """503 with a problem and a time to try again."""
    async with api(BrokenStore(error)) as client:
        ready = await client.ask("GET", "/readyz")
        assert (ready.status, ready.headers["content-type"]) == (503, "application/problem+json")
        assert int(ready.headers["retry-after"]) > 0
        assert b"10.0.0.1" not in ready.body
        assert (await client.ask("GET", "/livez")).status == 200


async def test_metrics_are_in_prometheus_text_format() -> None:
    """The rendered bytes come as they are, under the format's media type."""
    async with api(new_store()) as client:
        answer = await client.ask("GET", "/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert answer.body == b"sessions 0\n"


async def test_a_token_is_minted_for_an_agent_and_a_user() -> None:
    """It expires after 300 s unless told otherwise, and no cache may keep it."""
    clock = HandClock(1_700_000_000.0)
    async with api(new_store(), clock) as client:
        await make_agent(client, id="ann")
        answer = await client.ask("POST", "/v1/client_tokens", json={"agent_id": "ann", "user": "bob"})
        assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
        assert set(answer.json) == {"token", "expires_at"}
        assert answer.json["expires_at"] == "2023-11-14T22:18:20.000Z"
        hour = await client.ask("POST", "/v1/client_tokens", json={"agent_id": "ann", "ttl_s": 3600})
        assert hour.json["expires_at"] == "2023-11-14T23:13:20.000Z"


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({}, ["/agent_id"]),
        ({"agent_id": 5, "user": "", "ttl_s": 3601}, ["/agent_id", "/user", "/ttl_s"]),
        ({"agent_id": "ann", "ttl_s": 0}, ["/ttl_s"]),
        ({"agent_id": "ann", "ttl_s": "60"}, ["/ttl_s"]),
        ({"agent_id": "ann", "ttl": 60}, ["/ttl"]),
    ],
)
async def test_a_wrong_token_request_names_every_fault(body: dict[str, object], paths: list[str]) -> None:
    """422 with a pointer per fault."""
    async with api(new_store()) as client:
        await make_agent(client, id="ann")
        answer = await client.ask("POST", "/v1/client_tokens", json=body)
        assert answer.status == 422
        assert [fault["path"] for fault in answer.json["errors"]] == paths


async def test_no_token_for_an_agent_that_is_not() -> None:
    """404 before anything is signed."""
    async with api(new_store()) as client:
        assert (await client.ask("POST", "/v1/client_tokens", json={"agent_id": "ann"})).status == 404


async def test_a_store_that_is_away_is_503_everywhere() -> None:
    """A request that needs it is told to come back, without the store's address."""
    async with api(BrokenStore(StoreDown("redis://:hunter2@10.0.0.1 refused"))) as client:
        answer = await client.ask("GET", "/v1/agents/ann")
        assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json")
        assert int(answer.headers["retry-after"]) > 0
        assert b"hunter2" not in answer.body


async def test_an_unforeseen_error_is_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The client learns nothing of it; the log has the request without its query, and the stack."""
    async with api(BrokenStore(RuntimeError("the inside is showing"))) as client:
        answer = await client.ask("GET", "/v1/agents/ann", params={"token": "hunter2"})
    assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
    assert b"inside" not in answer.body
    ours = [record for record in caplog.records if record.name == "gateway.api.common"]
    assert [record.getMessage() for record in ours] == ["GET /v1/agents/ann: answered 500, RuntimeError"]
    assert [record.name for record in caplog.records if record.exc_info] == ["uvicorn.error"]
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/nothing", 404), ("PUT", "/v1/agents", 405)])
async def test_a_wrong_path_or_method_is_a_problem_too(method: str, path: str, status: int) -> None:
    """The framework's own refusals look like all others."""
    async with api(new_store()) as client:
        answer = await client.ask(method, path)
        assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
        assert answer.json["status"] == status


async def test_the_description_declares_problems_and_bodies() -> None:
    """Every fault in it is problem+json, bodies are described, and every reference leads somewhere."""
    async with api(new_store()) as client:
        description = (await client.ask("GET", "/openapi.json")).json
        text = (await client.ask("GET", "/openapi.json")).body.decode()
    for methods in description["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"]
    create = description["paths"]["/v1/agents"]["post"]
    fields = create["requestBody"]["content"]["application/json"]["schema"]
    assert fields["required"] == ["name"]
    assert {"system", "tools", "voice"} <= set(fields["properties"])
    assert {"401", "403", "409", "422", "503"} <= set(create["responses"])
    assert create["security"] == [{"HTTPBearer": []}]
    assert "security" not in description["paths"]["/livez"]["get"]
    named = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(description["components"]["schemas"])
    assert named


async def test_the_docs_load_nothing_from_elsewhere() -> None:
    """One page with every path, no script, no address but its own."""
    async with api(new_store()) as client:
        page = (await client.ask("GET", "/docs")).body.decode()
    assert "/v1/agents/{agent_id}/messages" in page
    assert "/v1/agents/{agent_id}/users/{user}" in page
    assert "<script" not in page
    assert "src=" not in page
    assert "//" not in page.replace("about://", "")


async def test_no_secret_in_answers_or_logs(caplog: pytest.LogCaptureFixture) -> None:
    """Keys, their hashes, tokens sent and the signing secret show up in no answer and no log line."""
    caplog.set_level(logging.DEBUG)
    store, clock = new_store(), HandClock()
    made = await Keys(store, clock).create("one")
    (row,) = await store.list_keys()
    async with api(store, clock, api_key=ENV_KEY) as client:
        answers = [await client.ask("POST", "/v1/agents", made.key, json={"id": "ann", "name": "Ann"})]
        minted = await client.ask("POST", "/v1/client_tokens", ENV_KEY, json={"agent_id": "ann"})
        token = minted.json["token"]
        for key in (None, ENV_KEY, made.key, made.key + "x", token):
            for method, path in GUARDED:
                answers.append(await client.ask(method, path, key, params={"token": token}, json={"x": 1}))
    shown = b"".join(answer.body + repr(answer.headers).encode() for answer in answers).decode() + caplog.text
    for secret in (ENV_KEY, made.key, row.hash, token, (await store.secret()).hex(), repr(await store.secret())):
        assert secret not in shown
