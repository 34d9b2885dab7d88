"""The caller cuts in at every point at which a turn can be suspended: found by counting, and none may be missed."""

import asyncio
import inspect
from types import ModuleType
from typing import Any

import pytest

from tests.await_points import Point, Watch, written
from tests.calls import Ear, World, hold
from tests.turns import call as tool_call
from tests.turns import check_valid_for_providers
from tests.virtual_time import run
from voice_agent import events as ev
from voice_agent import false_alarm, journal, live_turn, session, work
from voice_agent import run as run_module
from voice_agent.messages import Message, Opaque
from voice_agent.session import Session
from voice_agent.speculation import errand, reply_ahead
from voice_agent.tools import runner

DONE = ev.ModelFinished("stop")
REPLIES: list[list[Any]] = [
    [
        0.2, Opaque("m", "reasoning", "hm"), 0.1,
        ev.ToolCallDelta(0, "p0", "look", '{"pre_exec_msg":"One mo'), 0.1, ev.ToolCallDelta(0, json='ment.","q":"x"}'),
        0.1, tool_call(1, "write", '{"text":"y"}'), 0.1, DONE,
    ],
    [0.2, ev.TextDelta("It is "), 0.3, ev.TextDelta("done."), DONE],
    [0.2, tool_call(0, "hang_up", '{"pre_exec_msg":"Bye."}'), DONE],
    [0.2, tool_call(0, "write", '{"text":"z"}'), DONE],
]  # fmt: skip
WATCHED = (run_module, live_turn, session, work, runner, journal)
OUTLIVING = (false_alarm, reply_ahead, errand)


def points(*modules: ModuleType) -> set[Point]:
    """Where a call can be suspended; `run_turn` is for turns without one."""
    lines, first = inspect.getsourcelines(run_module.run_turn)
    return written(*modules) - {(run_module.__file__, number) for number in range(first, first + len(lines))}


def play(watch: Watch, resume_after_ms: int = 0) -> World:
    """A call with everything in it: two sessions of one user, tools, words to say, a goodbye."""
    world = World(*REPLIES, voice={"resume_after_ms": resume_after_ms})

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.SayRequested("Welcome."))
        session.handle(ev.ContextAdded("It rains."))
        say(session, ev.UserSpoke("look it up and write it down", turn_id="t1"))
        await asyncio.sleep(1.9)
        if resume_after_ms:
            session.handle(ev.UserInterrupted())  # in the middle of a reply, and nothing is said
        await asyncio.sleep(2.1)
        say(session, ev.UserSpoke("bye", turn_id="t2"))
        await asyncio.sleep(1)
        session.handle(ev.UserInterrupted())
        await asyncio.sleep(5)
        # The store goes away for a while; then the caller leaves in the middle of a write that outlives the call.
        world.store.down = True
        say(session, ev.UserSpoke("and write that", turn_id="t3"))
        await asyncio.sleep(0.5)
        world.store.down = False
        await asyncio.sleep(0.5)

    async def other(session: Session, ear: Ear) -> None:
        await asyncio.sleep(0.25)
        session.handle(ev.SayRequested("I wait for my turn."))
        await asyncio.sleep(9)

    async def main() -> None:
        watch.install(asyncio.get_running_loop())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(world.conversations.run())
            await asyncio.sleep(0)
            calls = [tasks.create_task(hold(world, caller)), tasks.create_task(hold(world, other))]
            await asyncio.wait(calls)
            world.conversations.stop()

    WORLDS.append(world)
    run(main())
    return world


def say(session: Session, event: ev.UserEvent) -> None:
    """Hand an event over; words that an open session takes must never be lost."""
    if isinstance(event, ev.UserSpoke) and session._left is None:
        WORLDS[-1].spoken.append(event.text)
    session.handle(event)


WORLDS: list[World] = []


def check(world: World) -> None:
    """What must be true however the call went."""
    for ear in world.ears:
        started = [event.turn_id for event in ear.of(ev.TurnStarted)]
        ended = [event.turn_id for event in ear.of(ev.TurnEnded)]
        assert sorted(started) == sorted(ended)
        assert len(set(ended)) == len(ended)
        for turn_id in started:
            told = [event for event in ear.events if getattr(event, "turn_id", None) == turn_id]
            spoken = next(i for i, event in enumerate(told) if isinstance(event, ev.TurnSpoken))
            assert not any(isinstance(event, ev.Spoke | ev.ToolCalled) for event in told[spoken:])
            end = ear.ended(turn_id)
            said = "".join(event.text for event in told if isinstance(event, ev.Spoke))
            assert said.startswith(end.heard)
            assert end.generated == said
        assert isinstance(ear.events[-1], ev.SessionEnded)
    history: tuple[Message, ...] = run(world.history())
    check_valid_for_providers(history)
    kept = [message.text for message in history if message.role == "user"]
    assert sorted(" ".join(kept).split()) == sorted(" ".join(world.spoken).split())


@pytest.mark.parametrize(
    "cut",
    [
        [ev.UserInterrupted(ev.Mark(chars=4))], [ev.UserInterrupted()], [ev.UserSpoke("stop")], [ev.UserLeft()],
        [ev.UserInterrupted(), ev.UserSpoke("stop")],
    ],
    ids=["heard", "unmarked", "words", "hang-up", "cut and words"],
)  # fmt: skip
@pytest.mark.parametrize("resume_after_ms", [0, 100])
def test_a_barge_in_at_every_await_point_leaves_everything_whole(cut: list[ev.UserEvent], resume_after_ms: int) -> None:
    """One end per turn, silence after it, a history that any provider takes; and every await point was visited.

    Where it may turn out to have been none, those of what goes on in the wait, too.
    """
    quiet = Watch()
    check(play(quiet, resume_after_ms))
    assert quiet.count > 40
    visited: set[Point] = set()
    for number in range(1, quiet.count + 1):

        def act() -> None:
            if WORLDS[-1].sessions:
                for event in cut:
                    say(WORLDS[-1].sessions[0], event)

        watch = Watch(number, act)
        check(play(watch, resume_after_ms))
        visited |= watch.visited
    missed = points(*WATCHED, *(OUTLIVING if resume_after_ms else ())) - visited
    assert not missed, f"no barge-in was tried at {sorted(missed)}"


def test_the_count_fails_when_a_point_is_never_reached() -> None:
    """The harness can fail: with one visit only, most points are missed."""
    watch = Watch(1)
    play(watch)
    assert points(*WATCHED) - watch.visited
