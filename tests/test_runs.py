"""The parts of runs: what is kept of one, what a stream of it tells, which answers fit, and what is masked."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.api.run_stream import KEEP_ALIVE_S, MOST_UNREAD, Feed
from tests.calls import SlowStore
from tests.virtual_time import VirtualClock, run
from voice_agent import events as ev
from voice_agent.conversations import Conversations
from voice_agent.messages import Latency, Message, Opaque, ToolCall, Usage
from voice_agent.run_record import MAX_TRACED, RunRecord, Trace, status_of
from voice_agent.runs.account import Account
from voice_agent.runs.answers import Standing, standing
from voice_agent.runs.conforming import fault_in_last_words
from voice_agent.runs.filing import Filing, Order, Unstored
from voice_agent.runs.traces import without_secrets
from voice_agent.store.base import Owner, Pair, TurnRef
from voice_agent.store.recorder import Recorder
from voice_agent.suspension import PendingCall, Suspension
from voice_agent.tools.secrets import Secrets

RECORD = RunRecord("run-1", "ann", "bob", "t1", "running", "here", "1", 100.0)
LATENCY = Latency(None, None, 0.0, 0.0, ())
HELLO = Message("user", "Hello.", 100.0)


def ended(reason: ev.EndReason, *messages: Message, suspension: Suspension | None = None) -> ev.TurnEnded:
    """The end of a turn."""
    return ev.TurnEnded("t1", reason, messages, "", "", Usage(steps=1), LATENCY, suspension=suspension)


def test_a_reply_is_measured_from_request_to_end() -> None:
    """First token, length, usage and reason of each reply; one under way is as long as it has been."""
    account = Account(RECORD)
    account.asked("m", 100.0, 1.0)
    account.first_token(1.25)
    (step,) = account.record(1.5).steps
    assert (step.model_ms, step.first_token_ms, step.stop) == (500.0, 250.0, None)
    account.replied(ev.ModelFinished("tool_calls", Usage(steps=1, output_tokens=7)), 2.0)
    account.returned(2.5)
    account.asked("m", 102.0, 3.0)
    account.replied(ev.ModelFailed("it broke"), 3.5)
    first, second = account.record(9.0).steps
    assert (first.index, first.model_ms, first.stop, first.usage) == (
        0,
        1000.0,
        "tool_calls",
        Usage(1, output_tokens=7),
    )
    assert (second.index, second.started_at, second.model_ms, second.first_token_ms) == (1, 102.0, 500.0, None)
    assert (second.error, second.stop) == ("it broke", None)


def test_only_calls_that_ran_have_a_time() -> None:
    """Refused and denied ones have none; those of the client's count for the step that made them."""
    account = Account(RECORD)
    account.asked("m", 100.0, 1.0)
    account.told(ev.ToolCalled("t1", "c1", "look", {}))
    account.told(ev.ToolFinished("t1", "c1", "look", "ok", 5.0))
    account.told(ev.ToolFinished("t1", "c2", "fly", "error", 0.0))
    account.returned(2.0)
    calls = (PendingCall("c3", "zoom", {}, "result"), PendingCall("c4", "erase", {}, "decision"))
    account.ended(ended("requires_approval", HELLO, suspension=Suspension((), (), (), calls, Usage())), "", 101.0)
    waits = account.record(3.0)
    assert (waits.status, waits.pending, waits.ended_at) == ("requires_approval", calls, None)
    again = Account(waits)
    assert (again.record(4.0).status, again.record(4.0).pending, again.record(4.0).reason) == ("running", (), None)
    again.told(ev.ToolFinished("t1", "c3", "zoom", "ok", 6.0))
    again.told(ev.ToolFinished("t1", "c4", "erase", "denied", 0.0))
    again.asked("m", 103.0, 5.0)
    first, second = again.record(6.0).steps
    assert [(time.name, time.ms) for time in first.tools] == [("look", 5.0), ("zoom", 6.0)]
    assert (second.index, second.tools) == (1, ())


