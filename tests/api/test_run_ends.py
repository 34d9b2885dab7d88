"""Runs that do not end by themselves: cancelled wherever they stand, drained, or killed with their process."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.api.runs import NEVER, House, house, spoken
from tests.api.test_run_answers import BOTH, approvals, pending
from tests.processes import eventually, served
from tests.stores import fresh_store, until
from voice_agent.conversations import Conversations
from voice_agent.recovery import close_orphans
from voice_agent.store.base import Owner

SPEAKING = "!say One two three. !fault stall"


async def check_cancelled(here: House, run_id: str, *texts: str) -> None:
    """It ended so, for good: in its record, in the log, for whoever cancels it again; and the user can go on."""
    record = await here.record(run_id)
    assert (record["status"], record["reason"], record["pending"]) == ("cancelled", "cancelled", [])
    assert record["ended_at"] is not None
    assert [item["text"] for item in record["messages"]] == list(texts)
    assert await here.history() == record["messages"]
    assert await here.cancel(run_id) == record
    after = await here.say("!say Hello.")
    assert (spoken(after), after["status"]) == (["Hello."], "completed")
    assert await here.cancel(after["run_id"]) == after


async def test_cancelled_before_a_word_of_the_model() -> None:
    """The provider's connection is closed, and whoever waits for the run is answered."""
    async with house() as here:
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(here.say(NEVER))
            await until(lambda: _asked(here), "the provider is asked")
            (run_id,) = here.place.gateway._runs._live
            cancelled = await here.cancel(run_id)
        assert asked.result() == cancelled
        await until(lambda: _left(here), "the provider is left")
        await check_cancelled(here, run_id, NEVER, "")
        (step,) = await here.steps(run_id)
        assert (step["stop"], step["error"]) == (None, None)


async def test_cancelled_in_the_models_words() -> None:
    """What was said is kept, and counts as heard."""
    async with house() as here:
        begun = await here.say(SPEAKING, background=True)
        run = here.place.gateway._runs._live[begun["run_id"]]
        await until(lambda: _spoke(run), "it speaks")
        cancelled = await here.cancel(begun["run_id"])
        said = cancelled["messages"][-1]
        assert said["text"]
        assert said["heard"] == said["text"]
        await check_cancelled(here, begun["run_id"], SPEAKING, said["text"])


async def test_cancelled_in_a_tool() -> None:
    """The tool is stopped at once, and its call has a result; asked twice at once, both get the same."""
    async with house() as here:
        begun = await here.say("!call hold", background=True)
        await until(lambda: _holds(here), "the tool is under way")
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(here.cancel(begun["run_id"])) for _ in range(2)]
        assert here.hands.stopped == 1
        one, two = [task.result() for task in asked]
        assert one == two
        await check_cancelled(here, begun["run_id"], "!call hold", "", one["messages"][-1]["text"])
        assert one["messages"][-1]["text"].startswith("Cancelled")


async def test_what_runs_on_after_a_cancel_is_known_in_the_turns_to_come() -> None:
    """The run has ended by then; the tool's outcome is a note behind it."""
    async with house() as here:
        begun = await here.say("!call save", background=True)
        await until(lambda: _saves(here), "the tool is under way")
        cancelled = await here.cancel(begun["run_id"])
        assert cancelled["messages"][-1]["text"].startswith("Still running")
        here.hands.saved.set()
        await until(lambda: _noted(here), "the outcome is noted")
        assert (await here.history())[-1]["text"].endswith("has finished: saved")
        assert await here.record(begun["run_id"]) == cancelled


async def test_cancelled_while_it_waits_for_the_client() -> None:
    """Its calls have results, late answers are answered with the record, and nothing runs."""
    async with house() as here:
        asked = await here.say(BOTH)
        waits = pending(asked)
        cancelled = await here.cancel(asked["run_id"])
        assert [item["role"] for item in cancelled["messages"]] == ["user", "assistant", "tool", "tool"]
        assert all("ancelled" in item["text"] for item in cancelled["messages"][2:])
        assert await here.send(approvals((waits["erase"][0], True))) == cancelled
        assert here.hands.erased == []
        texts = [item["text"] for item in cancelled["messages"]]
        await check_cancelled(here, asked["run_id"], *texts)


