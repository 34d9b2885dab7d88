"""`/v1/agents/{id}/blocks` over HTTP and a real store: values, versions, conditions, limits, and what comes between."""

import asyncio
from typing import Any

from gateway.api.blocks import WRITE_ATTEMPTS
from tests.api.world import Answer, World, remembering
from voice_agent.store.base import BlockValue, Pair
from voice_agent.store.connection import Connection
from voice_agent.store.redis_memory import RedisMemory

BLOCKS = "/v1/agents/ann/blocks"
HUMAN = f"{BLOCKS}/human"
ANN = Pair("ann", "default")
GIVEN = [
    {"label": "human", "limit": 20, "value": "a guest"},
    {"label": "rules", "value": "Be kind.", "read_only": True},
]


class Meddler(RedisMemory):
    """A store in which a job writes the block just before each of the next `times` writes."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.times = 0
        self.written: list[int] = []

    async def write_block(self, pair: Pair, block: BlockValue) -> bool:
        if self.times:
            self.times -= 1
            theirs = BlockValue(block.label, f"job {self.times}", block.version, "sleeptime:1", 1.0)
            assert await super().write_block(pair, theirs)
        self.written.append(block.version)
        return await super().write_block(pair, block)


def meddler(world: World) -> Meddler:
    assert isinstance(world.memory, Meddler)
    return world.memory


async def put(world: World, value: str, tag: str | None = None, path: str = HUMAN, **params: str) -> Answer:
    headers = {} if tag is None else {"If-Match": tag}
    return await world.ask("PUT", path, json={"value": value}, headers=headers, params=params)


async def values(world: World, path: str = f"{HUMAN}/versions") -> list[tuple[int, str, str]]:
    items = (await world.ask("GET", path)).json["items"]
    return [(item["version"], item["value"], item["author"]) for item in items]


async def test_blocks_are_listed_in_the_agents_order() -> None:
    """The default ones first, with the agent's own values until somebody writes."""
    async with remembering(blocks=GIVEN) as world:
        answer = await world.ask("GET", BLOCKS)
        assert (answer.status, answer.json["next"]) == (200, None)
        assert [(item["label"], item["value"], item["version"]) for item in answer.json["items"]] == [
            ("persona", "", 0),
            ("human", "a guest", 0),
            ("summary", "", 0),
            ("rules", "Be kind.", 0),
        ]
        assert answer.json["items"][1] == {
            "label": "human",
            "description": "",
            "value": "a guest",
            "limit": 20,
            "read_only": False,
            "version": 0,
            "author": None,
            "at": None,
            "sources": [],
        }


async def test_a_written_block_tells_its_version_author_and_time() -> None:
    """The ETag is the version, in the answer to the write and to the next read; other users see nothing of it."""
    async with remembering(blocks=GIVEN) as world:
        wrote = await put(world, "Bob", user="bob")
        assert (wrote.status, wrote.headers["etag"]) == (200, '"1"')
        assert wrote.json.items() >= {"value": "Bob", "version": 1, "author": "api", "sources": []}.items()
        assert wrote.json["at"] == "2023-11-14T22:13:20.000Z"
        read = await world.ask("GET", HUMAN, params={"user": "bob"})
        assert (read.status, read.headers["etag"], read.json) == (200, '"1"', wrote.json)
        other = await world.ask("GET", HUMAN)
        assert (other.headers["etag"], other.json["value"]) == ('"0"', "a guest")


async def test_a_write_on_the_version_it_names_holds() -> None:
    """The agent's own value is version 0; a star stands for whichever there is."""
    async with remembering() as world:
        for version, tag in enumerate(('"0"', '"7", "1"', "*", ' "3" ')):
            answer = await put(world, "Bob", tag)
            assert (answer.status, answer.json["version"]) == (200, version + 1)


async def test_a_write_on_another_version_changes_nothing() -> None:
    """412, also for a weak tag, which never holds for a write."""
    async with remembering() as world:
        for tag in ('"1"', 'W/"0"', '"00"', '"x", "1"'):
            answer = await put(world, "Bob", tag)
            assert (answer.status, answer.headers["content-type"]) == (412, "application/problem+json")
            assert answer.json["detail"] == "block 'human' is at version 0"
        assert await values(world) == []


