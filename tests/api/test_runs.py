"""Runs over HTTP: a turn blocking, streamed, in the background or dry, its record, and how it may end."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.api.runs import PATH, Hands, House, house, spoken
from tests.stores import until
from voice_agent.store.redis_memory import RedisMemory


async def test_a_blocking_run_answers_what_the_log_and_its_record_hold() -> None:
    """Messages with the log's ids, usage, a latency that adds up, and no pending call."""
    async with house() as here:
        answer = await here.say("!call get_time !then !say It is late.")
        assert (answer["status"], answer["reason"], answer["pending"], answer["error"]) == (
            "completed",
            "end_turn",
            [],
            None,
        )
        assert answer["messages"] == await here.history()
        assert [item["role"] for item in answer["messages"]] == ["user", "assistant", "tool", "assistant"]
        assert spoken(answer) == ["It is late."]
        assert answer["messages"][-1]["heard"] == "It is late."
        assert "utterance" not in answer["messages"][1]["tool_calls"][0]
        assert answer["usage"]["steps"] == 2
        assert answer["latency"]["total"] == pytest.approx(
            sum(part["ms"] for part in answer["latency"]["parts"]), abs=0.01
        )
        assert await here.record(answer["run_id"]) == answer
        again = await here.say("!say Yes.")
        assert again["run_id"] != answer["run_id"]
        assert (await here.history())[4:] == again["messages"]


async def test_several_words_of_the_user_are_one_turn() -> None:
    """Each is a message of its own, in order."""
    async with house() as here:
        answer = await here.send({"role": "user", "text": "First."}, {"role": "user", "text": "!say Both."})
        assert [item["text"] for item in answer["messages"]] == ["First.", "!say Both.", "Both."]
        assert answer["usage"]["steps"] == 1


async def test_each_step_has_its_own_usage_times_and_stop_reason() -> None:
    """A step with a tool, then one with words."""
    async with house() as here:
        answer = await here.say("!call get_time !then !say It is late.")
        first, second = await here.steps(answer["run_id"])
        call_id = answer["messages"][2]["tool_call_id"]
        assert [(tool["name"], tool["call_id"]) for tool in first["tools"]] == [("get_time", call_id)]
        assert (first["stop"], second["stop"], second["tools"]) == ("tool_calls", "stop", [])
        assert (first["index"], second["index"]) == (0, 1)
        assert {first["model"], second["model"]} == {"openai/m"}
        assert first["usage"]["output_tokens"] + second["usage"]["output_tokens"] == answer["usage"]["output_tokens"]
        assert all(step["first_token_ms"] <= step["model_ms"] for step in (first, second))
        assert all(step["error"] is None and step["traces"] == [] for step in (first, second))


async def test_tokens_are_the_protocols_events_and_the_answer_is_the_last() -> None:
    """In the order of a live turn, numbered, and with the very answer that a blocking run gives."""
    async with house() as here:
        events = await here.events("!call get_time !then !say It is late.", "tokens")
        kinds = [kind for kind, _ in events]
        told = [kind for n, kind in enumerate(kinds) if n == 0 or kind != kinds[n - 1]]
        assert told == [
            "turn.started", "tool.started", "tool.finished", "speech.delta", "turn.spoken", "turn.ended", "run.ended",
        ]  # fmt: skip
        assert "".join(data["text"] for kind, data in events if kind == "speech.delta") == "It is late."
        assert [data["seq"] for kind, data in events[:-1]] == list(range(1, len(events)))
        assert all(data["type"] == kind for kind, data in events[:-1])
        answer = events[-1][1]
        assert answer == await here.record(answer["run_id"])


async def test_steps_are_messages_each_told_once() -> None:
    """What the user said is no news, and all else comes in order."""
    async with house() as here:
        events = await here.events("!call get_time !then !say It is late.", "steps")
        assert [kind for kind, _ in events] == ["message", "message", "message", "run.ended"]
        told = [(data["role"], data["text"]) for kind, data in events if kind == "message"]
        assert told == [(item["role"], item["text"]) for item in events[-1][1]["messages"][1:]]


@pytest.mark.parametrize(
    ("stream", "include", "kinds"),
    [
        ("tokens", ["turn.ended", "tool.started"], ["tool.started", "turn.ended", "run.ended"]),
        ("tokens", [], ["run.ended"]),
        ("steps", ["turn.ended"], ["run.ended"]),
        ("steps", ["message"], ["message", "message", "message", "run.ended"]),
    ],
)
async def test_include_leaves_only_the_named_events(stream: str, include: list[str], kinds: list[str]) -> None:
    """And the run's end."""
    async with house() as here:
        events = await here.events("!call get_time !then !say It is late.", stream, include=include)
        assert [kind for kind, _ in events] == kinds