async def test_cancelled_before_its_turn_came() -> None:
    """The turn before goes on, and these words are kept without an answer."""
    async with house() as here:
        first = await here.say("!call hold", background=True)
        await until(lambda: _holds(here), "the tool is under way")
        second = await here.say("!say Two.", background=True)
        cancelled = await here.cancel(second["run_id"])
        assert [item["text"] for item in cancelled["messages"]] == ["!say Two."]
        assert (cancelled["status"], cancelled["usage"]) == ("cancelled", None)
        assert (await here.record(first["run_id"]))["status"] == "running"
        await here.cancel(first["run_id"])
        assert await here.asked() == 1
        assert {item["turn_id"] for item in await here.history()} == {
            (await here.record(run["run_id"]))["turn_id"] for run in (first, second)
        }


async def test_words_behind_a_run_that_comes_to_wait_are_refused() -> None:
    """They were let in while nobody waited: 409 all the same, and in the background a record that says so."""
    async with house() as here:
        waiting = await here.say('!first_token_ms 300 !call erase {"note":"a"}', background=True)
        behind = await here.say("!say Two.", background=True)
        status, detail = await here.refused({"role": "user", "text": "!say Three."})
        assert (status, waiting["run_id"] in detail) == (409, True)
        await until(lambda: _is(here, behind["run_id"], "failed"), "it is refused")
        assert (await here.record(behind["run_id"]))["reason"] == "error"
        await here.cancel(waiting["run_id"])
        assert "!say Two." not in [item["text"] for item in await here.history()]


@pytest.mark.parametrize("words", [NEVER, "!call hold"])
async def test_cancelled_from_another_gateway(words: str) -> None:
    """Its word reaches the one that runs it."""
    async with house() as here, house(here.place.store, agent={"id": "other"}) as there:
        begun = await here.say(words, background=True)
        assert (await there.record(begun["run_id"]))["status"] == "running"
        cancelled = await there.cancel(begun["run_id"])
        assert cancelled["status"] == "cancelled"
        assert cancelled == await here.record(begun["run_id"])
        assert here.hands.held == here.hands.stopped


async def test_a_waiting_run_is_cancelled_from_another_gateway() -> None:
    """It is nobody's, so that anybody closes it."""
    async with house() as here, house(here.place.store, agent={"id": "other"}) as there:
        asked = await here.say(BOTH)
        cancelled = await there.cancel(asked["run_id"])
        await check_cancelled(here, asked["run_id"], *[item["text"] for item in cancelled["messages"]])


async def test_a_run_that_was_taken_from_its_gateway_ended_as_the_log_says() -> None:
    """The gateway stood still for longer than its lease, and another closed its turn: what it has to say is refused."""
    async with house() as here:
        begun = await here.say("!call hold", background=True)
        await until(lambda: _holds(here), "the tool is under way")
        gateway = here.place.gateway
        await gateway._store.beat(Owner(gateway._owner.slot, "another life"), 600_000)
        assert await close_orphans(gateway._store, Conversations(gateway._store, gateway._memory), 1.0) == 1
        await gateway._store.beat(gateway._owner, 600_000)
        cut = await here.cancel(begun["run_id"])
        assert (cut["status"], cut["reason"]) == ("failed", "interrupted")
        await until(lambda: _forgotten(here), "the gateway let go of it")
        record = await here.record(begun["run_id"])
        assert (record["status"], record["error"]) == ("failed", "the process that ran it died")
        assert record["messages"] == await here.history()


async def test_two_runs_that_come_to_wait_at_once() -> None:
    """In two gateways that know nothing of each other: one waits, the other is cancelled, and the history is whole."""
    async with house() as here, house(here.place.store, agent={"id": "other"}) as there:
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(each.say(f"!first_token_ms 200 {BOTH}")) for each in (here, there)]
        answers = {task.result()["status"]: task.result() for task in asked}
        assert set(answers) == {"requires_approval", "cancelled"}
        cut = answers["cancelled"]
        assert cut["error"] == "another turn of this user waits for its client"
        assert [item["role"] for item in cut["messages"]] == ["user", "assistant", "tool", "tool"]
        assert await here.history() == cut["messages"]
        waits = pending(answers["requires_approval"])
        results = {"role": "tool", "returns": [{"call_id": waits["zoom"][0], "output": "near"}]}
        assert (await here.send(approvals((waits["erase"][0], True)), results))["status"] == "completed"


