"""The ways into the agent by which a scenario can be played."""

from typing import assert_never

from tests.gateways import Caller, Place
from tests.scenarios.script import Goodbye, Greeted, Interrupt, Note, Played, Say, Scenario, Start, Step
from voice_agent import events as ev
from voice_agent.clock import SystemClock
from voice_agent.messages import Message, TurnRecord
from voice_agent.prompt import build_prompt
from voice_agent.rules import Rulebook
from voice_agent.run import Inbox, run_turn
from voice_agent.tools.base import TurnContext
from voice_agent.turn import Turn
from voice_agent.turn_setup import TurnSetup

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
        case Start(text=text, said=said, tool=tool):
            await caller.send("user.text", text=text, turn_id=turn_id)
            await caller.until("turn.started", turn_id=turn_id)
            while caller.said(turn_id) != said:
                await caller.until("speech.delta", turn_id=turn_id)
            if tool and not [event for event in caller.of("tool.started") if event["name"] == tool]:
                await caller.until("tool.started", name=tool)
        case Interrupt(chars=chars):
            await caller.send("user.interrupt", heard={"chars": chars})
            await caller.end_of(turn_id)
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


class _Ear:
    """Hears one turn that has no session."""

    def __init__(self) -> None:
        self.told: list[ev.TurnEvent] = []

    def on_event(self, event: ev.TurnEvent) -> None:
        self.told.append(event)

    def on_step(self, step: ev.SaveStep) -> None:
        """Nothing is journalled here."""

    def on_late(self, finished: ev.ToolFinished, output: str) -> None:
        raise AssertionError(f"{finished.name} outlived its turn")


async def alone(place: Place, agent_id: str, scenario: Scenario) -> tuple[TurnRecord, list[str]]:
    """What the scenario says, as one turn without a session; returns it and the errors that came."""
    agent = await place.gateway._sessions.agent(agent_id)
    registry, clock, ear = place.gateway._tools, SystemClock(), _Ear()
    specs = registry.specs(agent.tools)
    (said,) = scenario.steps
    assert isinstance(said, Say)
    assert agent.model is not None
    setup = TurnSetup(
        turn_id="t",
        prompt=build_prompt(agent, "m", specs, ()),
        history=(),
        opening=(Message("user", said.text, 0.0),),
        tools=specs,
        call_prefix="x",
        received_at=clock.now(),
        max_steps=agent.max_steps,
        rules=Rulebook(scenario.rules, specs),
    )
    context = TurnContext(agent_id=agent_id, user=USER, session_id="s", turn_id="t", in_prompt=frozenset())
    runner = registry.runner(agent.tools, clock, context)
    await run_turn(Turn(setup), place.gateway._catalogue.open(agent.model), runner, Inbox(), ear, clock)
    (ended,) = (event for event in ear.told if isinstance(event, ev.TurnEnded))
    record = TurnRecord("s:t", ended.reason, ended.messages, 0.0, ended.usage)
    return record, [event.message for event in ear.told if isinstance(event, ev.Failed)]
