"""`/v1/agents` over HTTP: made, listed, read, changed, deleted, and every way to be refused."""

import asyncio
from io import BytesIO
from typing import Any

import msgspec
import pytest

from gateway.api.agents import PATCH_ATTEMPTS
from gateway.api.common import MAX_BODY_BYTES
from tests.api.world import HandClock, api, make_agent, new_store
from voice_agent.store.recorder import Recorder


class Meddler(Recorder):
    """A store in which somebody else changes an agent just before each of the next `times` writes."""

    def __init__(self, times: int) -> None:
        super().__init__(HandClock())
        self.times = times

    async def write_agent(self, agent_id: str, document: bytes, version: int) -> bool:
        row = await self.read_agent(agent_id)
        if self.times and row is not None:
            self.times -= 1
            theirs = msgspec.json.decode(row.document) | {"greeting": f"left {self.times}"}
            assert await super().write_agent(agent_id, msgspec.json.encode(theirs), row.version)
        return await super().write_agent(agent_id, document, version)


async def test_an_agent_is_made_and_read_back() -> None:
    """Creation answers 201 with the whole agent, its defaults and its address."""
    async with api(new_store()) as client:
        answer = await client.ask("POST", "/v1/agents", json={"id": "ann", "name": "Ann", "tools": ["get_time"]})
        assert answer.status == 201
        assert answer.headers["location"] == "/v1/agents/ann"
        assert (answer.json["id"], answer.json["tools"], answer.json["max_steps"]) == ("ann", ["get_time"], 10)
        read = await client.ask("GET", "/v1/agents/ann")
        assert (read.status, read.json) == (200, answer.json)


async def test_an_id_is_made_up_where_none_is_given() -> None:
    """Two agents of one name get two ids."""
    async with api(new_store()) as client:
        one, two = await make_agent(client), await make_agent(client)
        assert one["id"] != two["id"]
        assert (await client.ask("GET", f"/v1/agents/{one['id']}")).json == one


async def test_a_taken_id_is_a_conflict() -> None:
    """The agent that was there stays as it was."""
    async with api(new_store()) as client:
        await make_agent(client, id="ann")
        answer = await client.ask("POST", "/v1/agents", json={"id": "ann", "name": "Other"})
        assert (answer.status, answer.headers["content-type"]) == (409, "application/problem+json")
        assert answer.json["detail"] == "there is an agent 'ann' already"
        assert (await client.ask("GET", "/v1/agents/ann")).json["name"] == "Ann"


async def test_every_fault_of_a_definition_is_in_one_answer() -> None:
    """422 lists shape, tool and model faults together, and nothing is stored."""
    store = new_store()
    async with api(store) as client:
        body = {"id": "ann", "max_steps": 0, "tools": ["fly"], "model": "openai/gpt-test", "blocks": [{"label": "A B"}]}
        answer = await client.ask("POST", "/v1/agents", json=body)
        assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
        found = {fault["path"]: fault["message"] for fault in answer.json["errors"]}
        assert set(found) == {"/name", "/max_steps", "/tools/0", "/model", "/blocks/0/label"}
        assert found["/tools/0"] == "there is no tool 'fly'; known: get_time, set_reminder"
        assert found["/model"] == "OPENAI_API_KEY is not set"
        assert await store.list_agents("", 1) == ()


NO_OBJECTS = (
    (b"", "not JSON"),
    (b"{", "not JSON"),
    (b'{"name": NaN}', "not JSON"),
    (b'{"name": "\\ud800"}', "not JSON"),
    (b'{"name": "\xff"}', "not JSON"),
    (b"[]", "object"),
    (b"null", "object"),
    (b'{"metadata": ' + b'{"a":' * 80 + b"1" + b"}" * 81, "deep"),
    (b"[" * 50_000, "deep"),
)


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/agents"), ("PATCH", "/v1/agents/ann")])
async def test_a_body_that_is_no_json_object_is_refused(method: str, path: str) -> None:
    """Unreadable bodies get 422 for the whole document."""
    async with api(new_store()) as client:
        await make_agent(client, id="ann")
        for body, message in NO_OBJECTS:
            answer = await client.ask(method, path, data=body, headers={"Content-Type": "application/json"})
            assert answer.status == 422, body[:40]
            (fault,) = answer.json["errors"]
            assert fault["path"] == ""
            assert message in fault["message"], body[:40]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/json"])
async def test_another_media_type_is_refused(kind: str) -> None:
    """What a browser may send across origins unasked is 415."""
    async with api(new_store()) as client:
        answer = await client.ask("POST", "/v1/agents", data=b'{"name": "Ann"}', headers={"Content-Type": kind})
        assert (answer.status, answer.json["status"]) == (415, 415)
        assert kind in answer.json["detail"]


async def test_too_large_a_body_is_refused() -> None:
    """One byte over the limit is 413."""
    async with api(new_store()) as client:
        answer = await client.ask(
            "POST",
            "/v1/agents",
            data=BytesIO(b" " * (MAX_BODY_BYTES + 1)),
            headers={"Content-Type": "application/json"},
        )
        assert (answer.status, answer.headers["content-type"]) == (413, "application/problem+json")