async def test_a_condition_that_cannot_be_read_is_refused() -> None:
    """422 with the header's name, and nothing is written."""
    async with remembering() as world:
        for tag in ("0", "", '"0" "1"', '"0'):
            answer = await put(world, "Bob", tag)
            assert (answer.status, [fault["path"] for fault in answer.json["errors"]]) == (422, ["/header/If-Match"])
        assert await values(world) == []


async def test_a_write_without_a_condition_goes_on_top_of_what_came_between() -> None:
    """Each attempt names the version that holds by then; nothing of the others is lost."""
    async with remembering(Meddler) as world:
        meddler(world).times = 2
        answer = await put(world, "Bob")
        assert (answer.status, answer.headers["etag"]) == (200, '"3"')
        assert await values(world) == [(3, "Bob", "api"), (2, "job 0", "sleeptime:1"), (1, "job 1", "sleeptime:1")]


async def test_a_write_with_a_condition_gives_way_to_what_came_between() -> None:
    """412, though the version still held when the request was read."""
    async with remembering(Meddler) as world:
        meddler(world).times = 1
        answer = await put(world, "Bob", '"0"')
        assert (answer.status, answer.json["detail"]) == (412, "block 'human' is at version 1")
        assert await values(world) == [(1, "job 0", "sleeptime:1")]


async def test_a_write_that_never_gets_through_is_a_conflict() -> None:
    """After a bounded number of attempts the client is told to try again."""
    async with remembering(Meddler) as world:
        meddler(world).times = WRITE_ATTEMPTS
        assert (await put(world, "Bob")).status == 409
        assert meddler(world).written == list(range(1, WRITE_ATTEMPTS + 1))


async def test_concurrent_writes_are_versions_one_after_another() -> None:
    """None is lost and none is in another's place."""
    async with remembering() as world:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(put(world, f"value {n}")) for n in range(4)]
        assert [task.result().status for task in asked] == [200] * 4
        written = await values(world)
        assert [version for version, *_ in written] == [4, 3, 2, 1]
        assert {value for _, value, _ in written} == {f"value {n}" for n in range(4)}


async def test_a_value_over_the_limit_is_refused_with_both_sizes() -> None:
    """As many characters as the limit are fine, one more is 422."""
    async with remembering(blocks=GIVEN) as world:
        assert (await put(world, "ü" * 20)).status == 200
        answer = await put(world, "ü" * 21)
        assert answer.status == 422
        assert answer.json["errors"] == [
            {"path": "/value", "message": "the value has 21 characters, the limit of 'human' is 20"}
        ]
        assert (await world.ask("GET", HUMAN)).json["version"] == 1


async def test_a_read_only_block_is_not_written() -> None:
    """409, for a write as for a restore; its value is the agent's."""
    async with remembering(blocks=GIVEN) as world:
        path, label = f"{BLOCKS}/rules", "rules"
        answer = await put(world, "x", path=path)
        assert (answer.status, answer.headers["content-type"]) == (409, "application/problem+json")
        assert "only the agent's definition changes it" in answer.json["detail"]
        assert await world.memory.write_block(ANN, BlockValue(label, "left over", 1))
        assert (await world.ask("POST", f"{path}/restore", json={"version": 1})).status == 409
        assert (await world.ask("GET", path)).json["version"] == 0


async def test_a_wrong_value_names_every_fault() -> None:
    """422 with a pointer per fault."""
    cases: tuple[tuple[dict[str, Any], list[str]], ...] = (
        ({}, ["/value"]),
        ({"value": None}, ["/value"]),
        ({"value": 5, "author": "me"}, ["/value", "/author"]),
    )
    async with remembering() as world:
        for body, paths in cases:
            answer = await world.ask("PUT", HUMAN, json=body)
            assert (answer.status, [fault["path"] for fault in answer.json["errors"]]) == (422, paths)


async def test_a_body_that_is_not_json_is_415() -> None:
    """As elsewhere."""
    async with remembering() as world:
        for method, path in (("PUT", HUMAN), ("POST", f"{HUMAN}/restore")):
            answer = await world.ask(method, path, data=b"Bob", headers={"Content-Type": "text/plain"})
            assert answer.status == 415


