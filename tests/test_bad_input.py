"""Odd marks, texts out of order, providers that are down: what each gets, and that the call next door is unharmed."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.calls import PAIR, Caller, Ear, World
from tests.models import Unseen
from tests.virtual_time import VirtualClock, run
from voice_agent import events as ev
from voice_agent.llm.race.form import Form
from voice_agent.llm.race.model import RacingModel, Runner
from voice_agent.llm.race.race import Policy
from voice_agent.messages import ModelRequest
from voice_agent.session import Session
from voice_agent.store.base import Pair

DONE = ev.ModelFinished("stop")


class Echo(Unseen):
    """A provider that repeats the caller's words, unless they say that it is `down`, or `hangs`.

    `asked`: what it has answered, or would have.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def reply(self, request: ModelRequest, emit: Callable[[ev.ModelEvent], None]) -> None:
        words = request.turn[0].text
        if words == "hangs":
            await asyncio.sleep(60)
        if words == "down":
            emit(ev.ModelFailed("the provider cannot be reached", retryable=True))
            return
        self.asked.append(words)
        await asyncio.sleep(0.3)
        for word in words.split():
            emit(ev.TextDelta(f"{word} "))
            await asyncio.sleep(0.1)
        emit(DONE)


class House(World):
    """A gateway with two providers, and two users who call at the same time."""

    def __init__(self) -> None:
        super().__init__(voice={"failure_notice": "Sorry.", "idle_reminder_s": None, "fillers": ()})
        self.echo = Echo()
        chain = [Runner(name, self.echo, Form()) for name in ("one", "two")]
        self.model: Any = RacingModel(chain, Policy(deadline_s=4.0, hedge_share=0.08), VirtualClock())

    async def take(self, pair: Pair, caller: Caller) -> Ear:
        session, ear, conversation = await self.open(pair.user, pair)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(session.run())
            await asyncio.sleep(0)
            await caller(session, ear)
            session.handle(ev.UserLeft())
        self.conversations.close(conversation)
        return ear


async def neighbour(session: Session, _: Ear) -> None:
    """Thought about ahead, cut into, and marked late: by the same names as the call next door."""
    session.handle(ev.UserSpoke("what do you", final=False, turn_id="t1", revision=1))
    await asyncio.sleep(0.5)
    session.handle(ev.UserSpoke("What do you.", turn_id="t1", revision=2))
    await asyncio.sleep(0.15)
    session.handle(ev.UserInterrupted(ev.Mark(chars=3), "t1"))
    session.handle(ev.UserSpoke("go on please", turn_id="t2"))
    await asyncio.sleep(3)
    session.handle(ev.PlaybackMoved("t2", ev.Mark(chars=4)))
    await asyncio.sleep(30)


def play(caller: Caller) -> tuple[House, Ear, Ear]:
    """Both calls; returns what was told in each, the neighbour's last."""

    async def main() -> tuple[House, Ear, Ear]:
        house = House()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(house.conversations.run())
            one = tasks.create_task(house.take(PAIR, caller))
            two = tasks.create_task(house.take(Pair("a", "neighbour"), neighbour))
            await asyncio.wait((one, two))
            house.conversations.stop()
        return house, one.result(), two.result()

    return run(main())


def told(ear: Ear) -> list[str]:
    """The turns that the caller was told of, how each was heard, and every error."""
    out = []
    for event in ear.events:
        match event:
            case ev.TurnStarted(turn_id=turn_id):
                out.append(f"{turn_id} starts")
            case ev.TurnEnded(turn_id=turn_id, reason=reason, heard=heard):
                out.append(f"{turn_id} {reason}: {heard.strip()}")
            case ev.TurnHeard(turn_id=turn_id, heard=heard):
                out.append(f"{turn_id} heard: {heard.strip()}")
            case ev.Failed(code=code, turn_id=turn_id, field=field):
                out.append(f"error {code} {turn_id or field}")
            case _:
                pass
    return out


def says(*events: ev.UserEvent | float) -> Callable[[Session, Ear], Coroutine[Any, Any, None]]:
    """A caller who does all this, with pauses in seconds, and stays for a while."""

    async def caller(session: Session, _: Ear) -> None:
        for event in events:
            if isinstance(event, float):
                await asyncio.sleep(event)
            else:
                session.handle(event)
        await asyncio.sleep(20)

    return caller