async def test_agents_are_listed_page_by_page() -> None:
    """Following `next` gives each agent once, in the order of ids, and ends with null."""
    async with api(new_store()) as client:
        for name in ("d", "a", "c", "b", "e"):
            await make_agent(client, id=name)
        pages: list[list[str]] = []
        cursor: Any = ""
        while cursor is not None:
            answer = await client.ask("GET", "/v1/agents", params={"limit": 2, "after": cursor})
            pages.append([item["id"] for item in answer.json["items"]])
            cursor = answer.json["next"]
        assert pages == [["a", "b"], ["c", "d"], ["e"]]
        assert (await client.ask("GET", "/v1/agents", params={"limit": 5})).json["next"] is None


@pytest.mark.parametrize("limit", ["0", "201", "many"])
async def test_a_wrong_limit_names_the_parameter(limit: str) -> None:
    """Query faults are problems like any other."""
    async with api(new_store()) as client:
        answer = await client.ask("GET", "/v1/agents", params={"limit": limit})
        assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
        assert [fault["path"] for fault in answer.json["errors"]] == ["/query/limit"]


async def test_a_merge_patch_changes_only_what_it_names() -> None:
    """Null unsets, objects merge, lists are replaced."""
    async with api(new_store()) as client:
        await make_agent(client, id="ann", greeting="Hello", tools=["get_time"], metadata={"a": 1, "b": {"c": 2}})
        patch = {"greeting": None, "tools": ["set_reminder"], "metadata": {"b": {"c": None, "d": 3}}, "id": "ann"}
        answer = await client.ask(
            "PATCH", "/v1/agents/ann", json=patch, headers={"Content-Type": "application/merge-patch+json"}
        )
        assert answer.status == 200
        assert (answer.json["name"], answer.json["greeting"], answer.json["tools"]) == ("Ann", None, ["set_reminder"])
        assert answer.json["metadata"] == {"a": 1, "b": {"d": 3}}
        assert (await client.ask("GET", "/v1/agents/ann")).json == answer.json


@pytest.mark.parametrize(
    ("patch", "paths"),
    [
        ({"id": "bob"}, ["/id"]),
        ({"id": None}, ["/id"]),
        ({"name": None}, ["/name"]),
        ({"temperature": 9, "tools": ["fly"]}, ["/temperature", "/tools/0"]),
        ({"voice": {"pitch": 1}}, ["/voice/pitch"]),
    ],
)
async def test_a_bad_patch_changes_nothing(patch: dict[str, object], paths: list[str]) -> None:
    """The result is validated whole, and the id stays."""
    async with api(new_store()) as client:
        made = await make_agent(client, id="ann")
        answer = await client.ask("PATCH", "/v1/agents/ann", json=patch)
        assert answer.status == 422
        assert [fault["path"] for fault in answer.json["errors"]] == paths
        assert (await client.ask("GET", "/v1/agents/ann")).json == made


async def test_a_patch_is_made_anew_when_another_came_between() -> None:
    """Both changes are there in the end."""
    store = Meddler(times=0)
    async with api(store) as client:
        await make_agent(client, id="ann")
        store.times = 2
        answer = await client.ask("PATCH", "/v1/agents/ann", json={"system": "Be brief."})
        assert (answer.status, answer.json["system"], answer.json["greeting"]) == (200, "Be brief.", "left 0")
        assert (await client.ask("GET", "/v1/agents/ann")).json == answer.json


async def test_a_patch_that_never_gets_through_is_a_conflict() -> None:
    """After a bounded number of attempts the client is told to try again."""
    store = Meddler(times=0)
    async with api(store) as client:
        await make_agent(client, id="ann")
        store.times = PATCH_ATTEMPTS
        answer = await client.ask("PATCH", "/v1/agents/ann", json={"system": "Be brief."})
        assert answer.status == 409
        assert store.times == 0
        assert (await client.ask("GET", "/v1/agents/ann")).json["greeting"] == "left 0"


async def test_concurrent_patches_all_hold() -> None:
    """No change is lost among several at once."""
    async with api(new_store()) as client:
        await make_agent(client, id="ann")
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(client.ask("PATCH", "/v1/agents/ann", json={"metadata": {f"k{n}": n}}))
                for n in range(8)
            ]
        assert [task.result().status for task in asked] == [200] * 8
        assert (await client.ask("GET", "/v1/agents/ann")).json["metadata"] == {f"k{n}": n for n in range(8)}


async def test_a_deleted_agent_is_gone() -> None:
    """204 without a body, then 404, and its id may be taken again."""
    async with api(new_store()) as client:
        await make_agent(client, id="ann")
        answer = await client.ask("DELETE", "/v1/agents/ann")
        assert (answer.status, answer.body) == (204, b"")
        assert (await client.ask("GET", "/v1/agents/ann")).status == 404
        assert (await client.ask("DELETE", "/v1/agents/ann")).status == 404
        await make_agent(client, id="ann")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_unknown_agent_is_not_found(method: str) -> None:
    """Ids that exist nowhere, and texts that can be no id, get the same 404 problem."""
    async with api(new_store()) as client:
        for agent_id in ("ann", "no%20such", "%7Bx%7D", "a%0A", "x" * 65, "%ff"):
            answer = await client.ask(method, f"/v1/agents/{agent_id}", json={})
            assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json"), agent_id
            assert answer.json["detail"].startswith("there is no agent ")
