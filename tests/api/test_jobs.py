"""`/v1/jobs` over HTTP and a real store: dead letters listed, tried again, dropped."""

from itertools import product
from typing import Any

from tests.api.world import World, remembering
from voice_agent.store.base import Pair


async def bury(world: World, *users: str) -> None:
    """A dead letter for each user of `ann`."""
    for user in users:
        await world.said(user, "hello")
        assert await world.memory.raise_job(Pair("ann", user), "request")
        await world.memory.bury_job(await world.next_job(), f"{user} in vain")


async def listed(world: World, **params: Any) -> list[dict[str, Any]]:
    answer = await world.ask("GET", "/v1/jobs", params=params)
    assert answer.status == 200, answer.body
    items: list[dict[str, Any]] = answer.json["items"]
    return items


async def test_a_dead_letter_tells_whose_it_is_and_why() -> None:
    """Only jobs that were given up are listed."""
    async with remembering() as world:
        await world.said("eve", "hello")
        assert await world.memory.raise_job(Pair("ann", "eve"), "request")
        assert await listed(world) == []
        await world.next_job()
        await bury(world, "bob")
        (item,) = await listed(world, state="dead")
        assert item.pop("id")
        assert item.pop("at").endswith("Z")
        assert item == {
            "state": "dead", "agent_id": "ann", "user": "bob", "reason": "bob in vain", "deliveries": 1,
        }  # fmt: skip


async def test_dead_letters_are_paged_newest_first() -> None:
    """Following `next` gives each once, also when those of the page before were dropped meanwhile."""
    async with remembering() as world:
        await bury(world, "a", "b", "c", "d", "e")
        pages: list[list[str]] = []
        cursor: Any = None
        while True:
            params = {"limit": "2"} | ({} if cursor is None else {"before": cursor})
            answer = await world.ask("GET", "/v1/jobs", params=params)
            pages.append([item["user"] for item in answer.json["items"]])
            for item in answer.json["items"]:
                assert (await world.ask("DELETE", f"/v1/jobs/{item['id']}")).status == 204
            cursor = answer.json["next"]
            if cursor is None:
                break
        assert [len(page) for page in pages] == [2, 2, 1]
        assert sorted(user for page in pages for user in page) == ["a", "b", "c", "d", "e"]


async def test_a_retried_job_waits_for_a_worker_again() -> None:
    """202; the letter is gone, the cursor is back where it was; a second retry is 404."""
    async with remembering() as world:
        await bury(world, "bob")
        (item,) = await listed(world)
        answer = await world.ask("POST", f"/v1/jobs/{item['id']}/retry")
        assert (answer.status, answer.json) == (202, {"raised": True})
        assert await listed(world) == []
        assert (await world.memory.read_memory(Pair("ann", "bob"))).cursor == "0-0"
        job = await world.next_job()
        assert (job.pair.user, job.deliveries) == ("bob", 1)
        assert (await world.ask("POST", f"/v1/jobs/{item['id']}/retry")).status == 404


async def test_a_dropped_letter_is_gone_for_good() -> None:
    """204 without a body, then 404; no job waits."""
    async with remembering() as world:
        await bury(world, "bob")
        (item,) = await listed(world)
        answer = await world.ask("DELETE", f"/v1/jobs/{item['id']}")
        assert (answer.status, answer.body) == (204, b"")
        assert await listed(world) == []
        assert await world.memory.next_jobs("worker", 1, 0) == ()
        assert (await world.ask("DELETE", f"/v1/jobs/{item['id']}")).status == 404


async def test_what_is_no_dead_letter_is_not_found() -> None:
    """404 with a problem for every text that names none."""
    ids = ("nothing", "1768-x", "-", "1768-1-0", "nowhere-1-0", "%00", "{t}")
    async with remembering() as world:
        for job_id, (method, rest) in product(ids, (("POST", "/retry"), ("DELETE", ""))):
            answer = await world.ask(method, f"/v1/jobs/{job_id}{rest}")
            assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
            assert answer.json["detail"].startswith("there is no dead letter")


async def test_a_wrong_question_names_every_parameter() -> None:
    """422 with a pointer per fault."""
    cases = (
        ({"state": "running"}, ["/query/state"]),
        ({"state": "", "limit": "0"}, ["/query/state", "/query/limit"]),
        ({"before": "nonsense"}, ["/query/before"]),
        ({"before": "nan~1"}, ["/query/before"]),
        ({"before": ""}, ["/query/before"]),
    )
    async with remembering() as world:
        for params, paths in cases:
            answer = await world.ask("GET", "/v1/jobs", params=params)
            assert (answer.status, [fault["path"] for fault in answer.json["errors"]]) == (422, paths), params