async def test_a_gateway_that_stops_lets_runs_end_and_cancels_those_that_do_not() -> None:
    """Each has its record, one that waits goes on elsewhere."""
    async with fresh_store() as store:
        async with house(store) as here:
            quick = await here.say("!first_token_ms 300 !say Done.", background=True)
            slow = await here.say(NEVER, path="/v1/agents/ann/messages?user=eve", background=True)
            waiting = await here.say(BOTH, path="/v1/agents/ann/messages?user=kim")
        async with house(store, agent={"id": "other"}) as there:
            assert spoken(await there.record(quick["run_id"])) == ["Done."]
            cut = await there.record(slow["run_id"])
            assert (cut["status"], cut["error"]) == ("cancelled", "the gateway that ran it was stopped")
            assert await there.record(waiting["run_id"]) == waiting


async def test_a_killed_gateway_leaves_its_runs_failed_and_the_history_whole(tmp_path: Path) -> None:
    """SIGKILL in the model's reply and in the wait for the client: the one is interrupted, the other goes on."""
    rules = [{"type": "requires_approval", "tool": "get_time"}]
    agent = {"id": "ann", "name": "Ann", "tools": ["get_time"], "tool_rules": rules}
    async with AsyncExitStack() as stack:
        product = await stack.enter_async_context(served(tmp_path / "data", VOICE_LEASE_MS="1000"))
        http = await stack.enter_async_context(aiohttp.ClientSession(product.url))
        await _post(http, "/v1/agents", agent)
        first = await _say(http, "ann", "!say One.")
        open_run = await _say(http, "ann", NEVER, background=True)
        waiting = await _say(http, "eve", "!call get_time !then !say Late.")
        killed = product.gateway()
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: _replaced(product, killed), "another gateway took its place")
        await product.until_ready()
        record = await _get(http, f"/v1/runs/{open_run['run_id']}")
        assert (record["status"], record["reason"]) == ("failed", "interrupted")
        assert record["error"] == "the process that ran it died"
        assert await _get(http, f"/v1/runs/{first['run_id']}") == first
        after = await _say(http, "ann", "!say Two.")
        texts = [item["text"] for item in (await _get(http, "/v1/agents/ann/messages?user=ann"))["items"]]
        assert list(reversed(texts)) == ["!say One.", "One.", NEVER, "", "!say Two.", "Two."]
        assert after["status"] == "completed"
        body = {"messages": [approvals((waiting["pending"][0]["call_id"], True))]}
        gone_on = await _post(http, "/v1/agents/ann/messages?user=eve", body)
        assert (gone_on["run_id"], spoken(gone_on)) == (waiting["run_id"], ["Late."])


async def _post(http: aiohttp.ClientSession, path: str, body: Any) -> Any:
    async with http.post(path, json=body) as answer:
        assert answer.status in (200, 201, 202), await answer.text()
        return await answer.json()


async def _get(http: aiohttp.ClientSession, path: str) -> Any:
    async with http.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def _say(http: aiohttp.ClientSession, user: str, text: str, **fields: Any) -> Any:
    body = {"messages": [{"role": "user", "text": text}], **fields}
    return await _post(http, f"/v1/agents/ann/messages?user={user}", body)


async def _replaced(product: Any, killed: int) -> bool:
    return product.gateway() not in (None, killed)


async def _asked(here: House) -> bool:
    return await here.asked() == 1


async def _left(here: House) -> bool:
    return await here.closed_early() == 1


async def _forgotten(here: House) -> bool:
    return not here.place.gateway._runs._live


async def _spoke(run: Any) -> bool:
    return run._turn is not None and bool(run._turn.ledger.generated)


async def _saves(here: House) -> bool:
    return here.hands.saving > 0


async def _noted(here: House) -> bool:
    return bool((await here.history())[-1]["role"] == "context")


async def _holds(here: House) -> bool:
    return here.hands.held > 0


async def _is(here: House, run_id: str, status: str) -> bool:
    return bool((await here.record(run_id))["status"] == status)
