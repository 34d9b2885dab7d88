"""The queue before the socket: order, what can be taken back, and when it is too full."""

import asyncio

import pytest

from gateway.outbox import MOST_WAITING, Outbox
from voice_agent import events as ev

STARTED = ev.TurnStarted("t1")
TOOL = ev.ToolCalled("t1", "c", "look", {})
FLUSHED = ev.Flushed("t1", "reply")
SPOKEN = ev.TurnSpoken("t1")


def spoke(text: str, turn_id: str = "t1") -> ev.Spoke:
    return ev.Spoke(turn_id, text, "reply")


def filled(*events: ev.TurnEvent) -> Outbox:
    outbox = Outbox(lambda _: None)
    for event in events:
        outbox.emit(event)
    return outbox


async def rest(outbox: Outbox) -> list[ev.TurnEvent]:
    """What waits, in order."""
    end = ev.SessionEnded("end")
    outbox.emit(end)
    taken: list[ev.TurnEvent] = []
    while (event := await outbox.get()) is not end:
        assert not isinstance(event, str)
        taken.append(event)
    return taken


async def test_events_leave_in_the_order_in_which_they_came() -> None:
    """Each once, and each was observed when it came."""
    seen: list[ev.TurnEvent] = []
    outbox = Outbox(seen.append)
    events: list[ev.TurnEvent] = [STARTED, spoke("a"), FLUSHED, SPOKEN]
    for event in events:
        outbox.emit(event)
    assert seen == events == await rest(outbox)


async def test_a_reader_waits_for_the_next_event() -> None:
    """It is woken by it, and one that gave up waiting has lost nothing."""
    outbox = filled()
    async with asyncio.TaskGroup() as tasks:
        given_up = tasks.create_task(outbox.get())
        waiting = tasks.create_task(outbox.get())
        await asyncio.sleep(0)
        given_up.cancel()
        outbox.emit(SPOKEN)
        outbox.emit(STARTED)
        assert await waiting is SPOKEN
    assert await rest(outbox) == [STARTED]


async def test_an_event_is_offered_in_the_call_that_brings_it_while_the_reader_waits() -> None:
    """What is refused waits with all that follows it, and nothing is offered when nobody waits."""
    outbox, offered = filled(STARTED), list[ev.TurnEvent | str]()

    def offer(item: ev.TurnEvent | str) -> bool:
        offered.append(item)
        return item is not SPOKEN

    assert await outbox.get(offer) is STARTED
    outbox.emit(TOOL)
    assert await outbox.get(offer) is TOOL
    assert offered == []
    async with asyncio.TaskGroup() as tasks:
        refused = tasks.create_task(outbox.get(offer))
        await asyncio.sleep(0)
        outbox.emit(FLUSHED)
        outbox.answer("pong")
        assert (offered, outbox.taken, outbox.waiting) == ([FLUSHED, "pong"], 4, 0)
        outbox.emit(SPOKEN)
        outbox.emit(FLUSHED)
        assert await refused is SPOKEN
    assert offered == [FLUSHED, "pong", SPOKEN]
    assert await rest(outbox) == [FLUSHED]


async def test_one_that_gave_up_waiting_is_offered_nothing() -> None:
    """The connection is gone: what comes is kept for the next."""
    outbox, offered = filled(), list[ev.TurnEvent | str]()

    def offer(item: ev.TurnEvent | str) -> bool:
        offered.append(item)
        return True

    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(outbox.get(offer))
        await asyncio.sleep(0)
        waiting.cancel()
    outbox.emit(SPOKEN)
    assert offered == []
    assert await rest(outbox) == [SPOKEN]


async def test_unsent_speech_can_be_taken_back() -> None:
    """Words and flushes of that turn go, their length in code points comes back, all else stays in its order."""
    other = spoke("other", "t0")
    outbox = filled(STARTED, spoke("ab"), other, FLUSHED, TOOL, spoke("\N{GRINNING FACE}c"), SPOKEN)
    assert outbox.recall("t1") == 4
    assert await rest(outbox) == [STARTED, other, TOOL, SPOKEN]


async def test_what_has_left_cannot_be_taken_back() -> None:
    """It was sent, and counts as such."""
    outbox = filled(spoke("ab"), spoke("cd"))
    await outbox.get()
    assert outbox.recall("t1") == 2
    assert outbox.recall("t1") == 0


@pytest.mark.parametrize(("more", "overflows"), [(MOST_WAITING, False), (MOST_WAITING + 1, True)])
def test_too_much_that_waits_is_noticed(more: int, overflows: bool) -> None:
    """At 1,024 events a client is slow, with one more it is too slow."""
    outbox = filled()
    outbox.attach()
    for _ in range(more):
        outbox.emit(SPOKEN)
    assert outbox.overflowing.is_set() is overflows


def test_what_waited_for_a_client_is_not_held_against_it() -> None:
    """Only what comes while it is there counts."""
    outbox = filled(*[SPOKEN] * (MOST_WAITING + 10))
    outbox.attach()
    assert not outbox.overflowing.is_set()
    for _ in range(MOST_WAITING):
        outbox.emit(SPOKEN)
    assert not outbox.overflowing.is_set()
    outbox.emit(SPOKEN)
    assert outbox.overflowing.is_set()


async def test_answers_are_for_the_client_that_asked() -> None:
    """The next one does not get them; it gets every event."""
    outbox = Outbox(lambda _: None)
    outbox.emit(STARTED)
    outbox.answer("pong")
    outbox.attach()
    outbox.emit(SPOKEN)
    assert [await outbox.get(), await outbox.get()] == [STARTED, SPOKEN]


async def test_an_answer_takes_its_place_among_the_events() -> None:
    """It is no event of the session's: nobody observes it, and no recall takes it back."""
    seen: list[ev.TurnEvent] = []
    outbox = Outbox(seen.append)
    outbox.emit(STARTED)
    outbox.answer("pong")
    outbox.emit(spoke("a"))
    assert outbox.recall("t1") == 1
    assert [await outbox.get(), await outbox.get()] == [STARTED, "pong"]
    assert len(seen) == 2
