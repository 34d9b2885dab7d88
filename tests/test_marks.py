"""Marks in whole calls: what they move, what they leave alone, and what they teach."""

import asyncio

import pytest

from tests.calls import Ear, World, call
from tests.turns import FINISHED
from tests.virtual_time import run
from voice_agent import events as ev
from voice_agent.session import Session

REPLY = [ev.TextDelta("x" * 60), FINISHED]  # four seconds of speech
Y, Z = ev.SayRequested("y" * 30), ev.SayRequested("z" * 45)


def logged(world: World) -> list[str | None]:
    """What was heard of each assistant message, as the log has it."""
    return [message.heard for message in run(world.history()) if message.role == "assistant"]


def moved(ear: Ear) -> list[str]:
    return [event.heard for event in ear.of(ev.TurnHeard)]


@pytest.mark.parametrize(
    ("mark", "heard"),
    [
        (ev.Mark(chars=0), 0),
        (ev.Mark(chars=7), 7),
        (ev.Mark(text="x" * 8), 8),
        (ev.Mark(ms=600), 9),
        (ev.Mark(chars=10_000), 60),
        (ev.Mark(ms=1e9), 60),
        (ev.Mark(text="x" * 99), 60),
    ],
)
@pytest.mark.parametrize("ended", [False, True])
def test_every_measure_counts_before_and_after_the_end_of_a_turn(mark: ev.Mark, heard: int, ended: bool) -> None:
    """Past what was sent it is all of it; the turn's end tells of the mark, or an event if it moved anything since."""
    world = World([REPLY[0], 1.0, FINISHED])

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi", turn_id="t1"))
        await asyncio.sleep(2.0 if ended else 0.5)
        session.handle(ev.PlaybackMoved("t1", mark))
        await asyncio.sleep(2)
        assert len(ear.ended("t1").heard) == (60 if ended else heard)
        assert moved(ear) == (["x" * heard] if ended and heard < 60 else [])

    call(world, caller)
    assert logged(world) == ["x" * heard]


def test_a_mark_for_a_turn_that_is_frozen_is_harmless() -> None:
    """So is one for the words of another call's turn id, but that is told; the call goes on."""
    world = World(REPLY)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi", turn_id="t1"))
        await asyncio.sleep(1)
        session.handle(ev.UserSpoke("and", turn_id="t2"))
        await asyncio.sleep(1)
        session.handle(ev.PlaybackMoved("t1", ev.Mark(chars=3)))
        session.handle(ev.UserInterrupted(ev.Mark(chars=3), turn_id="t1"))
        assert (moved(ear), ear.of(ev.Failed)) == ([], [])
        for event in (ev.PlaybackMoved("t9", done=True), ev.UserInterrupted(turn_id="t9")):
            session.handle(event)
        assert [(event.code, event.field) for event in ear.of(ev.Failed)] == [("unknown_id", "turn_id")] * 2

    call(world, caller)
    assert logged(world) == ["x" * 60] * 2


@pytest.mark.parametrize(
    ("after", "mark", "heard"),
    [
        (1.01, None, ["x" * 15, "", ""]),
        (5.01, None, ["x" * 60, "y" * 15, ""]),
        (5.0, ev.Mark(chars=20), ["x" * 60, "y" * 20, ""]),
        (8.01, None, ["x" * 60, "y" * 30, "z" * 30]),
        (90.0, None, ["x" * 60, "y" * 30, "z" * 45]),
        (90.0, ev.Mark(chars=3), ["x" * 60, "y" * 30, "zzz"]),
    ],
)
def test_an_interruption_stops_the_turn_that_is_heard_and_those_behind_it(
    after: float, mark: ev.Mark | None, heard: list[str]
) -> None:
    """They were handed out at once and are said one after the other; what was said before it was heard."""
    world = World(REPLY)

    async def caller(session: Session, ear: Ear) -> None:
        for event in (ev.UserSpoke("hi"), Y, Z):
            session.handle(event)
        await asyncio.sleep(after)
        session.handle(ev.UserInterrupted(mark))
        session.handle(ev.UserInterrupted())
        await asyncio.sleep(1)

    call(world, caller)
    assert logged(world) == heard


def test_an_interruption_that_names_its_turn_stops_that_one() -> None:
    """The client knows better than the estimate what it was playing."""
    world = World(REPLY)

    async def caller(session: Session, ear: Ear) -> None:
        for event in (ev.UserSpoke("hi"), Y, Z):
            session.handle(event)
        await asyncio.sleep(1)
        second = ear.of(ev.TurnEnded)[1].turn_id
        session.handle(ev.UserInterrupted(ev.Mark(chars=10), turn_id=second))
        await asyncio.sleep(1)
        stored = [message.heard for message in await world.history() if message.role == "assistant"]
        assert stored == ["x" * 60, "y" * 10, ""]  # at once, not only when the next request freezes it

    call(world, caller)