async def test_a_run_in_the_background_is_answered_at_once() -> None:
    """202 with where it is; its record is there from the start and comes to its end."""
    async with house() as here:
        answer = await here.http.ask(
            "POST", PATH, json={"messages": [{"role": "user", "text": "!call hold"}], "background": True}
        )
        run_id = answer.json["run_id"]
        assert (answer.status, answer.json) == (202, {"run_id": run_id, "status": "running"})
        assert answer.headers["location"] == f"/v1/runs/{run_id}"
        await until(lambda: _holds(here.hands), "the tool is under way")
        record = await here.record(run_id)
        assert (record["status"], record["background"], record["ended_at"]) == ("running", True, None)
        other = await here.say("!say Done.", path=PATH.replace("bob", "eve"), background=True)
        await until(lambda: _is(here, other["run_id"], "completed"), "it is done")
        assert spoken(await here.record(other["run_id"])) == ["Done."]


async def test_a_dry_run_shows_the_request_that_a_run_would_send() -> None:
    """To the byte, but for the words; nothing is sent, stored or counted."""
    async with house() as here:
        await here.say("!say One.")
        asked, before = await here.asked(), await here.history()
        preview = await here.say("!say Two.", dry_run=True, max_steps=1)
        assert (preview["method"], preview["url"]) == ("POST", f"{here.provider}/v1/chat/completions")
        assert "sk-of-this-test" not in json.dumps(preview)
        assert (await here.asked(), await here.history()) == (asked, before)
        await here.say("!say Two.", max_steps=1)
        assert await here.last_request() == preview["body"]


@pytest.mark.parametrize(
    ("words", "agent", "reason", "status"),
    [
        ("!say Yes.", {}, "end_turn", "completed"),
        ("!call end_call", {"tools": ["end_call"], "tool_rules": []}, "tool_rule", "completed"),
        ("!call get_time !then !call get_time", {"max_steps": 2}, "max_steps", "completed"),
        ("!say One two. !fault length", {}, "max_tokens", "completed"),
        ("!say One two. !fault content_filter", {}, "content_filter", "completed"),
        ("!say One two. !fault refusal", {}, "refusal", "completed"),
        ("!fault 500", {}, "llm_api_error", "failed"),
        ("!say One two. !fault cut", {}, "llm_api_error", "failed"),
        ("!fault overflow", {}, "context_window_overflow", "failed"),
        (
            "!say No. !then !say No.",
            {"tools": ["get_time"], "tool_rules": [{"type": "run_first", "tool": "get_time"}]},
            "end_turn",
            "completed",
        ),
    ],
)
async def test_every_reason_has_its_status(words: str, agent: dict[str, Any], reason: str, status: str) -> None:
    """HTTP 200 all the same: the turn is in the log, and the error says what failed."""
    async with house(agent=agent) as here:
        answer = await here.say(words)
        assert (answer["reason"], answer["status"]) == (reason, status)
        assert (answer["error"] is not None) == (status == "failed")
        assert answer["messages"] == await here.history()
        assert await here.record(answer["run_id"]) == answer
        assert (await here.steps(answer["run_id"]))[-1]["error"] == (answer["error"] if status == "failed" else None)


async def test_the_steps_of_a_run_are_limited_by_the_request() -> None:
    """Beneath the agent's own limit."""
    async with house() as here:
        answer = await here.say("!call get_time !then !call get_time !then !say Done.", max_steps=2)
        assert (answer["reason"], answer["usage"]["steps"]) == ("max_steps", 2)


FORMAT = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ('!say {"n": 7}', None),
        ("!say seven", "it is no JSON"),
        ("!say [7]", "no JSON object"),
        ('!say {"n": "x"}', "n: "),
    ],
)
async def test_the_last_words_fit_the_response_format(words: str, fault: str | None) -> None:
    """Where they do not, the run failed, and its words are kept."""
    async with house() as here:
        answer = await here.say(words, response_format=FORMAT)
        assert spoken(answer) == [words.removeprefix("!say ")]
        assert answer["messages"] == await here.history()
        if fault is None:
            assert (answer["status"], answer["reason"], answer["error"]) == ("completed", "end_turn", None)
        else:
            assert (answer["status"], answer["reason"]) == ("failed", "invalid_llm_response")
            assert fault in answer["error"]
        sent = (await here.last_request())["response_format"]
        assert sent["json_schema"]["schema"] == FORMAT


