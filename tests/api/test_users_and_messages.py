"""`/v1/agents/{id}/users` and `/messages` over HTTP: pages, order, fields, faults."""

import pytest

from tests.api.world import AT, Client, api, commit, make_agent, new_store
from voice_agent.messages import Message, ToolCall
from voice_agent.store.recorder import Recorder


async def talk(store: Recorder, user: str, count: int) -> None:
    for index in range(count):
        await commit(store, user, f"t{index}", Message("user", f"words {index}", AT + index))


async def walk(client: Client, path: str, cursor_name: str, **params: str) -> list[list[dict[str, object]]]:
    """All pages of a list."""
    pages, cursor = [], None
    while True:
        answer = await client.ask("GET", path, params=params | ({} if cursor is None else {cursor_name: cursor}))
        assert answer.status == 200, answer.body
        pages.append(answer.json["items"])
        cursor = answer.json["next"]
        if cursor is None:
            return pages


async def test_users_are_listed_page_by_page() -> None:
    """Each user with a history comes once, in order."""
    store = new_store()
    async with api(store) as client:
        await make_agent(client, id="ann")
        for user in ("zoe", "+44 20", "bob", "Ärger"):
            await talk(store, user, 1)
        pages = await walk(client, "/v1/agents/ann/users", "after", limit="2")
        assert pages == [[{"user": "+44 20"}, {"user": "bob"}], [{"user": "zoe"}, {"user": "Ärger"}]]


async def test_an_agent_without_callers_has_no_users() -> None:
    """An empty list is a list."""
    async with api(new_store()) as client:
        await make_agent(client, id="ann")
        assert (await client.ask("GET", "/v1/agents/ann/users")).json == {"items": [], "next": None}
        assert (await client.ask("GET", "/v1/agents/ann/messages")).json == {"items": [], "next": None}


async def test_a_message_has_the_protocols_fields() -> None:
    """Calls carry parsed arguments, the utterance only where there was one; what was no speech has null heard."""
    store = new_store()
    async with api(store) as client:
        await make_agent(client, id="ann")
        calls = (
            ToolCall("c1", "set_reminder", '{"at": "noon", "n": 1}', utterance="One moment.", heard="One"),
            ToolCall("c2", "get_time", "{}"),
        )
        await commit(
            store,
            "default",
            "t1",
            Message("user", "Remind me", AT),
            Message("assistant", "", AT + 1, heard="", tool_calls=calls),
            Message("tool", "done", AT + 2, tool_call_id="c1"),
            Message("tool", "12:00", AT + 2, tool_call_id="c2"),
            Message("assistant", "It is set.", AT + 3, heard="It is", interrupted=True),
        )
        items = (await client.ask("GET", "/v1/agents/ann/messages")).json["items"]
    ids = [item.pop("id") for item in items]
    assert len(set(ids)) == 5
    assert all(ids)
    blank: dict[str, object] = {"turn_id": "t1", "heard": None, "tool_calls": [], "tool_call_id": None}
    assert items == [
        blank | {"role": "assistant", "text": "It is set.", "at": "2023-11-14T22:13:23.250Z", "heard": "It is"},
        blank | {"role": "tool", "text": "12:00", "at": "2023-11-14T22:13:22.250Z", "tool_call_id": "c2"},
        blank | {"role": "tool", "text": "done", "at": "2023-11-14T22:13:22.250Z", "tool_call_id": "c1"},
        blank
        | {
            "role": "assistant",
            "text": "",
            "at": "2023-11-14T22:13:21.250Z",
            "heard": "",
            "tool_calls": [
                {
                    "id": "c1",
                    "name": "set_reminder",
                    "arguments": {"at": "noon", "n": 1},
                    "utterance": "One moment.",
                },
                {"id": "c2", "name": "get_time", "arguments": {}},
            ],
        },
        blank | {"role": "user", "text": "Remind me", "at": "2023-11-14T22:13:20.250Z"},
    ]


async def test_history_is_paged_newest_first() -> None:
    """Following `next` through `before` gives each message once; the last page's `next` is null."""
    store = new_store()
    async with api(store) as client:
        await make_agent(client, id="ann")
        await talk(store, "bob", 5)
        pages = await walk(client, "/v1/agents/ann/messages", "before", user="bob", limit="2")
    texts = [[item["text"] for item in page] for page in pages]
    assert texts == [["words 4", "words 3"], ["words 2", "words 1"], ["words 0"]]


async def test_fifty_messages_come_unless_more_are_asked_for() -> None:
    """The default is 50 and the most is 200."""
    store = new_store()
    async with api(store) as client:
        await make_agent(client, id="ann")
        await talk(store, "default", 201)
        counts = {}
        for query in ("", "?limit=200", "?limit=201"):
            answer = await client.ask("GET", f"/v1/agents/ann/messages{query}")
            counts[query] = len(answer.json["items"]) if answer.status == 200 else answer.status
    assert counts == {"": 50, "?limit=200": 200, "?limit=201": 422}


async def test_users_do_not_see_each_other() -> None:
    """History belongs to the pair."""
    store = new_store()
    async with api(store) as client:
        await make_agent(client, id="ann")
        await talk(store, "bob", 1)
        for user, count in (("bob", 1), ("eve", 0)):
            answer = await client.ask("GET", "/v1/agents/ann/messages", params={"user": user})
            assert len(answer.json["items"]) == count
        assert (await client.ask("GET", "/v1/agents/ann/messages")).json["items"] == []


@pytest.mark.parametrize(
    ("params", "paths"),
    [
        ({"before": "nonsense"}, ["/query/before"]),
        ({"user": ""}, ["/query/user"]),
        ({"user": "a\nb"}, ["/query/user"]),
        ({"user": "x" * 201, "limit": "0"}, ["/query/user", "/query/limit"]),
    ],
)
async def test_wrong_parameters_are_all_named(params: dict[str, str], paths: list[str]) -> None:
    """Each fault has the pointer to its parameter."""
    async with api(new_store()) as client:
        await make_agent(client, id="ann")
        answer = await client.ask("GET", "/v1/agents/ann/messages", params=params)
        assert answer.status == 422
        assert [fault["path"] for fault in answer.json["errors"]] == paths


@pytest.mark.parametrize("resource", ["users", "messages"])
async def test_an_unknown_agent_has_neither(resource: str) -> None:
    """404, as for the agent itself."""
    async with api(new_store()) as client:
        answer = await client.ask("GET", f"/v1/agents/nobody/{resource}")
        assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
