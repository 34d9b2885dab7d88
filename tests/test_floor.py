"""Who has the floor: what falls due, in which order, and what puts it off."""

import pytest

from tests.test_voice import Clock, said
from voice_agent.agent import Agent
from voice_agent.floor import Due, Floor


def made(**voice: float) -> tuple[Floor, Clock]:
    """A floor whose agent reminds after 5 seconds of silence and is idle after 60."""
    clock = Clock()
    agent = Agent(id="a", name="A", voice={"idle_reminder_s": 5, **voice}, sleeptime={"idle_after_s": 60})
    return Floor(agent, clock), clock


def speak(floor: Floor, clock: Clock, chars: int = 15, outliving: int = 0) -> None:
    """An answer, over as soon as it has begun; 15 characters are a second of speech."""
    floor.began(said(chars, clock.at))
    floor.turn_ended(outliving, answers=True)


def dues(floor: Floor, clock: Clock, until: float) -> list[tuple[float, Due]]:
    """What falls due until then, and when, if nothing else happens."""
    found = []
    while (seconds := floor.due_in()) is not None and clock.at + seconds <= until:
        clock.at += seconds
        if (due := floor.on_time()) is not None:
            found.append((clock.at, due))
    clock.at = until
    return found


def test_nothing_is_due_before_anything_was_said() -> None:
    """A session that was just opened waits."""
    floor, _ = made()
    assert (floor.due_in(), floor.on_time(), floor.agent_speaks) == (None, None, False)


def test_what_is_due_is_told_once() -> None:
    """Two reminders at most, each when it is due if none is said in between, and the end of the conversation so far."""
    floor, clock = made()
    speak(floor, clock)
    assert dues(floor, clock, 200) == [(6.0, "remind"), (6.0, "remind"), (60.0, "consolidate")]


def test_the_agent_is_heard_until_its_voice_ends() -> None:
    """By estimate."""
    floor, clock = made()
    speak(floor, clock, 30)
    clock.at = 1.9
    assert floor.agent_speaks
    clock.at = 2.0
    assert not floor.agent_speaks


def test_a_goodbye_comes_before_all_else() -> None:
    """And nobody is hung up on who speaks; a murmur is no objection."""
    floor, clock = made()
    speak(floor, clock)
    floor.voice.leave_after("t1", "hang_up")
    floor.resume_in(2.0)
    floor.caller_listens()
    assert dues(floor, clock, 1.99) == []
    assert floor.due_in() == pytest.approx(0.01)
    assert floor.voice.leaving == "hang_up"
    clock.at = 2.0
    assert floor.on_time() == "hang up"
    floor.caller_did()
    assert floor.on_time() == "resume"
    assert floor.on_time() is None


def test_tools_that_outlive_their_turn_hold_the_reminder() -> None:
    """Until the last of them has ended, and five seconds from then on."""
    floor, clock = made()
    speak(floor, clock, outliving=2)
    assert dues(floor, clock, 20) == []
    floor.tool_ended()
    assert dues(floor, clock, 30) == []
    floor.tool_ended()
    assert dues(floor, clock, 40)[0] == (35.0, "remind")


def test_nobody_is_reminded_who_is_not_there() -> None:
    """The conversation is consolidated all the same; back, they are given time."""
    floor, clock = made()
    speak(floor, clock)
    floor.attend(there=False)
    assert dues(floor, clock, 100) == [(60.0, "consolidate")]
    floor.attend(there=True)
    assert dues(floor, clock, 106)[0] == (105.0, "remind")


def test_only_an_answer_counts_for_consolidation() -> None:
    """What the agent says of itself puts nothing off."""
    floor, clock = made()
    speak(floor, clock)
    clock.at = 50.0
    floor.began(said(15, clock.at))
    floor.turn_ended(0, answers=False)
    assert (60.0, "consolidate") in dues(floor, clock, 200)
