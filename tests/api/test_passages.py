"""`/v1/agents/{id}/passages` over HTTP, a real store and the real archive: added, found, deleted, and every refusal."""

from typing import Any

from gateway.api.passages import MAX_ITEMS
from tests.api.world import World, remembering

PASSAGES = "/v1/agents/ann/passages"


async def add(world: World, *items: dict[str, Any], **params: str) -> list[str]:
    answer = await world.ask("POST", PASSAGES, json={"items": list(items)}, params=params)
    assert answer.status == 201, answer.body
    ids: list[str] = answer.json["ids"]
    return ids


async def find(world: World, query: str, **params: Any) -> list[dict[str, Any]]:
    answer = await world.ask("GET", PASSAGES, params={"query": query} | params)
    assert answer.status == 200, answer.body
    assert answer.json["next"] is None
    found: list[dict[str, Any]] = answer.json["items"]
    return found


async def test_what_was_said_is_found_best_first() -> None:
    """A message is searchable as soon as its turn is committed, under the id that the log gives it."""
    async with remembering() as world:
        last = await world.said("default", "the weather is fine", "we talk of boats", "my sailing boat is called Berta")
        items = await find(world, "what is the sailing boat called")
        assert [item["text"] for item in items][:2] == ["my sailing boat is called Berta", "we talk of boats"]
        best, score = items[0], items[0].pop("score")
        assert best == {
            "id": f"{last}.0",
            "text": "my sailing boat is called Berta",
            "speaker": "user",
            "at": "2023-11-14T22:15:20.250Z",
            "ref": "",
            "source": "message",
        }
        assert score > items[1]["score"] > 0


async def test_an_added_document_is_found_at_once_with_all_it_came_with() -> None:
    """Times come as RFC 3339 or in seconds; without one it is now."""
    async with remembering() as world:
        ids = await add(
            world,
            {"text": "The boiler code is 4711", "speaker": "Manual", "at": "2020-02-01T12:00:00+02:00", "ref": "p. 7"},
            {"text": "The boiler hums", "at": 1_600_000_000.5},
            {"text": "The boiler is blue"},
        )
        assert len(set(ids)) == 3
        items = {item["id"]: item for item in await find(world, "boiler")}
        assert set(items) == set(ids)
        assert (
            items[ids[0]].items()
            >= {
                "text": "The boiler code is 4711",
                "speaker": "Manual",
                "at": "2020-02-01T10:00:00.000Z",
                "ref": "p. 7",
                "source": "document",
            }.items()
        )
        assert items[ids[1]]["at"] == "2020-09-13T12:26:40.500Z"
        assert items[ids[2]].items() >= {"at": "2023-11-14T22:13:20.000Z", "speaker": "", "ref": ""}.items()


async def test_a_search_is_bounded_in_number_and_time() -> None:
    """Ten come unless asked otherwise; both ends of the time belong to it."""
    async with remembering() as world:
        await add(world, *({"text": f"boat number {n}", "at": 1000 * n} for n in range(1, 13)))
        assert len(await find(world, "boat")) == 10
        assert len(await find(world, "boat", limit="3")) == 3
        inside = await find(world, "boat", **{"from": "3000", "to": "1970-01-01T01:23:20Z", "limit": "20"})
        assert sorted(item["text"] for item in inside) == ["boat number 3", "boat number 4", "boat number 5"]
        assert [item["text"] for item in await find(world, "boat", to="1000")] == ["boat number 1"]


async def test_users_find_only_their_own() -> None:
    """Passages belong to the pair."""
    async with remembering() as world:
        await add(world, {"text": "the key is under the mat"}, user="bob")
        assert len(await find(world, "key", user="bob")) == 1
        assert await find(world, "key") == []
        assert await find(world, "key", user="eve") == []


async def test_a_search_without_a_known_word_finds_nothing() -> None:
    """An empty list is a list."""
    async with remembering() as world:
        await add(world, {"text": "the key is under the mat"})
        assert await find(world, "zeppelin") == []
        assert await find(world, " ") == []


