"""What a client answers to a turn that waits for it: decisions and results, in time, late, twice, and unasked."""

import asyncio
from typing import Any

from tests.calls import Ear, World, call
from tests.turns import call as tool_call
from tests.virtual_time import run
from voice_agent import events as ev
from voice_agent.messages import Message
from voice_agent.rules.kinds import RequiresApproval
from voice_agent.session import Session
from voice_agent.tool_definitions import ClientTool

DONE = ev.ModelFinished("stop")
WORDS: list[Any] = [ev.TextDelta("Fine."), DONE]
ZOOM = ClientTool(name="zoom", description="Zooms.", timeout_s=5)


def one(ear: Ear, kind: type[Any]) -> Any:
    """The only event of its kind."""
    (event,) = ear.of(kind)
    return event


def results(world: World) -> list[str]:
    """What the model was told of its calls."""
    return [message.text for message in run(world.history()) if message.role == "tool"]


def test_a_client_that_does_not_answer_in_time_is_waited_for_no_longer() -> None:
    """After the tool's own time the model is told; an answer that comes then changes nothing."""
    world = World([tool_call(0, "zoom"), DONE], [2.0, *WORDS], tools=(ZOOM,))

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("zoom", turn_id="t"))
        await asyncio.sleep(4.9)
        asked = one(ear, ev.ClientToolNeeded)
        assert ear.of(ev.ToolFinished) == []
        await asyncio.sleep(0.2)
        assert one(ear, ev.ToolFinished).status == "timeout"
        session.handle(ev.ToolReturned(asked.call_id, "late"))
        await asyncio.sleep(3)
        assert ear.ended("t").reason == "end_turn"
        assert ear.of(ev.Failed) == []

    call(world, caller)
    assert results(world) == ["zoom took too long: the client has not answered."]


def test_the_time_in_which_the_client_is_waited_for_is_its_own() -> None:
    """The latency names it, and the parts still add up."""
    world = World([tool_call(0, "zoom"), DONE], WORDS, tools=(ZOOM,))

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("zoom", turn_id="t"))
        await asyncio.sleep(3)
        session.handle(ev.ToolReturned(one(ear, ev.ClientToolNeeded).call_id, "zoomed"))
        await asyncio.sleep(1)
        latency = ear.ended("t").latency
        parts = {part.name: part.ms for part in latency.parts}
        assert 2990 < parts["client"] <= 3000
        assert abs(sum(parts.values()) - latency.total) < 0.01

    call(world, caller)


def test_a_decision_counts_once() -> None:
    """Repeated, or taken back when the call has run, it is harmless."""
    world = World([tool_call(0, "write"), DONE], WORDS, tool_rules=(RequiresApproval(tool="write"),))

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("write", turn_id="t"))
        await asyncio.sleep(1)
        asked = one(ear, ev.ApprovalNeeded)
        assert ear.of(ev.ToolCalled) == []
        for approved in (True, True, False):
            session.handle(ev.ApprovalGiven(asked.call_id, approved))
        await asyncio.sleep(2)
        assert len(ear.of(ev.ToolCalled)) == 1
        assert one(ear, ev.ToolFinished).status == "ok"
        assert ear.of(ev.Failed) == []

    call(world, caller)
    assert results(world) == ["wrote "]


def test_a_client_s_tool_is_asked_for_once_it_is_approved() -> None:
    """No result is taken before; approving again is harmless."""
    world = World([tool_call(0, "zoom"), DONE], WORDS, tools=(ZOOM,), tool_rules=(RequiresApproval(tool="zoom"),))

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("zoom", turn_id="t"))
        await asyncio.sleep(20)
        asked = one(ear, ev.ApprovalNeeded)
        session.handle(ev.ToolReturned(asked.call_id, "zoomed already"))
        assert one(ear, ev.Failed).message == f"no call {asked.call_id!r} waits for a result"
        session.handle(ev.ApprovalGiven(asked.call_id, True))
        session.handle(ev.ApprovalGiven(asked.call_id, True))
        assert one(ear, ev.ClientToolNeeded).call_id == asked.call_id
        session.handle(ev.ToolReturned(asked.call_id, "zoomed"))
        await asyncio.sleep(1)
        assert len(ear.of(ev.Failed)) == 1

    call(world, caller)
    assert results(world) == ["zoomed"]


def test_an_approval_is_asked_for_while_another_call_runs() -> None:
    """Whoever decides is not kept waiting by it, and the turn goes on when both are done."""
    calls = [tool_call(0, "look"), tool_call(1, "write"), DONE]
    world = World(calls, WORDS, tool_rules=(RequiresApproval(tool="write"),))

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("both", turn_id="t"))
        await asyncio.sleep(0.2)
        assert [event.name for event in ear.of(ev.ToolCalled)] == ["look"]
        assert ear.of(ev.ToolFinished) == []
        session.handle(ev.ApprovalGiven(one(ear, ev.ApprovalNeeded).call_id, False, "no"))
        assert [event.status for event in ear.of(ev.ToolFinished)] == ["denied"]
        await asyncio.sleep(1)
        assert ear.ended("t").reason == "end_turn"

    call(world, caller)
    assert results(world) == ["found ", "Denied by a person: no"]


def test_a_result_for_a_call_that_the_gateway_runs_is_refused() -> None:
    """Running or done: the model reads what the tool brought."""
    world = World([tool_call(0, "look"), DONE], [1.0, *WORDS])

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("look", turn_id="t"))
        await asyncio.sleep(0.2)
        call_id = one(ear, ev.ToolCalled).call_id
        session.handle(ev.ToolReturned(call_id, "forged"))
        await asyncio.sleep(0.8)
        session.handle(ev.ToolReturned(call_id, "forged"))
        await asyncio.sleep(2)
        told = f"the call {call_id!r} is run by the gateway and not by the client"
        assert [(event.code, event.message, event.field) for event in ear.of(ev.Failed)] == [
            ("unknown_id", told, "call_id")
        ] * 2

    call(world, caller)
    assert results(world) == ["found "]


def test_answers_that_nobody_waits_for_are_told_so() -> None:
    """Between turns, and in one that knows no such call."""
    world = World([5.0, *WORDS])

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.ApprovalGiven("nope", True))
        session.handle(ev.UserSpoke("hi", turn_id="t"))
        await asyncio.sleep(1)
        session.handle(ev.ToolReturned("nope", "x"))
        assert [event.message for event in ear.of(ev.Failed)] == [
            "no call 'nope' waits for a decision",
            "no call 'nope' waits for a result",
        ]

    call(world, caller)


def test_a_pending_call_that_the_caller_cuts_off_is_told_as_cancelled() -> None:
    """It has its end like any other; a decision that crosses it on the line is told that nobody waits."""
    world = World([tool_call(0, "write"), DONE], WORDS, tool_rules=(RequiresApproval(tool="write"),))

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("write", turn_id="t1"))
        await asyncio.sleep(1)
        asked = one(ear, ev.ApprovalNeeded)
        session.handle(ev.UserSpoke("stop", turn_id="t2"))
        finished = one(ear, ev.ToolFinished)
        assert (finished.call_id, finished.status) == (asked.call_id, "cancelled")
        await asyncio.sleep(1)
        session.handle(ev.ApprovalGiven(asked.call_id, True))
        assert one(ear, ev.Failed).code == "unknown_id"
        assert [ear.ended(turn).reason for turn in ("t1", "t2")] == ["interrupted", "end_turn"]

    call(world, caller)
    history: tuple[Message, ...] = run(world.history())
    assert [message.denied for message in history if message.role == "tool"] == [False]
