"""The ledger of speech: marks in every measure, and what they make of a turn's messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.events import Mark
from voice_agent.heard import Ledger, Slot, prefix_length
from voice_agent.messages import Message, ToolCall

TEXT = Slot(0)


def said(*pieces: str) -> Ledger:
    ledger = Ledger()
    for piece in pieces:
        ledger.spoke(TEXT, piece, 0.0)
    return ledger


@pytest.mark.parametrize(
    ("mark", "heard"),
    [
        (Mark(chars=0), ""),
        (Mark(chars=3), "One"),
        (Mark(chars=999), "One, two."),
        (Mark(text="One,"), "One,"),
        (Mark(text="one two"), "One, two"),
        (Mark(text="something else"), ""),
        (Mark(ms=200), "One"),
        (Mark(ms=1e9), "One, two."),
    ],
)
def test_a_mark_says_how_much_was_heard(mark: Mark, heard: str) -> None:
    """By code points, by text as a synthesiser reports it, or by time at speaking rate; never past what was sent."""
    ledger = said("One, ", "two.")
    ledger.move(mark, done=False, now=1.0)
    assert ledger.heard == heard


def test_without_a_mark_all_that_was_sent_counts_as_heard() -> None:
    """Until a mark says otherwise; `done` takes marks back."""
    ledger = said("One, ", "two.")
    assert ledger.heard == "One, two."
    ledger.move(Mark(chars=2), done=False, now=1.0)
    ledger.move(None, done=True, now=2.0)
    assert ledger.heard == "One, two."


def test_an_interruption_counts_from_the_last_mark_at_speaking_rate() -> None:
    """The mark is where the voice was then, not where it is now."""
    ledger = said("x" * 100)
    ledger.move(Mark(chars=10), done=False, now=1.0)
    ledger.interrupt(None, unsent=0, now=2.0)
    assert len(ledger.heard) == 25


def test_silence_between_two_pieces_is_not_counted_as_speech() -> None:
    """An utterance, a slow tool, then the answer: the answer's voice begins with the answer."""
    ledger = Ledger()
    ledger.spoke(Slot(0, "c"), "One moment, please.", 0.0)
    ledger.spoke(Slot(1), "x" * 120, 10.0)
    ledger.interrupt(None, unsent=0, now=11.0)
    assert ledger.heard == "One moment, please." + "x" * 15


def test_pieces_that_come_faster_than_they_are_spoken_are_one_speech() -> None:
    """The voice goes on where it is, not where the last piece began."""
    ledger = Ledger()
    for i in range(10):
        ledger.spoke(TEXT, "x" * 15, i / 10)
    ledger.interrupt(None, unsent=0, now=2.0)
    assert len(ledger.heard) == 30


def test_code_points_are_counted_and_not_bytes() -> None:
    """A flag of two code points can be heard by half."""
    ledger = said("äöü🎉🇩🇪")
    ledger.move(Mark(chars=5), done=False, now=1.0)
    assert ledger.heard == "äöü🎉🇩"


@given(st.text(), st.integers(0, 50))
def test_every_prefix_is_found_exactly(text: str, cut: int) -> None:
    """A front end that reports the text itself is taken at its word."""
    assert prefix_length(text, text[:cut]) == len(text[:cut])


@given(st.lists(st.sampled_from(["Hello", "world", "it's", "five", "o'clock"]), min_size=1, max_size=6))
def test_words_are_found_whatever_became_of_case_and_punctuation(words: list[str]) -> None:
    """A synthesiser's report ends with the last word it spoke."""
    generated = ", ".join(words) + "!"
    assert generated[: prefix_length(generated, " ".join(words).upper())] == ", ".join(words)


def test_each_message_gets_its_share_and_is_marked_where_speech_stops_short() -> None:
    """An utterance precedes its step's text; what comes after the cut was not heard at all."""
    ledger = Ledger()
    ledger.spoke(Slot(0, "c"), "One moment.", 0.0)
    ledger.spoke(Slot(1), "It is five.", 1.0)
    ledger.move(Mark(chars=16), done=False, now=2.0)
    messages = (
        Message("user", "time?", 0.0),
        Message("assistant", "", 0.0, tool_calls=(ToolCall("c", "look", "{}", utterance="One moment."),)),
        Message("tool", "17:00", 0.0, tool_call_id="c"),
        Message("assistant", "It is five.", 0.0),
    )
    settled = ledger.settle(messages, interrupted=False)
    assert settled[1].tool_calls[0].heard == "One moment."
    assert [(message.heard, message.interrupted) for message in settled] == [
        (None, False), ("", False), (None, False), ("It is", True),
    ]  # fmt: skip


def test_an_interrupted_turn_is_marked_even_if_all_of_it_was_heard() -> None:
    """The model was still at it."""
    ledger = said("One, ")
    (settled,) = ledger.settle((Message("assistant", "One, ", 0.0),), interrupted=True)
    assert (settled.heard, settled.interrupted) == ("One, ", True)