def test_a_mark_is_for_its_own_turn() -> None:
    """Those behind it stay as they are."""
    world = World(REPLY)

    async def caller(session: Session, ear: Ear) -> None:
        for event in (ev.UserSpoke("hi", turn_id="t1"), Y):
            session.handle(event)
        await asyncio.sleep(1)
        session.handle(ev.PlaybackMoved("t1", ev.Mark(chars=10)))

    call(world, caller)
    assert logged(world) == ["x" * 10, "y" * 30]


def test_a_mark_for_a_turn_that_is_not_stored_yet_is_told_with_its_end() -> None:
    """The client has not been told that it ended."""
    world = World(REPLY)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi", turn_id="t1"))
        world.store.down = True
        await asyncio.sleep(1)
        session.handle(ev.PlaybackMoved("t1", ev.Mark(chars=10)))
        world.store.down = False
        await asyncio.sleep(10)
        assert (ear.ended("t1").heard, moved(ear)) == ("x" * 10, [])

    call(world, caller)
    assert logged(world) == ["x" * 10]


@pytest.mark.parametrize(
    ("reports", "heard"),
    [
        ([], 60),
        ([ev.PlaybackMoved("t1", ev.Mark(chars=10))], 25),
        ([ev.PlaybackMoved("t1", ev.Mark(chars=50))], 60),
        ([ev.PlaybackMoved("t1", done=True)], 60),
        ([ev.UserInterrupted(ev.Mark(chars=10))], 10),
    ],
)
def test_the_next_words_stop_a_turn_whose_playback_is_told_of(reports: list[ev.UserEvent], heard: int) -> None:
    """A second later it was heard a second further, unless it was over; nothing is known of one that is not told of."""
    world = World(REPLY)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi", turn_id="t1"))
        await asyncio.sleep(1)
        for event in reports:
            session.handle(event)
        await asyncio.sleep(1.01)
        session.handle(ev.UserSpoke("wait", turn_id="t2"))
        await asyncio.sleep(1)

    call(world, caller)
    assert logged(world)[0] == "x" * heard


def test_whoever_speaks_over_a_turn_hears_the_next_one_at_once() -> None:
    """What the client did not play of the first does not delay the second, though it counts as heard."""
    world = World(REPLY)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi", turn_id="t1"))
        await asyncio.sleep(1)
        session.handle(ev.UserSpoke("wait", turn_id="t2"))
        await asyncio.sleep(2.01)
        session.handle(ev.UserInterrupted())

    call(world, caller)
    assert logged(world) == ["x" * 60, "x" * 30]


def test_a_client_that_tells_of_ends_is_known_to() -> None:
    """A turn whose end it has not told of, as it has of another's before, is still heard."""
    world = World(REPLY)

    async def caller(session: Session, ear: Ear) -> None:
        for number in (1, 2, 3):
            session.handle(ev.UserSpoke("hi", turn_id=f"t{number}"))
            await asyncio.sleep(2.01)
            if number == 1:
                session.handle(ev.PlaybackMoved("t1", done=True))

    call(world, caller)
    assert [len(heard or "") for heard in logged(world)] == [60, 30, 60]


def test_words_that_may_not_be_interrupted_are_heard_whole() -> None:
    """Whoever talks over them; what stands behind them is not."""
    world = World(REPLY)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.SayRequested("g" * 60, interruptible=False))
        session.handle(Y)
        await asyncio.sleep(1)
        session.handle(ev.UserInterrupted())

    call(world, caller)
    assert logged(world) == ["g" * 60, ""]


def test_the_rate_is_learned_in_one_turn_for_the_next() -> None:
    """A slow voice: its first turn says how slow, its second is cut where such a voice is."""
    world = World([ev.TextDelta("x" * 600), FINISHED])

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi", turn_id="t1"))
        for tick in range(1, 13):
            await asyncio.sleep(5)
            session.handle(ev.PlaybackMoved("t1", ev.Mark(chars=tick * 40)))
        session.handle(ev.PlaybackMoved("t1", done=True))
        session.handle(ev.UserSpoke("on", turn_id="t2"))
        await asyncio.sleep(10)
        session.handle(ev.UserInterrupted())

    call(world, caller)
    assert 80 <= len(logged(world)[1] or "") < 90