def test_messages_are_kept_as_heard_without_what_only_the_model_reads() -> None:
    """With the ids of the log once they have them; what is settled stays as it is."""
    call = ToolCall("c1", "look", "{}", utterance="One moment.")
    open_step = Message("assistant", "I see.", 101.0, tool_calls=(call,), opaque=(Opaque("m", "r", "secret"),))
    cut = Message("assistant", "Well then", 102.0, heard="Well", interrupted=True)
    account = Account(RECORD)
    account.keep((HELLO, open_step, cut))
    _, first, second = account.record(1.0).messages
    assert (first.heard, first.opaque, first.tool_calls[0].heard) == ("I see.", (), "One moment.")
    assert (second.heard, second.interrupted) == ("Well", True)
    account.ended(ended("end_turn", HELLO, cut), "7-0", 105.0)
    record = account.record(1.0)
    assert [message.id for message in record.messages] == ["7-0.0", "7-0.1"]
    assert (record.status, record.ended_at, record.usage) == ("completed", 105.0, Usage(steps=1))


def test_a_trace_belongs_to_the_reply_that_it_was_made_for() -> None:
    """Also if it comes when the next one has begun."""
    account = Account(RECORD)
    traces = [Trace(msgspec.Raw(b"{}"), status, "") for status in (200, 201)]
    account.asked("m", 100.0, 1.0)
    account.asked("m", 101.0, 2.0)
    account.traced(traces[0])
    account.returned(3.0)
    account.traced(traces[1])
    account.returned(4.0)
    assert [step.traces for step in account.record(5.0).steps] == [(traces[0],), (traces[1],)]


def test_traces_of_a_run_that_goes_on_can_be_left_out() -> None:
    """Those of the steps that were kept before, as when it waited, stay."""
    account, trace = Account(RECORD), Trace(msgspec.Raw(b"{}"), 200, "")
    account.asked("m", 100.0, 1.0)
    account.traced(trace)
    assert [step.traces for step in account.record(2.0, traced=False).steps] == [()]
    again = Account(account.record(2.0))
    again.asked("m", 100.0, 3.0)
    again.traced(trace)
    assert [step.traces for step in again.record(4.0, traced=False).steps] == [(trace,), ()]
    assert [step.traces for step in again.record(4.0).steps] == [(trace,), (trace,)]


def test_every_reason_has_a_status() -> None:
    """What failed is failed, what the model ends by itself is complete."""
    reasons: dict[ev.EndReason, str] = {
        "end_turn": "completed", "interrupted": "failed", "cancelled": "cancelled", "tool_rule": "completed",
        "max_steps": "completed", "max_tokens": "completed", "content_filter": "completed", "refusal": "completed",
        "requires_approval": "requires_approval", "invalid_tool_call": "failed", "invalid_llm_response": "failed",
        "llm_api_error": "failed", "context_window_overflow": "failed", "error": "failed",
    }  # fmt: skip
    assert {reason: status_of(reason) for reason in reasons} == reasons


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ev.ToolReturned("result", "x"), "awaited"),
        (ev.ApprovalGiven("result", True), "taken"),
        (ev.ApprovalGiven("decision", False), "awaited"),
        (ev.ToolReturned("decision", "x"), "early"),
        (ev.ToolReturned("done", "x"), "taken"),
        (ev.ApprovalGiven("before", True), "taken"),
        (ev.ToolReturned("none", "x"), "unknown"),
    ],
)
def test_which_answers_a_waiting_turn_takes(answer: ev.ToolReturned | ev.ApprovalGiven, expected: Standing) -> None:
    """Those that it waits for; it says what it has, what comes too early, and what it does not know."""

    def made(*ids: str) -> Message:
        return Message("assistant", "", 1.0, tool_calls=tuple(ToolCall(call_id, "t", "{}") for call_id in ids))

    calls = (PendingCall("result", "t", {}, "result"), PendingCall("decision", "t", {}, "decision"))
    suspension = Suspension((HELLO,), (made("before"),), (made("result", "decision", "done"),), calls, Usage())
    assert standing(suspension, answer) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"n":1}', None),
        ("", "it is no JSON"),
        pytest.param("[" * 2000, "it is nested too deep", id="deep"),
        ('{"m":1}', "n: gone"),
        ('{"all":1}', "it is wrong"),
        ("1", "it is no JSON object"),
        ("{}", "n: gone"),
    ],
)
def test_last_words_are_one_object_that_fits(text: str, fault: str | None) -> None:
    """The last message of the agent's counts, whatever it said before."""
    said = tuple(Message("assistant", each, 1.0) for each in ("before", text))
    wrong = {"n": None, "all": "arguments: it is wrong"}
    found = fault_in_last_words((HELLO, *said), lambda value: wrong.get(next(iter(value), ""), "n: gone"))
    assert (found is None) == (fault is None)
    assert (found or "").startswith(fault or "")