ONE, TWO = ev.UserSpoke("one two", turn_id="t1"), ev.UserSpoke("three four", turn_id="t2")
CASES: dict[str, tuple[Caller, list[str], list[str]]] = {
    # What the caller does, what the client is told, what the providers are asked, if they are there.
    "marks beyond what was sent": (
        says(ONE, 0.5, *(ev.PlaybackMoved("t1", mark) for mark in (ev.Mark(chars=10**30), ev.Mark(ms=1e308))), 5.0)
        , ["t1 starts", "t1 end_turn: one two"], ["one two"],
    ),
    "a mark beyond what was sent cuts in": (
        says(ONE, 0.35, ev.UserInterrupted(ev.Mark(text="one two three four")), 5.0),
        ["t1 starts", "t1 interrupted: one"], ["one two"],
    ),
    "marks for an old turn": (
        says(ONE, 5.0, TWO, 0.1, ev.PlaybackMoved("t1", ev.Mark(chars=1)), ev.UserInterrupted(ev.Mark(chars=1), "t1")),
        ["t1 starts", "t1 end_turn: one two", "t2 starts", "t2 end_turn: three four"], ["one two", "three four"],
    ),
    "marks for a turn that never was": (
        says(ONE, 0.4, ev.PlaybackMoved("t9", ev.Mark(chars=1)), ev.UserInterrupted(ev.Mark(chars=1), "t9")),
        ["t1 starts", *["error unknown_id turn_id"] * 2, "t1 end_turn: one two"], ["one two"],
    ),
    "interim revisions going backwards": (
        says(ev.UserSpoke("one two", False, "t1", 3), 0.2, ev.UserSpoke("one", False, "t1", 2), 0.5,
             ev.UserSpoke("one two", True, "t1", 4)),
        ["t1 starts", "t1 end_turn: one two"], ["one two"],
    ),
    "final revisions going backwards": (
        says(ev.UserSpoke("one two", True, "t1", 3), 0.4, ev.UserSpoke("no", True, "t1", 2), 5.0,
             ev.UserSpoke("no", True, "t1", 1)),
        ["t1 starts", "t1 end_turn: one two", "t1 end_turn: one two"], ["one two"],
    ),
    "a final text without interim ones": (says(ONE), ["t1 starts", "t1 end_turn: one two"], ["one two"]),
    "two finals before a word": (
        says(ONE, 0.1, TWO, 5.0, TWO),
        ["t1 starts", *["t1 end_turn: one two three four"] * 2], ["one two", "one two three four"],
    ),
    "two finals with words between": (
        says(ONE, 0.35, TWO),
        ["t1 starts", "t2 starts", "t1 interrupted: ", "t2 end_turn: three four"], ["one two", "three four"],
    ),
    "an interim text after its final one": (
        says(ONE, 0.1, ev.UserSpoke("one two three", False, "t1"), 5.0, ev.UserSpoke("one", False, "t1"), 1.0),
        ["t1 starts", "t1 end_turn: one two"], ["one two"],
    ),
    "both providers down": (
        says(ev.UserSpoke("down", turn_id="t1"), 10.0, TWO),
        ["t1 starts", "error provider t1", "t1 llm_api_error: Sorry.", "t2 starts", "t2 end_turn: three four"],
        ["three four"],
    ),
    "both providers hanging": (
        says(ev.UserSpoke("hangs", turn_id="t1"), 10.0, TWO),
        ["t1 starts", "error provider t1", "t1 llm_api_error: Sorry.", "t2 starts", "t2 end_turn: three four"],
        ["three four"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_bad_input_gets_and_that_nobody_else_notices(case: tuple[Caller, list[str], list[str]]) -> None:
    """To the microsecond: every event of the call next door is the one that it had beside a silent caller."""
    caller, expected, asked = case
    _, _, before = play(says())
    house, ear, after = play(caller)
    assert told(ear) == expected
    assert sorted(house.echo.asked) == sorted([*asked, "what do you", "go on please"])
    assert after.events == before.events
    assert told(after)[-3:] == ["t1 interrupted: wha", "t2 end_turn: go on please", "t2 heard: go o"]
