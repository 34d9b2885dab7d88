"""Memory health, consolidation on request and forgetting, over HTTP and a real store."""

import pytest

from tests.api.world import World, remembering
from voice_agent.store.base import BlockValue, Pair
from voice_agent.store.memory import JobResult

ANN = Pair("ann", "default")
MEMORY = "/v1/agents/ann/memory"
SUMMARIZE = "/v1/agents/ann/summarize"
FORGET = ("/v1/agents/ann/users/bob", "/v1/agents/ann/memory?user=bob")


async def held(world: World, user: str) -> list[int]:
    """How much there is of a user: messages, versions of a block, passages, pending jobs, users of that name."""
    params = {"user": user}
    messages = await world.ask("GET", "/v1/agents/ann/messages", params=params)
    versions = await world.ask("GET", "/v1/agents/ann/blocks/human/versions", params=params)
    passages = await world.ask("GET", "/v1/agents/ann/passages", params=params | {"query": "key"})
    health = await world.ask("GET", MEMORY, params=params)
    users = [item["user"] for item in (await world.ask("GET", "/v1/agents/ann/users")).json["items"]]
    lists = [len(answer.json["items"]) for answer in (messages, versions, passages)]
    return [*lists, health.json["pending_jobs"], users.count(user)]


async def fill(world: World, user: str) -> None:
    await world.said(user, "the key is red", "the key is blue")
    assert (
        await world.ask("PUT", "/v1/agents/ann/blocks/human", json={"value": "x"}, params={"user": user})
    ).status == 200
    body = {"items": [{"text": "a spare key"}]}
    assert (await world.ask("POST", "/v1/agents/ann/passages", json=body, params={"user": user})).status == 201
    assert (await world.ask("POST", SUMMARIZE, params={"user": user})).json == {"raised": True}


async def test_a_memory_that_was_never_used_is_healthy() -> None:
    """Zeros and nulls."""
    async with remembering() as world:
        answer = await world.ask("GET", MEMORY)
        assert (answer.status, answer.json) == (
            200,
            {
                "version": 0,
                "window_turns": 0,
                "window_messages": 0,
                "pending_jobs": 0,
                "lag_ms": 0.0,
                "watermark": None,
                "wanted": None,
                "last_failure": None,
                "dead_letters": 0,
            },
        )


async def test_summarizing_raises_one_job_while_there_is_something_to_do() -> None:
    """Asked again it says so again; with nothing new since the last job it says that instead."""
    async with remembering() as world:
        assert (await world.ask("POST", SUMMARIZE)).json == {"raised": False}
        last = await world.said("default", "one", "two")
        for _ in range(2):
            answer = await world.ask("POST", SUMMARIZE)
            assert (answer.status, answer.json) == (202, {"raised": True})
        job = await world.next_job()
        assert (job.pair, job.reason) == (ANN, "request")
        assert (await world.ask("GET", MEMORY)).json.items() >= {
            "window_turns": 2, "window_messages": 2, "pending_jobs": 1, "watermark": None, "wanted": last,
        }.items()  # fmt: skip
        await world.memory.finish_job(job, JobResult("0-0", last, "0-0", blocks=(BlockValue("human", "x", 1),)))
        answer = await world.ask("POST", SUMMARIZE)
        assert (answer.status, answer.json) == (202, {"raised": False})
        assert (await world.ask("GET", MEMORY)).json.items() >= {
            "version": 1, "pending_jobs": 0, "lag_ms": 0.0, "watermark": last, "last_failure": None,
        }.items()  # fmt: skip


async def test_health_tells_of_failures_and_dead_letters() -> None:
    """The last failure stays while the job is tried again; a job that was given up is counted, and its wait is over."""
    async with remembering() as world:
        last = await world.said("default", "one")
        await world.ask("POST", SUMMARIZE)
        job = await world.next_job()
        await world.memory.fail_job(job, "the model answered in prose")
        assert (await world.ask("GET", MEMORY)).json.items() >= {
            "last_failure": "the model answered in prose", "dead_letters": 0, "pending_jobs": 1,
        }.items()  # fmt: skip
        await world.memory.bury_job(job, "five times in vain")
        assert (await world.ask("GET", MEMORY)).json.items() >= {
            "last_failure": "five times in vain", "dead_letters": 1, "pending_jobs": 0, "watermark": last,
        }.items()  # fmt: skip


@pytest.mark.parametrize("path", FORGET)
async def test_a_forgotten_user_leaves_nothing(path: str) -> None:
    """History, blocks, passages, jobs and the name are gone; another user's stay; the second time it is 404."""
    async with remembering() as world:
        await fill(world, "bob")
        await fill(world, "eve")
        assert await held(world, "bob") == await held(world, "eve") == [2, 1, 3, 1, 1]
        answer = await world.ask("DELETE", path)
        assert (answer.status, answer.body) == (204, b"")
        assert await held(world, "bob") == [0, 0, 0, 0, 0]
        assert await held(world, "eve") == [2, 1, 3, 1, 1]
        again = await world.ask("DELETE", path)
        assert (again.status, again.json["detail"]) == (404, "nothing is held of user 'bob'")


async def test_any_user_can_be_forgotten() -> None:
    """Names with slashes, signs and letters of any kind."""
    users = ("a/b", "+44 20", "Ärger", "memory", "100%")
    async with remembering() as world:
        for user in users:
            await world.said(user, "hello")
        for user in users:
            path = f"/v1/agents/ann/users/{''.join(f'%{byte:02x}' for byte in user.encode())}"
            assert (await world.ask_as_is("DELETE", path)).status == 204, user
        assert (await world.ask("GET", "/v1/agents/ann/users")).json["items"] == []


async def test_a_user_of_a_deleted_agent_can_be_forgotten() -> None:
    """Deleting an agent leaves what it remembers, so that must be in reach without it."""
    async with remembering() as world:
        await world.said("bob", "hello")
        assert (await world.ask("DELETE", "/v1/agents/ann")).status == 204
        assert (await world.ask("DELETE", FORGET[0])).status == 204
        gone = await world.ask("DELETE", FORGET[0])
        assert (gone.status, gone.json["detail"]) == (404, "there is no agent 'ann'")


async def test_unknown_agents_and_wrong_users_are_refused() -> None:
    """404 and 422, as elsewhere."""
    async with remembering() as world:
        for method, path in (("GET", "memory"), ("DELETE", "memory"), ("POST", "summarize")):
            answer = await world.ask(method, f"/v1/agents/bob/{path}")
            assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
            answer = await world.ask(method, f"/v1/agents/ann/{path}", params={"user": "x" * 201})
            assert (answer.status, [fault["path"] for fault in answer.json["errors"]]) == (422, ["/query/user"])
        answer = await world.ask("DELETE", f"/v1/agents/ann/users/{'x' * 201}")
        assert (answer.status, [fault["path"] for fault in answer.json["errors"]]) == (422, ["/path/user"])
