"""Runs that wait for their client: approvals and results in any mix, repeated, mistaken, too late or at once."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.api.runs import PATH, ZOOM, House, house, spoken
from tests.stores import until
from voice_agent.store.base import Pair

BOTH = '!call erase {"note":"a"} !call zoom !then !say Done.'


def pending(answer: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """By the tools' names: the call, and what it waits for."""
    assert (answer["status"], answer["reason"]) == ("requires_approval", "requires_approval")
    assert answer["ended_at"] is None
    return {call["name"]: (call["call_id"], call["waits_for"]) for call in answer["pending"]}


def returns(*results: tuple[str, Any]) -> dict[str, Any]:
    """A message with these calls' results."""
    return {"role": "tool", "returns": [{"call_id": call_id, "output": output} for call_id, output in results]}


def approvals(*decisions: tuple[str, bool]) -> dict[str, Any]:
    """A message with these decisions."""
    return {"role": "approval", "approvals": [{"call_id": call, "approved": said} for call, said in decisions]}


async def test_any_mix_of_answers_goes_on_as_the_same_run() -> None:
    """One run and one turn, from the words to the log, which is empty until the turn has ended."""
    async with house() as here:
        asked = await here.say(BOTH)
        waits = pending(asked)
        assert [kind for _, kind in waits.values()] == ["decision", "result"]
        assert asked["pending"][0]["arguments"] == {"note": "a"}
        assert await here.record(asked["run_id"]) == asked
        assert await here.history() == []
        ended = await here.send(approvals((waits["erase"][0], True)), returns((waits["zoom"][0], {"zoom": 3})))
        assert (ended["run_id"], ended["turn_id"]) == (asked["run_id"], asked["turn_id"])
        assert (ended["status"], ended["reason"], ended["pending"]) == ("completed", "end_turn", [])
        assert here.hands.erased == ["a"]
        assert [item["text"] for item in ended["messages"]] == [BOTH, "", "erased a", '{"zoom":3}', "Done."]
        assert await here.history() == ended["messages"]
        assert ended["usage"]["steps"] == 2
        first, second = await here.steps(ended["run_id"])
        assert sorted(tool["name"] for tool in first["tools"]) == ["erase", "zoom"]
        assert (first["index"], second["index"]) == (0, 1)
        await here.say("!say Yes.")


async def test_one_answer_at_a_time_leaves_the_others_pending() -> None:
    """The run waits again, with what is still missing, and the provider is asked only when nothing is."""
    async with house() as here:
        waits = pending(await here.say(BOTH))
        still = pending(await here.send(returns((waits["zoom"][0], "near"))))
        assert still == {"erase": waits["erase"]}
        assert await here.asked() == 1
        ended = await here.send(approvals((waits["erase"][0], False)))
        assert [item["text"] for item in ended["messages"][1:4]] == ["", "Denied by a person.", "near"]
        assert (here.hands.erased, ended["status"]) == ([], "completed")


async def test_an_approved_call_of_the_clients_waits_for_its_result_then() -> None:
    """The decision alone runs nothing here."""
    async with house() as here:
        waits = pending(await here.say("!call pay !then !say Paid."))
        assert waits["pay"][1] == "decision"
        assert await here.refused(returns((waits["pay"][0], "5"))) == (
            422,
            {"/messages/0/returns/0/call_id": f"the call {waits['pay'][0]!r} waits for a decision first"},
        )
        assert pending(await here.decide((waits["pay"][0], True))) == {"pay": (waits["pay"][0], "result")}
        assert spoken(await here.send(returns((waits["pay"][0], "5")))) == ["Paid."]


async def test_words_while_calls_are_pending_are_refused() -> None:
    """409 that names the run and its calls, in every way to ask; nothing changes."""
    async with house() as here:
        asked = await here.say(BOTH)
        for fields in ({}, {"stream": "tokens"}, {"background": True}, {"dry_run": True}):
            status, detail = await here.refused({"role": "user", "text": "hello"}, **fields)
            assert status == 409
            for named in (asked["run_id"], *(call["call_id"] for call in asked["pending"])):
                assert named in detail
        assert await here.record(asked["run_id"]) == asked
        assert (await here.say("!say Hello.", path=PATH.replace("bob", "eve")))["status"] == "completed"


