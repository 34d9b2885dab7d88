"""Until when the agent is heard, by its turns' ledgers, and when to hang up."""

from tests.turns import setup
from voice_agent.events import Mark
from voice_agent.heard import Ledger, Slot
from voice_agent.shaped import account_of
from voice_agent.speaking_rate import SpeakingRate
from voice_agent.speech.form import SpeechForm
from voice_agent.voice import Voice

TEXT = Slot(0)


class Clock:
    """A clock that stands where it is set."""

    at = 0.0

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at


def said(chars: int, at: float, free_at: float = 0.0) -> Ledger:
    ledger = Ledger(SpeakingRate(), free_at)
    ledger.spoke(TEXT, "x" * chars, at)
    return ledger


def test_nobody_was_heard_before_the_first_turn_that_speaks() -> None:
    """A turn without a word changes nothing."""
    voice = Voice(Clock())
    assert voice.until == 0.0
    voice.says(Ledger(SpeakingRate()))
    assert voice.until == 0.0


def test_the_voice_is_heard_until_the_last_turn_is_said() -> None:
    """A turn behind another waits for it; a silent one leaves it as it is."""
    voice = Voice(Clock())
    voice.says(said(75, 1.0))
    assert voice.until == 6.0
    voice.says(said(30, 2.0, free_at=voice.until))
    assert voice.until == 8.0
    voice.says(Ledger(SpeakingRate(), free_at=voice.until))
    assert voice.until == 8.0


def test_what_is_told_to_a_ledger_is_known_at_once() -> None:
    """How far it was played, that it was stopped, and what it says beside."""
    clock = Clock()
    voice, ledger = Voice(clock), said(75, 0.0)
    voice.says(ledger)
    clock.at = 1.0
    ledger.move(Mark(chars=0), done=False, now=1.0)
    assert voice.until == 6.0
    ledger.spoke(TEXT, "x" * 15, 1.0)
    assert voice.until == 7.0
    clock.at = 3.0
    ledger.interrupt(None, unsent=0, now=3.0)
    assert voice.until == 3.0


def test_marks_count_for_a_turn_behind_which_one_is_silent() -> None:
    """A tool call without a word does not hide what is still being said."""
    clock = Clock()
    voice, ledger = Voice(clock), said(75, 0.0)
    voice.says(ledger)
    voice.says(Ledger(SpeakingRate(), free_at=voice.until))
    clock.at = 1.0
    ledger.move(Mark(chars=0), done=False, now=1.0)
    assert voice.until == 6.0


def test_what_is_said_takes_time_and_not_what_is_written() -> None:
    """An address that is written in full and said in short is over as soon as it was said."""
    account = account_of(setup(form=SpeechForm(spoken=True)), ())
    account.say_all("[more](https://example.com/a/very/long/address)", "reply", 0.0)
    voice = Voice(Clock())
    voice.says(account.ledger)
    assert voice.until == len(account.ledger.said) / 15
    assert len(account.ledger.said) < 15


def test_the_call_ends_a_moment_after_the_last_word() -> None:
    """By what the client reports, as soon as it does; never in the past, and not at all if nobody is to leave."""
    clock = Clock()
    voice, ledger = Voice(clock), said(75, 0.0)
    voice.says(ledger)
    assert (voice.hang_up_in(), voice.leaving) == (None, None)
    voice.leave_after("t1", "transfer")
    assert (voice.hang_up_in(), voice.last_turn, voice.leaving, voice.then) == (6.0, "t1", "transfer", "transfer")
    clock.at = 1.0
    ledger.move(Mark(chars=60), done=False, now=1.0)
    assert voice.hang_up_in() == 2.0
    clock.at = 50.0
    assert voice.hang_up_in() == 0.0
