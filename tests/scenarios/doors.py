"""The ways into the agent by which a scenario can be played."""

from typing import assert_never

from tests.gateways import Caller, Place
from tests.scenarios.script import (
    Bring,
    Decide,
    End,
    Goodbye,
    Greeted,
    Interrupt,
    Note,
    Played,
    Return,
    Say,
    Start,
    Step,
)

USER = "ann"


async def over_socket(place: Place, agent_id: str, steps: tuple[Step, ...]) -> list[str]:
    """A call over `voice.v1`; returns the errors that came."""
    async with place.call(agent_id, user=USER) as caller:
        turn_id = ""
        for number, step in enumerate(steps):
            if isinstance(step, Say | Start):
                turn_id = f"t{number}"
            await _take(caller, step, turn_id)
        await caller.send("session.end")
        assert await caller.closed() == 1000
    return [event["message"] for event in caller.of("error")]


async def _take(caller: Caller, step: Step, turn_id: str) -> None:
    match step:
        case Say(text=text):
            await caller.ask(text, turn_id)
        case Start(text=text, said=said, tool=tool, asked=asked):
            await caller.send("user.text", text=text, turn_id=turn_id)
            await caller.until("turn.started", turn_id=turn_id)
            while caller.said(turn_id) != said:
                await caller.until("speech.delta", turn_id=turn_id)
            if asked:
                await _asked(caller, asked)
            if tool and not [event for event in caller.of("tool.started") if event["name"] == tool]:
                await caller.until("tool.started", name=tool)
        case Interrupt(chars=chars):
            await caller.send("user.interrupt", heard={"chars": chars})
            await caller.end_of(turn_id)
        case Decide(tool=tool, approved=approved, reason=reason):
            call_id = await _asked(caller, tool)
            await caller.send("tool.approval", call_id=call_id, approved=approved, reason=reason)
        case Return(tool=tool, output=output, is_error=is_error):
            call_id = await _asked(caller, tool, "tool.request")
            await caller.send("tool.result", call_id=call_id, output=output, is_error=is_error)
        case End():
            await caller.end_of(turn_id)
        case Bring(tools=tools):
            await caller.send("session.configure", client_tools=tools)
        case Played(chars=chars):
            await caller.send("playback", turn_id=turn_id, chars=chars)
            await caller.until("turn.heard", turn_id=turn_id)
        case Note(text=text):
            await caller.send("context.add", text=text)
        case Greeted():
            await caller.until("turn.ended")
            assert {event["kind"] for event in caller.of("speech.delta")} == {"greeting"}
        case Goodbye():
            await caller.send("playback", turn_id=turn_id, done=True)
            assert (await caller.until("session.ended"))["reason"] == "agent"
        case _:
            assert_never(step)


async def _asked(caller: Caller, tool: str, *kinds: str) -> str:
    """The call of this tool that the client is, or was last, asked about."""
    wanted = kinds or ("approval.request", "tool.request")
    while not (asked := [event for event in caller.of(*wanted) if event["name"] == tool]):
        await caller.next()
    return str(asked[-1]["call_id"])