async def test_unknown_calls_are_refused_with_those_that_are_pending() -> None:
    """422 with a pointer for each; the good answer among them is not taken."""
    async with house() as here:
        waits = pending(await here.say(BOTH))
        status, faults = await here.refused(
            approvals(("call_x", True), (waits["erase"][0], True)), returns(("call_y", 1))
        )
        assert (status, set(faults)) == (422, {"/messages/0/approvals/0/call_id", "/messages/1/returns/0/call_id"})
        for message in faults.values():
            assert all(call_id in message for call_id, _ in waits.values())
        assert here.hands.erased == []


async def test_answers_where_nobody_waits_are_refused() -> None:
    """409, before any run, and to calls of a turn that never waited."""
    async with house() as here:
        assert await here.refused(returns(("call_x", 1))) == (409, "no run of this user waits for an answer")
        ended = await here.say("!call get_time !then !say Late.")
        status, _ = await here.refused(returns((ended["messages"][2]["tool_call_id"], 1)))
        assert status == 409


async def test_answers_to_what_no_run_asked_for_do_not_wait_for_one_that_goes_on() -> None:
    """It may go on for long, and will not know of them at its end either."""
    async with house() as here:
        begun = await here.say("!call hold", background=True)
        async with asyncio.timeout(10):
            refused = await here.refused(returns(("call_x", 1)), approvals(("call_y", True)))
        assert refused == (409, "no run of this user waits for an answer")
        assert (await here.cancel(begun["run_id"]))["status"] == "cancelled"


async def test_the_same_answers_again_do_nothing_twice() -> None:
    """The run's present record is the answer, while it waits for others and after its end, in every way to ask."""
    async with house() as here:
        waits = pending(await here.say(BOTH))
        erase, zoom = approvals((waits["erase"][0], True)), returns((waits["zoom"][0], "near"))
        again = [await here.send(erase) for _ in range(3)]
        assert again[0] == again[1] == again[2]
        ended = await here.send(zoom)
        for message in (erase, zoom):
            assert await here.send(message) == ended
        assert await here.send(erase, zoom, background=True) == {"run_id": ended["run_id"], "status": "completed"}
        assert await here.streamed(zoom, stream="tokens") == [("run.ended", ended)]
        assert (here.hands.erased, await here.asked()) == (["a"], 2)
        assert await here.history() == ended["messages"]


async def test_a_second_decision_comes_too_late() -> None:
    """The first holds; both in one request are refused."""
    async with house() as here:
        call_id = pending(await here.say('!call erase {"note":"a"} !then !say Done.'))["erase"][0]
        status, faults = await here.refused(approvals((call_id, True), (call_id, False)))
        assert (status, set(faults)) == (422, {"/messages/0/approvals/1/call_id"})
        ended = await here.send(approvals((call_id, False), (call_id, False)))
        assert await here.decide((call_id, True)) == ended
        assert here.hands.erased == []


async def test_the_same_answers_at_once_run_a_tool_once() -> None:
    """All get the same end."""
    async with house() as here:
        call_id = pending(await here.say('!call erase {"note":"a"} !then !say Done.'))["erase"][0]
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(here.decide((call_id, True))) for _ in range(5)]
        first, *others = [task.result() for task in asked]
        assert all(other == first for other in others)
        assert (first["status"], here.hands.erased, await here.asked()) == ("completed", ["a"], 2)


async def test_different_answers_at_once_are_all_taken() -> None:
    """None is lost for coming while the run goes on with the other."""
    async with house() as here:
        waits = pending(await here.say(BOTH))
        async with asyncio.TaskGroup() as tasks:
            one = tasks.create_task(here.decide((waits["erase"][0], True)))
            two = tasks.create_task(here.send(returns((waits["zoom"][0], "near"))))
        statuses = sorted((one.result()["status"], two.result()["status"]))
        assert statuses == ["completed", "requires_approval"]
        assert here.hands.erased == ["a"]


