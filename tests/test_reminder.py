"""When the agent says something because the caller does not."""

import pytest

from voice_agent.reminder import Reminder


def test_silence_begins_where_the_voice_ends() -> None:
    """By estimate at first, by what the client reports as soon as it does; then the wait runs down to nothing."""
    reminder = Reminder(15)
    assert reminder.due_in(voice_until=8.0, now=3.0) == 20.0
    assert reminder.due_in(voice_until=10.0, now=10.0) == 15.0
    assert reminder.due_in(voice_until=10.0, now=24.0) == 1.0
    assert reminder.due_in(voice_until=10.0, now=99.0) == 0.0


def test_nothing_is_due_before_the_agent_has_said_anything() -> None:
    """Whoever was not greeted is waited for."""
    reminder = Reminder(15)
    reminder.caller_did(5.0)
    assert reminder.due_in(voice_until=0.0, now=100.0) is None


def test_an_agent_may_have_none() -> None:
    """Then no silence is too long."""
    assert Reminder(None).due_in(voice_until=1.0, now=1000.0) is None


def test_whatever_the_caller_does_begins_it_again() -> None:
    """Words that are not final yet are a sign of life, too."""
    reminder = Reminder(15)
    reminder.caller_did(20.0)
    assert reminder.due_in(voice_until=10.0, now=21.0) == 14.0
    reminder.caller_did(30.0)
    assert reminder.due_in(voice_until=40.0, now=30.0) == 25.0


def test_nothing_is_due_while_something_is_under_way() -> None:
    """A turn may leave two tools running: the silence begins when the last of them is done."""
    reminder = Reminder(15)
    reminder.began()
    reminder.began()
    reminder.ended(20.0)
    reminder.began()
    reminder.ended(40.0)
    assert reminder.due_in(voice_until=10.0, now=50.0) is None
    reminder.ended(60.0)
    assert reminder.due_in(voice_until=10.0, now=60.0) == 15.0
    assert reminder.due_in(voice_until=63.0, now=60.0) == 18.0


def remind(reminder: Reminder, at: float) -> None:
    """The reminder is said, in a turn that is over at once."""
    reminder.gave()
    reminder.began()
    reminder.ended(at)


@pytest.mark.parametrize("does_something", [False, True])
def test_there_are_two_in_a_row_at_most(does_something: bool) -> None:
    """The third waits for a caller who does something, and for their silence after that."""
    reminder = Reminder(15)
    for at in (25.0, 42.0):
        assert reminder.due_in(voice_until=at - 15, now=at) == 0.0
        remind(reminder, at)
    if does_something:
        reminder.caller_did(50.0)
    assert reminder.due_in(voice_until=44.0, now=100.0) == (0.0 if does_something else None)