async def test_traces_hold_the_exchanges_without_secrets() -> None:
    """Only where they are asked for: the request as sent, the answer as it came, all secrets masked."""
    secret = "hunter2-of-ann"
    async with house(agent={"secrets": {"CODE": secret}}) as here:
        plain = await here.say("!say One.")
        assert [step["traces"] for step in await here.steps(plain["run_id"])] == [[]]
        answer = await here.say(f"!call get_time !then !say The code is {secret}.", trace=True)
        steps = await here.steps(answer["run_id"])
        assert [len(step["traces"]) for step in steps] == [1, 1]
        (trace,) = steps[1]["traces"]
        assert trace["status"] == 200
        assert trace["response"].startswith("data: ")
        assert trace["request"]["messages"][-1]["role"] == "tool"
        assert "The code is ***." in json.dumps(trace["request"])
        assert secret not in json.dumps(steps)
        assert secret not in json.dumps(await here.say("!say Two.", dry_run=True))
        assert "sk-of-this-test" not in json.dumps(steps)


async def test_every_run_is_traced_where_the_gateway_is_told_so() -> None:
    """VOICE_TRACE; a refusal is an exchange too."""
    async with house(trace=True) as here:
        answer = await here.say("!fault 500")
        (step,) = await here.steps(answer["run_id"])
        assert [trace["status"] for trace in step["traces"]] == [500] * 4  # asked again as often as is worth it


async def test_a_client_that_goes_away_does_not_end_its_run() -> None:
    """It is recorded, and cancelled only by a request for that."""
    async with house() as here:
        body = {"messages": [{"role": "user", "text": "!call hold"}], "stream": "tokens"}
        async with aiohttp.ClientSession() as session:
            answer = await session.post(here.place.base + PATH, json=body)
            assert (await answer.content.readline()) == b"event: turn.started\n"
            answer.close()
        await until(lambda: _holds(here.hands), "the tool is under way")
        assert here.hands.stopped == 0
        (run_id,) = here.place.gateway._runs._live
        assert (await here.record(run_id))["status"] == "running"
        assert (await here.cancel(run_id))["status"] == "cancelled"
        assert here.hands.stopped == 1


async def test_runs_of_one_user_take_turns_with_a_live_session() -> None:
    """A run waits for the live turn, two runs for each other; each sees what was said before."""
    async with house() as here, here.place.call("ann", user="bob") as caller:
        await caller.send("user.text", text="!first_token_ms 300 !say One.", turn_id="t1")
        await caller.until("turn.started")
        async with asyncio.TaskGroup() as tasks:
            two = tasks.create_task(here.say("!say Two."))
            await until(lambda: _queued(here, 1), "the first run is there")
            three = tasks.create_task(here.say("!say Three."))
        await caller.end_of("t1")
        assert [item["text"] for item in await here.history() if item["role"] == "assistant"] == [
            "One.",
            "Two.",
            "Three.",
        ]
        assert two.result()["status"] == three.result()["status"] == "completed"
        heard = [
            message["content"] for message in (await here.last_request())["messages"] if message["role"] == "assistant"
        ]
        assert heard == ["One.", "Two."]


async def test_what_was_said_becomes_memory_when_nothing_more_is_asked() -> None:
    """A job for the sleeptime worker is raised after the agent's idle time, once for all runs until then."""
    async with house(agent={"sleeptime": {"idle_after_s": 0.2}}) as here:
        for text in ("!say One.", "!say Two."):
            await here.say(text)
        await until(lambda: _raised(here), "a job is raised")
        assert [job.reason for job in await RedisMemory(here.place.store).next_jobs("w", 9, 0)] == ["idle"]


async def _raised(here: House) -> bool:
    return bool((await here.http.ask("GET", "/v1/agents/ann/memory?user=bob")).json["pending_jobs"])


async def _holds(hands: Hands) -> bool:
    return hands.held > 0


async def _is(here: Any, run_id: str, status: str) -> bool:
    return bool((await here.record(run_id))["status"] == status)


async def _queued(here: Any, count: int) -> bool:
    return len(here.place.gateway._runs._live) >= count
