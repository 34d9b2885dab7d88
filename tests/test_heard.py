"""The ledger of speech: marks in every measure, and what they make of a turn's messages."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.events import Mark
from voice_agent.heard import Ledger, Slot, prefix_length
from voice_agent.messages import Message, ToolCall
from voice_agent.speaking_rate import SpeakingRate

TEXT = Slot(0)


def said(*pieces: str) -> Ledger:
    ledger = Ledger(SpeakingRate())
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


@pytest.mark.parametrize(
    ("mark", "heard"),
    [
        (Mark(ms=400), "你好"),
        (Mark(ms=600), "你好、"),
        (Mark(ms=800), "你好、我"),
        (Mark(ms=900), "你好、我是"),
        (Mark(ms=1000), "你好、我是 A"),
        (Mark(text="你好我"), "你好、我"),
        (Mark(text="你好、我是 AL"), "你好、我是 Al"),
    ],
)
def test_a_mark_in_a_script_of_syllables(mark: Mark, heard: str) -> None:
    """Its signs take three times as long as letters do, beside which they may stand."""
    ledger = said("你好", "、我是", " Al.")
    ledger.move(mark, done=False, now=1.0)
    assert ledger.heard == heard


@pytest.mark.parametrize(
    ("generated", "reported", "covered"),
    [
        ("Café, über", "CAFE UB", "Café, üb"),
        ("हिन्दी, नमस्ते!", "हिन्दी नमस्ते", "हिन्दी, नमस्ते"),
        ("हिन्दी बोलो", "हिन्दी  बोलो", "हिन्दी बोलो"),
        ("Straße 5", "strasse", "Straße"),
        ("No.", "...", ""),
        ("\u0301No.", "?", ""),
        ("Hello", "Hello world", "Hello"),
    ],
)
def test_a_report_may_be_spelled_in_another_way(generated: str, reported: str, covered: str) -> None:
    """Case, accents, punctuation and composition make no difference; a vowel sign goes with its letter."""
    assert generated[: prefix_length(generated, reported)] == covered


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
    ledger = Ledger(SpeakingRate())
    ledger.spoke(Slot(0, "c"), "One moment, please.", 0.0)
    ledger.spoke(Slot(1), "x" * 120, 10.0)
    ledger.interrupt(None, unsent=0, now=11.0)
    assert ledger.heard == "One moment, please." + "x" * 15


def test_pieces_that_come_faster_than_they_are_spoken_are_one_speech() -> None:
    """The voice goes on where it is, not where the last piece began."""
    ledger = Ledger(SpeakingRate())
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
    ledger = Ledger(SpeakingRate())
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


def stretches() -> Ledger:
    """An utterance of 2 s at 0, a filler of 1 s at 10, a reply of 4 s at 20."""
    ledger = Ledger(SpeakingRate())
    ledger.spoke(Slot(0, "c"), "u" * 30, 0.0)
    ledger.spoke(TEXT, "f" * 15, 10.0)
    ledger.spoke(Slot(1), "r" * 60, 20.0)
    return ledger


@pytest.mark.parametrize(("ms", "chars"), [(1000, 15), (2000, 30), (2500, 37), (3000, 45), (5000, 75), (7001, 105)])
def test_milliseconds_are_those_of_speech(ms: int, chars: int) -> None:
    """The silence between an utterance, a filler and the reply is not played, so it does not count."""
    ledger = stretches()
    ledger.move(Mark(ms=ms), done=False, now=99.0)
    assert len(ledger.heard) == chars


def test_everything_is_said_when_the_last_stretch_is() -> None:
    """Each begins when it was handed out, or when what was handed out before it has been said."""
    ledger = Ledger(SpeakingRate())
    assert ledger.silent_at(5.0) == 0.0
    ledger.spoke(TEXT, "x" * 30, 5.0)
    ledger.spoke(TEXT, "x" * 30, 6.0)
    assert ledger.silent_at(6.0) == 9.0
    ledger.spoke(TEXT, "x" * 30, 20.0)
    assert ledger.silent_at(20.0) == 22.0
    assert ledger.silent_at(50.0) == 22.0


def test_what_waits_behind_the_speech_of_other_turns_begins_after_it() -> None:
    """Nothing of it was heard before, and the first of it a moment later."""
    ledger = Ledger(SpeakingRate(), free_at=10.0)
    assert ledger.silent_at(1.0) == 10.0
    ledger.spoke(TEXT, "x" * 30, 1.0)
    assert ledger.silent_at(1.0) == 12.0
    ledger.interrupt(None, unsent=0, now=9.0)
    assert ledger.heard == ""
    later = Ledger(SpeakingRate(), free_at=10.0)
    later.spoke(TEXT, "x" * 30, 1.0)
    later.interrupt(None, unsent=0, now=11.0)
    assert later.heard == "x" * 15


def test_a_mark_says_how_much_is_still_to_be_said() -> None:
    """More than was thought, or nothing any more."""
    ledger = said("x" * 60)
    ledger.move(Mark(chars=15), done=False, now=10.0)
    assert ledger.silent_at(10.0) == 13.0
    ledger.move(None, done=True, now=11.0)
    assert (ledger.silent_at(11.0), ledger.played) == (11.0, True)


@pytest.mark.parametrize("mark", [None, Mark(chars=15)])
def test_a_voice_that_was_stopped_is_silent_and_stays_where_it_is(mark: Mark | None) -> None:
    """A second interruption is none: the time since the first was not spoken in, and what was taken back stays so."""
    ledger = said("x" * 30, "y" * 30)
    ledger.interrupt(mark, unsent=30, now=1.0)
    assert (ledger.heard, ledger.silent_at(1.0)) == ("x" * 15, 1.0)
    ledger.interrupt(None, unsent=0, now=9.0)
    assert (ledger.heard, ledger.silent_at(9.0)) == ("x" * 15, 1.0)
    ledger.move(Mark(chars=99), done=False, now=9.0)
    assert ledger.heard == "x" * 30


def test_a_voice_that_is_hushed_is_silent_and_its_words_count_as_heard() -> None:
    """Until a mark says otherwise; one that was silent before has been so since then."""
    ledger = said("x" * 60)
    ledger.hush(1.0)
    assert (ledger.silent_at(2.0), ledger.heard, ledger.moves) == (1.0, "x" * 60, 0)
    ledger.move(Mark(chars=15), done=False, now=3.0)
    assert (ledger.heard, ledger.silent_at(3.0)) == ("x" * 15, 3.0)
    over = said("x" * 60)
    over.hush(50.0)
    assert over.silent_at(50.0) == 4.0
    waiting = Ledger(SpeakingRate(), free_at=9.0)
    waiting.hush(1.0)
    assert waiting.silent_at(1.0) == 1.0


@pytest.mark.parametrize("mark", [None, Mark(chars=15)])
def test_a_playback_that_was_done_after_all_was_heard(mark: Mark | None) -> None:
    """Whatever was thought when the caller spoke over its end; what had been taken back was not in it."""
    ledger = said("x" * 30, "y" * 30)
    ledger.interrupt(mark, unsent=30, now=1.0)
    ledger.move(None, done=True, now=1.1)
    assert (ledger.heard, ledger.played, ledger.silent_at(1.1)) == ("x" * 30, True, 1.1)


def test_marks_on_the_way_tell_how_fast_the_voice_is() -> None:
    """As often as they come: what counts is how far it went in between."""
    rate = SpeakingRate()
    ledger = Ledger(rate)
    ledger.spoke(TEXT, "x" * 1000, 0.0)
    for tick in range(1, 161):
        ledger.move(Mark(chars=tick * 5), done=False, now=tick / 4)
    assert 19 < rate.chars_per_s < 20
    ledger.interrupt(None, unsent=0, now=41.0)
    assert len(ledger.heard) == 819


def test_a_report_of_the_whole_playback_tells_it_too() -> None:
    """Of all that was said in it, silence left out."""
    rate = SpeakingRate()
    for _ in range(10):
        ledger = Ledger(rate)
        ledger.spoke(Slot(0, "c"), "x" * 40, 0.0)
        ledger.spoke(Slot(1), "x" * 60, 30.0)
        ledger.move(Mark(ms=10_000), done=True, now=36.0)
        assert ledger.heard == "x" * 100
    assert 10 < rate.chars_per_s < 10.5


@pytest.mark.parametrize(
    "mark",
    [Mark(ms=4000), Mark(chars=150), Mark(chars=999), Mark(chars=1), Mark(text="nothing")],
)
def test_a_mark_that_tells_nothing_of_the_rate_leaves_it_as_it_was(mark: Mark) -> None:
    """One that is counted by it, one at the end, where the voice may have waited, and one that no voice can be at."""
    rate = SpeakingRate()
    ledger = Ledger(rate)
    ledger.spoke(TEXT, "x" * 150, 0.0)
    ledger.move(mark, done=False, now=5.0)
    assert rate.chars_per_s == 15.0


def test_the_silence_before_a_stretch_is_not_taken_for_a_slow_voice() -> None:
    """It is measured from where it began."""
    rate = SpeakingRate()
    ledger = Ledger(rate)
    ledger.spoke(Slot(0, "c"), "x" * 30, 0.0)
    ledger.spoke(Slot(1), "x" * 200, 15.0)
    ledger.move(Mark(chars=130), done=False, now=20.0)
    assert 17 < rate.chars_per_s < 20


def test_a_pause_of_the_playback_is_not_taken_for_a_slow_voice() -> None:
    """What comes after it is measured from there on."""
    rate = SpeakingRate()
    ledger = Ledger(rate)
    ledger.spoke(TEXT, "x" * 900, 0.0)
    ledger.move(Mark(chars=30), done=False, now=60.0)
    assert rate.chars_per_s == 15.0
    for tick in range(1, 11):
        ledger.move(Mark(chars=30 + tick * 80), done=False, now=60.0 + tick * 4)
    assert 19 < rate.chars_per_s < 20


def test_a_mark_after_the_voice_was_stopped_tells_nothing_of_the_rate() -> None:
    """Nobody knows when it was taken."""
    rate = SpeakingRate()
    ledger = Ledger(rate)
    ledger.spoke(TEXT, "x" * 900, 0.0)
    ledger.interrupt(None, unsent=0, now=3.0)
    ledger.move(Mark(chars=50), done=False, now=8.0)
    ledger.move(Mark(ms=90_000), done=True, now=8.0)
    assert rate.chars_per_s == 15.0


MARKS = st.one_of(
    st.builds(Mark, chars=st.integers(0, 200)),
    st.builds(Mark, ms=st.floats(0, 1e5)),
    st.builds(Mark, text=st.text("xy zß好", max_size=20)),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("spoke"), st.sampled_from([Slot(0, "c"), TEXT, Slot(1)]), st.text("xy zß好", min_size=1)),
        st.tuples(st.just("mark"), MARKS, st.booleans()),
        st.tuples(st.just("wait"), st.floats(0, 30), st.none()),
    ),
    max_size=30,
)


@given(STEPS, st.one_of(st.none(), MARKS), st.integers(0, 50))
def test_what_was_heard_is_always_a_beginning_of_what_was_sent(
    steps: list[tuple[Any, Any, Any]], cut: Mark | None, unsent: int
) -> None:
    """Whatever is spoken and marked, in whatever order: the slots' shares add up, and the rate is a voice's."""
    rate, now = SpeakingRate(), 0.0
    ledger = Ledger(rate)
    for kind, what, more in steps:
        if kind == "spoke":
            ledger.spoke(what, more, now)
        elif kind == "mark":
            ledger.move(what, done=more, now=now)
        else:
            now += what
        assert ledger.said.startswith(ledger.heard)
    ledger.interrupt(cut, unsent=unsent, now=now)
    sent = ledger.said[: max(0, len(ledger.said) - unsent)]
    assert sent.startswith(ledger.heard)
    assert ledger.silent_at(now) <= now
    assert 5 <= rate.chars_per_s <= 40.001
    shares = sum(len(share) for share in ledger._heard_by_slot().values())
    assert shares == len(ledger.heard)


@given(st.lists(st.text("xy zß好", min_size=1, max_size=30), min_size=1), st.lists(st.floats(0, 60_000), min_size=2))
def test_a_later_time_is_never_an_earlier_place(pieces: list[str], times: list[float]) -> None:
    """However the words were cut into pieces; and the same text in one piece has the same places."""
    cut, whole = said(*pieces), said("".join(pieces))
    heard = []
    for ms in sorted(times):
        for ledger in (cut, whole):
            ledger.move(Mark(ms=ms), done=False, now=0.0)
        assert cut.heard == whole.heard
        heard.append(len(cut.heard))
    assert heard == sorted(heard)