def test_a_masked_request_stays_json() -> None:
    """As a document where it can be, and else as its text."""
    trace = Trace(msgspec.Raw(b'{"key":"hunter2x","n":4711}'), 200, "hunter2x or 4711")
    masked = without_secrets(trace, Secrets({"A": "hunter2x"}))
    assert (json.loads(bytes(masked.request)), masked.response) == ({"key": "***", "n": 4711}, "*** or 4711")
    masked = without_secrets(trace, Secrets({"A": "4711"}))
    assert json.loads(bytes(masked.request)) == '{"key":"hunter2x","n":***}'
    assert without_secrets(trace, Secrets({"A": "other"})) == trace


def test_a_long_request_is_kept_as_the_beginning_of_its_text() -> None:
    """One of a few bytes less is the document as it was."""
    for length, cut in ((MAX_TRACED, False), (MAX_TRACED + 1, True)):
        body = b'["%s"]' % (b"x" * (length - 4))
        kept = json.loads(bytes(without_secrets(Trace(msgspec.Raw(body), 200, ""), Secrets({"A": "other"})).request))
        assert isinstance(kept, str) == cut
        assert len(kept) < MAX_TRACED + 99


@pytest.mark.parametrize("secret", ['pa"ss\\word', "pässwörd", "hunter2 x/y"])
def test_a_secret_is_masked_in_json_that_stands_in_json(secret: str) -> None:
    """As in the arguments of a call, and in what a tool returned; whatever is no secret stays as it was."""
    call = {"arguments": json.dumps({"key": secret, "n": 1}), "output": json.dumps([json.dumps(secret)[1:-1]])}
    trace = Trace(msgspec.Raw(msgspec.json.encode({"calls": [call], secret: 2.5})), 200, "")
    masked = json.loads(bytes(without_secrets(trace, Secrets({"A": secret})).request))
    assert masked == {"calls": [{"arguments": '{"key": "***", "n": 1}', "output": '["***"]'}], "***": 2.5}


class Running:
    """A run, as far as its feed looks at it."""

    def __init__(self) -> None:
        self.record = RECORD
        self.listeners: set[Any] = set()

    def tell(self, told: Any) -> None:
        for listener in self.listeners:
            listener(told)


def test_a_stream_that_has_nothing_to_say_says_so() -> None:
    """A comment every ten seconds; what comes together leaves together, and the end is the end."""

    async def scene() -> None:
        clock, running = VirtualClock(), Running()
        it: Any = running
        frames: AsyncIterator[bytes] = Feed(it, "tokens", None).frames()
        began = clock.now()
        for n in (1, 2):
            assert (await anext(frames)).startswith(b":")
            assert clock.now() - began == pytest.approx(n * KEEP_ALIVE_S)
        running.tell(ev.Spoke("t1", "Hel", "reply"))
        running.tell(ev.Spoke("t1", "lo", "reply"))
        assert (await anext(frames)).count(b"event: speech.delta\n") == 2
        running.tell(RECORD)
        assert (await anext(frames)).startswith(b"event: run.ended\n")
        assert [frame async for frame in frames] == []
        assert running.listeners == set()

    run(scene())


