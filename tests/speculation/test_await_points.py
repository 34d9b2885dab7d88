"""The caller goes on at every point at which what runs ahead can be suspended; none may be missed."""

import asyncio

import pytest

from tests.await_points import Point, Watch, written
from tests.calls import Ear
from tests.speculation.town import Town, play
from tests.turns import check_valid_for_providers
from tests.virtual_time import run
from voice_agent import events as ev
from voice_agent.session import Session
from voice_agent.speculation import adoption, call_ahead, errand, reply_ahead
from voice_agent.speculation.speculation import plain

CALLS: list[Town] = []
SPOKEN: list[str] = []


def points() -> set[Point]:
    """Where what runs ahead can be suspended.

    That a turn which is being cancelled begins nothing (`recording`) is tested where it can be brought about.
    """
    return written(adoption, call_ahead, errand, reply_ahead)


def call(watch: Watch) -> Town:
    """One that thinks ahead of three texts: the first is adopted, the second changes, the third is never final."""
    town = Town((0.2, 0.1), resume_after_ms=200)

    async def caller(session: Session, ear: Ear) -> None:
        await asyncio.sleep(0.01)
        for text, final, rests_s in (
            ("look and write", False, 0.45),
            ("Look and write", True, 12),
            ("look", False, 1.0),
            ("look?", False, 1.5),
            ("look ?", True, 12),
            ("write", False, 1.5),
        ):
            say(session, ev.UserSpoke(text, final))
            await asyncio.sleep(rests_s)

    SPOKEN.clear()
    CALLS.append(town)
    play(town, caller, watch=watch)
    return town


def say(session: Session, event: ev.UserEvent) -> None:
    """Hand an event over; final words that an open session takes must never be lost."""
    if isinstance(event, ev.UserSpoke) and event.final and session._left is None:
        SPOKEN.append(event.text)
    session.handle(event)


def check(town: Town) -> None:
    """What must be true however the call went."""
    (ear,) = town.ears
    started = [event.turn_id for event in ear.of(ev.TurnStarted)]
    assert sorted(started) == sorted(event.turn_id for event in ear.of(ev.TurnEnded))
    history = run(town.history())
    check_valid_for_providers(history)
    kept = [message.text for message in history if message.role == "user"]
    assert sorted(plain(" ".join(kept)).split()) == sorted(plain(" ".join(SPOKEN)).split())
    assert town.done.count("write") <= [event.name for event in ear.of(ev.ToolCalled)].count("write")
    assert town.mind.most_open <= 2


@pytest.mark.parametrize(
    "cut",
    [
        [ev.UserSpoke("look and write")],
        [ev.UserSpoke("stop")],
        [ev.UserSpoke("look", final=False)],
        [ev.UserInterrupted()],
        [ev.ContextAdded("It rains.")],
        [ev.UserLeft()],
    ],
    ids=["the words", "other words", "an interim text", "a cut", "a fact", "hang-up"],
)
def test_whatever_the_caller_does_at_every_await_point_leaves_everything_whole(cut: list[ev.UserEvent]) -> None:
    """One end per turn, a history that any provider takes, no words lost, nothing left; and every point was visited."""
    quiet = Watch()
    check(call(quiet))
    visited: set[Point] = set()
    for number in range(1, quiet.count + 1):

        def act() -> None:
            if CALLS[-1].sessions:
                for event in cut:
                    say(CALLS[-1].sessions[0], event)

        watch = Watch(number, act)
        check(call(watch))
        visited |= watch.visited
    missed = points() - visited
    assert not missed, f"nothing was tried at {sorted(missed)}"