async def test_answers_to_another_gateway_go_on_there() -> None:
    """Same run, same turn; the same answers to the first are answered with its record, and both at once run it once."""
    async with house() as here, house(here.place.store, agent={"id": "other"}) as there:
        for number in range(3):
            call_id = pending(await here.say('!call erase {"note":"a"} !then !say Done.'))["erase"][0]
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(place.decide((call_id, True))) for place in (there, here)]
            one, two = [task.result() for task in asked]
            assert one == two
            assert one["status"] == "completed"
            assert len(here.hands.erased + there.hands.erased) == number + 1
            assert await here.record(one["run_id"]) == await there.record(one["run_id"]) == one


async def test_what_was_asked_at_first_holds_when_the_run_goes_on() -> None:
    """The client's own tools, the form of the last words, the steps; on another gateway too."""
    pan = ZOOM | {"name": "pan"}
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    async with house() as here, house(here.place.store, agent={"id": "other"}) as there:
        words = '!call pan !then !call pan !then !say {"n":1}'
        asked = await here.say(words, client_tools=[pan], response_format=schema, max_steps=3, trace=True)
        asked = await there.send(returns((pending(asked)["pan"][0], "left")))
        ended = await there.send(returns((pending(asked)["pan"][0], "right")))
        assert (ended["status"], ended["reason"]) == ("completed", "max_steps")
        assert spoken(ended) == ['{"n":1}']
        assert (await there.last_request())["response_format"]["type"] == "json_schema"
        assert [len(step["traces"]) for step in await here.steps(ended["run_id"])] == [1, 1, 1]


@pytest.mark.parametrize("stream", ["tokens", "steps"])
async def test_a_stream_ends_with_the_pending_calls_and_another_goes_on(stream: str) -> None:
    """No message is told twice, no event is missing."""
    async with house() as here:
        first = await here.events(BOTH, stream)
        assert first[-1][0] == "run.ended"
        waits = pending(first[-1][1])
        answers = (approvals((waits["erase"][0], True)), returns((waits["zoom"][0], "near")))
        second = await here.streamed(*answers, stream=stream)
        kinds = [kind for kind, _ in [*first[:-1], *second]]
        if stream == "steps":
            told = [data["text"] for kind, data in [*first, *second] if kind == "message"]
            assert told == [item["text"] for item in second[-1][1]["messages"][1:]]
        else:
            assert kinds.count("turn.started") == kinds.count("approval.request") == kinds.count("tool.request") == 1
            assert kinds.count("turn.ended") == 2
            assert kinds.count("tool.finished") == 2


async def test_answers_given_as_soon_as_they_are_asked_for_are_taken() -> None:
    """Before the run that asks for them has come to wait: another tool is still at work."""
    async with house() as here, aiohttp.ClientSession() as session:
        words = {"role": "user", "text": '!call save !call erase {"note":"a"} !then !say Done.'}
        body = {"messages": [words], "stream": "tokens", "include": ["approval.request"]}
        async with session.post(here.place.base + PATH, json=body) as stream, asyncio.TaskGroup() as tasks:
            assert await stream.content.readline() == b"event: approval.request\n"
            asked = json.loads((await stream.content.readline()).removeprefix(b"data: "))
            decided = tasks.create_task(here.decide((asked["call_id"], True)))
            await until(lambda: _requests(here, 2), "the decision is there")
            here.hands.saved.set()
        assert decided.result()["status"] == "completed"
        assert here.hands.erased == ["a"]


async def _requests(here: House, count: int) -> bool:
    return here.place.gateway._conversations._open[Pair("ann", "bob")].sessions >= count


async def test_forgetting_a_user_forgets_the_run_that_waits() -> None:
    """Its record is gone, answers find nobody, and the user begins anew."""
    async with house() as here:
        asked = await here.say(BOTH)
        assert (await here.http.ask("DELETE", "/v1/agents/ann/memory?user=bob")).status == 204
        assert (await here.http.ask("GET", f"/v1/runs/{asked['run_id']}")).status == 404
        assert (await here.refused(approvals((asked["pending"][0]["call_id"], True))))[0] == 409
        assert (await here.http.ask("POST", f"/v1/runs/{asked['run_id']}/cancel")).status == 404
        assert spoken(await here.say("!say Hello.")) == ["Hello."]
        assert len(await here.history()) == 2
