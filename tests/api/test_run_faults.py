"""What a request for a run is refused for: every fault in it, things that are not there, a store that is away."""

from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.api.runs import PATH, house
from tests.stores import server, until
from voice_agent.store.server import connect


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({}, {"/messages"}),
        ({"messages": []}, {"/messages"}),
        ({"messages": [{"role": "user", "text": " "}]}, {"/messages/0/text"}),
        ({"messages": [{"role": "user"}, {"role": "owl"}, {}, 7]},
         {"/messages/0/text", "/messages/1/role", "/messages/2/role", "/messages/3/role"}),
        ({"messages": [{"role": "user", "text": "a", "who": "b"}], "steps": 3}, {"/messages/0/who", "/steps"}),
        ({"messages": [{"role": "approval", "approvals": [{"call_id": "c", "approved": "yes"}]}]},
         {"/messages/0/approvals/0/approved"}),
        ({"messages": [{"role": "tool", "returns": []}], "max_steps": 0}, {"/messages/0/returns", "/max_steps"}),
        ({"messages": [{"role": "tool", "returns": [{"call_id": "c"}]}]}, {"/messages/0/returns/0/output"}),
        ({"messages": [{"role": "user", "text": "a"}, {"role": "tool", "returns": [{"call_id": "c", "output": 1}]}]},
         {"/messages"}),
        ({"messages": [{"role": "tool", "returns": [{"call_id": "c", "output": 1}, {"call_id": "c", "output": 2}]}]},
         {"/messages/0/returns/1/call_id"}),
        ({"messages": [{"role": "user", "text": "a"}], "stream": "words", "include": ["owl"], "trace": 1},
         {"/stream", "/include/0", "/trace"}),
        ({"messages": [{"role": "user", "text": "a"}], "stream": "steps", "background": True, "dry_run": True},
         {"/stream", "/dry_run"}),
        ({"messages": [{"role": "user", "text": "a"}],
          "client_tools": [{"name": "a b"}, {"name": "get_time", "description": "x"}]},
         {"/client_tools/0/name", "/client_tools/0/description", "/client_tools/1/name"}),
        ({"messages": [{"role": "user", "text": "a"}], "response_format": {"type": "array"}},
         {"/response_format/type"}),
        ({"messages": [{"role": "user", "text": "a"}], "response_format": {"type": "object", "required": 7}},
         {"/response_format/required"}),
        ({"messages": [{"role": "user"}], "response_format": {}, "client_tools": [{"name": "a"}]},
         {"/messages/0/text", "/response_format/type", "/client_tools/0/description"}),
    ],
)  # fmt: skip
async def test_every_fault_of_a_request_is_named_at_once(body: dict[str, Any], paths: set[str]) -> None:
    """422 with a JSON pointer for each, and nothing is run."""
    async with house() as here:
        answer = await here.http.ask("POST", PATH, json=body)
        assert answer.status == 422, answer.body
        assert {fault["path"] for fault in answer.json["errors"]} == paths
        assert (await here.asked(), await here.history()) == (0, [])


@pytest.mark.parametrize("path", ["/v1/runs/{id}", "/v1/runs/{id}/steps"])
@pytest.mark.parametrize("run_id", ["run-1768-0123456789abcdef", "run-1-2", "nonsense"])
async def test_a_run_that_is_not_is_404(path: str, run_id: str) -> None:
    """Whatever its id looks like; cancelling it too."""
    async with house() as here:
        assert (await here.http.ask("GET", path.format(id=run_id))).status == 404
        assert (await here.http.ask("POST", f"/v1/runs/{run_id}/cancel")).status == 404


async def test_an_agent_that_is_not_is_404() -> None:
    """For every way to ask it."""
    async with house() as here:
        for fields in ({}, {"dry_run": True}, {"background": True}, {"stream": "tokens"}):
            body = {"messages": [{"role": "user", "text": "hello"}], **fields}
            assert (await here.http.ask("POST", "/v1/agents/nobody/messages", json=body)).status == 404


async def test_a_store_that_is_away_is_503(tmp_path: Path) -> None:
    """With a time to try again; a run under way waits for it, and is known meanwhile."""
    async with AsyncExitStack() as lasting, AsyncExitStack() as passing:
        url = await passing.enter_async_context(server(tmp_path))
        store = await lasting.enter_async_context(aclosing(await connect(url, shards=16, allow_volatile=True)))
        here = await lasting.enter_async_context(house(store))
        await here.say("!say One.")
        await passing.aclose()
        for path in (PATH, PATH.replace("bob", "eve")):
            answer = await here.http.ask("POST", path, json={"messages": [{"role": "user", "text": "hello"}]})
            assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        assert await here.asked() == 1


async def test_words_that_wait_for_a_turn_are_answered_though_the_store_went_away(tmp_path: Path) -> None:
    """A store that is away holds turns up, not words: they are kept, and stored when it is back."""
    async with AsyncExitStack() as lasting, AsyncExitStack() as passing:
        url = await passing.enter_async_context(server(tmp_path, "--appendonly", "yes"))
        store = await lasting.enter_async_context(aclosing(await connect(url, shards=16, allow_volatile=True)))
        here = await lasting.enter_async_context(house(store))
        await here.say("!first_token_ms 600 !say One.", background=True)
        behind = await here.say("!say Two.", background=True)
        runs = here.place.gateway._runs
        run = runs._live[behind["run_id"]]
        await passing.aclose()

        async def answered() -> bool:
            return await here.asked() == 2

        await until(answered, "it was answered")
        await passing.enter_async_context(server(tmp_path, "--appendonly", "yes"))
        await run.done.wait()
        assert (await here.record(behind["run_id"]))["status"] == "completed"
        assert [item["text"] for item in await here.history()][1::2] == ["One.", "Two."]


async def test_more_runs_than_are_taken_are_refused() -> None:
    """503 with a time to try again, once a user has 256 under way; another user is answered, and later this one."""
    async with house() as here:
        bodies = {"messages": [{"role": "user", "text": "!call hold"}], "background": True}
        answers = [await here.http.ask("POST", PATH, json=bodies) for _ in range(258)]
        assert [answer.status for answer in answers] == [202] * 256 + [503] * 2
        assert answers[-1].headers["retry-after"] == "2"
        assert (await here.say("!say Hello.", path=PATH.replace("bob", "eve")))["status"] == "completed"
        assert (await here.cancel(answers[255].json["run_id"]))["status"] == "cancelled"
        assert (await here.say("!say One.", background=True))["status"] == "running"