def test_a_reader_far_behind_is_told_of_the_end_only() -> None:
    """What is kept for one who does not read is bounded; what it had until then comes before."""

    async def scene() -> None:
        running = Running()
        it: Any = running
        frames: AsyncIterator[bytes] = Feed(it, "tokens", None).frames()
        for _ in range(MOST_UNREAD + 7):
            running.tell(ev.Spoke("t1", "Hi", "reply"))
        assert (await anext(frames)).count(b"event: speech.delta\n") == MOST_UNREAD
        running.tell(ev.Spoke("t1", "Hi", "reply"))
        running.tell(RECORD)
        (last,) = [frame async for frame in frames]
        assert last.startswith(b"event: run.ended\n")
        assert last.count(b"event: ") == 1

    run(scene())


def test_whoever_waits_for_a_run_is_told_when_its_end_is_stored() -> None:
    """Its turn in the log first, then its record, and only then is it done."""

    async def scene() -> None:
        clock = VirtualClock()
        store = Recorder(clock)
        slow: Any = SlowStore(store)
        conversations = Conversations(slow, slow)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(conversations.run())
            await asyncio.sleep(0)
            pair = Pair("ann", "bob")
            ref = TurnRef(pair, store.new_id(pair), "t1", 0)
            ref = replace(ref, epoch=await store.open_session(pair, ref.session_id, Owner("here", "1")))
            conversation = await conversations.open(pair)
            account = Account(replace(RECORD, id=ref.session_id))
            filing = Filing(Order(ref, (HELLO,), 0.0, 60.0), account, conversation, slow, clock)
            filing.write()
            filing.close("cancelled")
            assert not filing.done.is_set()
            await filing.done.wait()
            record = await store.read_run(ref.session_id)
            assert record == filing.record
            assert (record.status, [message.text for message in record.messages]) == ("cancelled", ["Hello."])
            (logged,) = (await store.load(pair)).turns
            assert [message.id for message in record.messages] == [message.id for message in logged.record.messages]
            conversations.close(conversation)
            conversations.stop()

    run(scene())


async def _refused(wait: Awaitable[None]) -> str:
    with pytest.raises(Unstored) as refused:
        await wait
    return str(refused.value)


def test_who_waits_for_a_run_is_told_when_the_store_stays_away() -> None:
    """Seconds after its beginning or its end is to be stored; a blink is waited for, and so is a run that goes on."""

    async def scene() -> None:
        clock = VirtualClock()
        store: Any = Recorder(clock)
        conversations, pair = Conversations(store, store), Pair("ann", "bob")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(conversations.run())
            await asyncio.sleep(0)
            conversation = await conversations.open(pair)
            order = Order(TurnRef(pair, store.new_id(pair), "t1", 1), (HELLO,), 0.0, 60.0)
            filing = Filing(order, Account(replace(RECORD, id=order.ref.session_id)), conversation, store, clock)
            store.down = True
            filing.write()
            begun = tasks.create_task(filing.is_begun())
            await asyncio.sleep(3)
            store.down = False
            await begun
            store.down = True
            filing.write()
            asked = clock.now()
            ended = tasks.create_task(_refused(filing.is_done()))
            await asyncio.sleep(60)
            assert not ended.done()
            filing.close("cancelled")
            assert (await ended).startswith(f"run '{order.ref.session_id}' has ended")
            assert 60 < clock.now() - asked < 75
            filing.given_up = True
            assert "was cut off" in await _refused(filing.is_done())
            store.down = False
            await filing.done.wait()
            await filing.is_done()
            conversations.close(conversation)
            conversations.stop()

    run(scene())