async def test_a_deleted_document_is_found_no_more() -> None:
    """204, then 404; another's document is not there to be deleted."""
    async with remembering() as world:
        (one, other) = await add(world, {"text": "the key is red"}, {"text": "the key is blue"})
        assert len(await find(world, "key")) == 2
        assert (await world.ask("DELETE", f"{PASSAGES}/{one}", params={"user": "bob"})).status == 404
        answer = await world.ask("DELETE", f"{PASSAGES}/{one}")
        assert (answer.status, answer.body) == (204, b"")
        assert [item["id"] for item in await find(world, "key")] == [other]
        assert (await world.ask("DELETE", f"{PASSAGES}/{one}")).status == 404


async def test_a_message_of_the_log_cannot_be_deleted() -> None:
    """409 with a sentence that says what can be done; it stays found."""
    async with remembering() as world:
        last = await world.said("default", "the key is red")
        answer = await world.ask("DELETE", f"{PASSAGES}/{last}.0")
        assert (answer.status, answer.headers["content-type"]) == (409, "application/problem+json")
        assert "is a message of the conversation" in answer.json["detail"]
        assert len(await find(world, "key")) == 1


async def test_what_is_no_passage_is_not_found() -> None:
    """404 for every text that names none."""
    async with remembering() as world:
        for passage_id in ("d", "d1", "dx-0", "nothing", "1-0", "1-0.0.0", "d99999999999999999999-0", "%00"):
            assert (await world.ask("DELETE", f"{PASSAGES}/{passage_id}")).status == 404, passage_id


async def test_wrong_documents_name_every_fault() -> None:
    """422 with a pointer per fault, and none of the batch is kept."""
    many = [
        {"text": "fine"},
        {"text": " \n"},
        {"text": "x" * 16_001, "speaker": 5, "ref": "r" * 501, "id": "mine"},
        *({"text": "x", "at": at} for at in ("yesterday", "2020-02-01T12:00:00", 1e300)),
        *({"text": "x", "at": at} for at in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z")),
    ]
    wrong = [f"/items/{n}" for n in ("1/text", "2/text", "2/speaker", "2/ref", "2/id")]
    cases: tuple[tuple[dict[str, Any], list[str]], ...] = (
        ({}, ["/items"]),
        ({"items": []}, ["/items"]),
        ({"items": [{"text": "x"}] * (MAX_ITEMS + 1)}, ["/items"]),
        ({"items": ["x"], "user": "bob"}, ["/items/0", "/user"]),
        ({"items": many}, wrong + [f"/items/{n}/at" for n in range(3, 8)]),
    )
    async with remembering() as world:
        for body, paths in cases:
            answer = await world.ask("POST", PASSAGES, json=body)
            assert answer.status == 422
            assert [fault["path"] for fault in answer.json["errors"]] == paths
        assert await find(world, "fine") == []


async def test_a_wrong_search_names_every_parameter() -> None:
    """422, also where the time ends before it begins."""
    cases: tuple[tuple[dict[str, str], list[str]], ...] = (
        ({}, ["/query/query"]),
        ({"query": ""}, ["/query/query"]),
        ({"query": "x" * 16_001}, ["/query/query"]),
        ({"query": "x", "limit": "0"}, ["/query/limit"]),
        ({"query": "x", "limit": "201", "user": ""}, ["/query/user", "/query/limit"]),
        ({"query": "x", "from": "soon", "to": "2020-13-01"}, ["/query/from", "/query/to"]),
        ({"query": "x", "from": "2000", "to": "1000"}, ["/query/from"]),
    )
    async with remembering() as world:
        for params, paths in cases:
            answer = await world.ask("GET", PASSAGES, params=params)
            assert answer.status == 422
            assert [fault["path"] for fault in answer.json["errors"]] == paths


async def test_an_unknown_agent_has_no_passages() -> None:
    """404 for each route; 415 for what is not JSON."""
    async with remembering() as world:
        path = "/v1/agents/bob/passages"
        assert (await world.ask("GET", path, params={"query": "x"})).status == 404
        assert (await world.ask("POST", path, json={"items": [{"text": "x"}]})).status == 404
        assert (await world.ask("DELETE", f"{path}/d1-0")).status == 404
        assert (await world.ask("POST", PASSAGES, data=b"x", headers={"Content-Type": "text/plain"})).status == 415