async def test_versions_are_paged_newest_first_with_their_sources() -> None:
    """Following `next` gives each version once; a job's has its author and the messages it was made from."""
    async with remembering() as world:
        for version in range(1, 5):
            job = BlockValue("human", f"value {version}", version, f"sleeptime:{version}", 60.0, (f"{version}-0.0",))
            assert await world.memory.write_block(ANN, job)
        assert (await put(world, "by hand")).json["version"] == 5
        pages, cursor = [], None
        while True:
            params = {"limit": "2"} | ({} if cursor is None else {"before": str(cursor)})
            answer = await world.ask("GET", f"{HUMAN}/versions", params=params)
            pages.append([item["version"] for item in answer.json["items"]])
            cursor = answer.json["next"]
            if cursor is None:
                break
        assert pages == [[5, 4], [3, 2], [1]]
        assert answer.json["items"] == [
            {
                "version": 1,
                "value": "value 1",
                "author": "sleeptime:1",
                "at": "1970-01-01T00:01:00.000Z",
                "sources": ["1-0.0"],
            }
        ]


async def test_a_restored_version_is_a_new_one() -> None:
    """Nothing is taken away; the sources come along."""
    async with remembering() as world:
        assert await world.memory.write_block(ANN, BlockValue("human", "Ann", 1, "sleeptime:1", 60.0, ("1-0.0",)))
        await put(world, "Bob")
        answer = await world.ask("POST", f"{HUMAN}/restore", json={"version": 1}, headers={"If-Match": '"2"'})
        assert (answer.status, answer.headers["etag"]) == (200, '"3"')
        assert answer.json.items() >= {"value": "Ann", "author": "api", "sources": ["1-0.0"]}.items()
        assert await values(world) == [(3, "Ann", "api"), (2, "Bob", "api"), (1, "Ann", "sleeptime:1")]
        stale = await world.ask("POST", f"{HUMAN}/restore", json={"version": 2}, headers={"If-Match": '"2"'})
        assert stale.status == 412


async def test_what_cannot_be_restored_is_refused() -> None:
    """422 at `/version`; so is a version that a lowered limit no longer takes."""
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "required"),
        ({"version": 0}, "greater than or equal to 1"),
        ({"version": "1"}, "integer"),
        ({"version": 2}, "block 'human' has no version 2 that is kept"),
        ({"version": 1}, "the value has 9 characters, the limit of 'human' is 5"),
    )
    async with remembering() as world:
        await put(world, "123456789")
        lowered = {"blocks": [{"label": "human", "limit": 5}]}
        assert (await world.ask("PATCH", "/v1/agents/ann", json=lowered)).status == 200
        for body, message in cases:
            answer = await world.ask("POST", f"{HUMAN}/restore", json=body)
            assert (answer.status, [fault["path"] for fault in answer.json["errors"]]) == (422, ["/version"])
            assert message in answer.json["errors"][0]["message"]
        assert [version for version, *_ in await values(world)] == [1]


async def test_unknown_agents_and_blocks_are_not_found() -> None:
    """404 for each route; the answer names the blocks there are."""
    async with remembering() as world:
        routes = (("GET", "", None), ("PUT", "", {"value": "x"}), ("GET", "/versions", None))
        for method, rest, body in (*routes, ("POST", "/restore", {"version": 1})):
            for path in (f"{BLOCKS}/mood", "/v1/agents/bob/blocks/human"):
                answer = await world.ask(method, path + rest, json=body)
                assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
        assert (await world.ask("GET", "/v1/agents/bob/blocks")).status == 404
        assert "there are persona, human, summary" in (await world.ask("GET", f"{BLOCKS}/mood")).json["detail"]


async def test_a_wrong_user_is_refused_everywhere() -> None:
    """422 with the parameter's path."""
    async with remembering() as world:
        for method, path in (("GET", BLOCKS), ("GET", HUMAN), ("PUT", HUMAN), ("GET", f"{HUMAN}/versions")):
            answer = await world.ask(method, path, params={"user": "a\nb"}, json={"value": "x"})
            assert (answer.status, [fault["path"] for fault in answer.json["errors"]]) == (422, ["/query/user"])


async def test_a_write_is_told_to_live_sessions() -> None:
    """The change stream names the pair, the label and a new memory version."""
    async with remembering() as world:
        places: dict[str, str] = {}
        await world.memory.changes(places, 0)
        await put(world, "Bob")
        (change,) = await world.memory.changes(places, 0)
        assert (change.pair, change.kind, change.version, change.labels) == (ANN, "memory", 1, ("human",))
