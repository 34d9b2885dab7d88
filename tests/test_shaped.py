"""Speech said in another form than it was written: when it leaves, what is kept, and where a mark cuts."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calls import Ear, World, call
from tests.speech.cuts import texts
from tests.turns import FINISHED, Bench, setup
from tests.turns import call as tool_call
from voice_agent import events as ev
from voice_agent.manner import Manner
from voice_agent.messages import Message, Opaque
from voice_agent.rules.kinds import RequiredBeforeExit
from voice_agent.session import Session
from voice_agent.speech.form import RAW, SpeechForm
from voice_agent.turn import Turn

BOTH = SpeechForm(spoken=True, sentences=True)
FORMS = [SpeechForm(spoken=True), SpeechForm(sentences=True), BOTH]
WRITTEN = "**Sure**, see https://example.com/a?b=c. Bye"  # said: Sure, see example.com/a. Bye


def bench(form: SpeechForm = BOTH, **changes: Any) -> Bench:
    return Bench(Turn(setup(form=form, **changes)))


def said(play: Bench) -> list[str]:
    return [event.text for event in play.of(ev.Spoke)]


def order(play: Bench) -> list[str]:
    """What was told, in order: the words themselves, and the names of other events."""
    return [out.text if isinstance(out, ev.Spoke) else type(out).__name__ for out in play.out]


def reply(play: Bench) -> Message:
    return next(message for message in play.ended.messages if message.role == "assistant")


@pytest.mark.parametrize(
    ("mark", "heard"),
    [
        (ev.Mark(chars=0), ""),
        (ev.Mark(chars=3), "**Sur"),
        (ev.Mark(chars=4), "**Sure**"),
        (ev.Mark(chars=10), "**Sure**, see "),
        (ev.Mark(chars=11), "**Sure**, see https://e"),
        (ev.Mark(chars=23), "**Sure**, see https://example.com/a?b=c"),
        (ev.Mark(text="Sure, see example"), "**Sure**, see https://example"),
        (ev.Mark(ms=1000), "**Sure**, see https://examp"),
        (ev.Mark(chars=999), WRITTEN),
    ],
)
def test_a_mark_in_what_was_said_cuts_what_was_written(mark: ev.Mark, heard: str) -> None:
    """Every measure counts what was said; the history has what was written for it, and is marked if it stops short."""
    play = bench()
    play.feed(ev.TextDelta(WRITTEN), FINISHED)
    assert "".join(said(play)) == "Sure, see example.com/a. Bye"
    ledger = play.turn.ledger
    ledger.move(mark, done=False, now=2.0)
    (_, message) = play.turn.settled(interrupted=False)
    assert (ledger.heard, ledger.generated, message.heard) == (heard, WRITTEN, heard)
    assert message.interrupted == (heard != WRITTEN)


@settings(deadline=None, max_examples=150)
@given(texts.filter(bool), st.integers(1, 9), st.sampled_from(FORMS))
def test_any_text_in_any_form_is_kept_as_it_was_written(text: str, size: int, form: SpeechForm) -> None:
    """Unmarked, all of it counts as heard; a mark anywhere gives a beginning of it, and a later mark no less."""
    play = bench(form)
    play.feed(*(ev.TextDelta(text[at : at + size]) for at in range(0, len(text), size)), FINISHED)
    ended, ledger = play.ended, play.turn.ledger
    assert (ended.generated, ended.heard, reply(play).heard) == (text, text, text)
    assert not reply(play).interrupted
    before = ""
    for chars in range(len("".join(said(play))) + 1):
        ledger.move(ev.Mark(chars=chars), done=False, now=1.0)
        assert text.startswith(ledger.heard)
        assert ledger.heard.startswith(before)
        before = ledger.heard
    assert before == text


def test_pieces_leave_as_they_are_complete_and_the_last_with_the_turn() -> None:
    """The first clause goes with its last token; what no full stop ends goes before the turn is said to be spoken."""
    play = bench()
    told = [play.feed(ev.TextDelta(text)) for text in ("Sure", ",", " I", " can.", " So", " Bye")]
    assert [[out.text for out in outs if isinstance(out, ev.Spoke)] for outs in told] == [
        [], ["Sure,"], [], [], [" I can."], [],
    ]  # fmt: skip
    play.feed(FINISHED)
    assert order(play)[-4:] == ["StopWork", " So Bye", "TurnSpoken", "TurnEnded"]


def test_words_before_thoughts_are_said_before_them() -> None:
    """A model may think for long before it goes on."""
    play = bench()
    play.feed(ev.TextDelta("Sure, I can."), Opaque("m", "thinking", "hm"))
    assert said(play) == ["Sure,", " I can."]


def test_words_before_a_call_are_said_before_it_starts() -> None:
    """A call's first piece lets go of them, with their own kind."""
    play = bench()
    play.feed(ev.TextDelta("Let me see"), tool_call(0, "look", '{"q":"x"}'))
    assert order(play)[-3:] == ["Let me see", "ToolCalled", "RunTool"]
    assert play.of(ev.Spoke)[0].kind == "reply"


def test_an_utterance_is_said_before_its_flush() -> None:
    """The end of the string lets go of what no full stop ends."""
    play = bench()
    play.feed(ev.ToolCallDelta(0, "p0", "look", '{"pre_exec_msg":"*One*'), ev.ToolCallDelta(0, json=' moment"'))
    assert order(play)[-2:] == ["One moment", "Flushed"]
    play.feed(ev.UserInterrupted(ev.Mark(chars=3)))
    (made,) = reply(play).tool_calls
    assert (made.utterance, made.heard) == ("*One* moment", "*One*")


def test_a_barge_in_drops_what_was_kept_back() -> None:
    """Nothing is said after it; the words that were not said were not heard, but generated."""
    play = bench()
    play.feed(ev.TextDelta("Well, I thought that"))
    before = len(said(play))
    play.feed(ev.UserInterrupted())
    assert (said(play), before) == (["Well,"], 1)
    assert (play.ended.heard, play.ended.generated) == ("", "Well, I thought that")
    assert reply(play).interrupted


def test_more_words_join_while_nothing_was_said() -> None:
    """What was kept back belongs to the answer that nobody will hear."""
    play = bench()
    play.feed(ev.TextDelta("I thi"))
    assert play.turn.untouched
    play.feed(ev.UserSpoke("hello you", revision=1), ev.TextDelta("Hi."), FINISHED)
    assert (said(play), play.ended.generated, play.ended.heard) == (["Hi."], "Hi.", "Hi.")


def test_what_was_said_of_a_failed_reply_comes_before_the_notice() -> None:
    """Each in the slot and kind it belongs to."""
    play = bench(failure_notice="Sorry.")
    play.feed(ev.TextDelta("I was"), ev.ModelFailed("gone"))
    assert [(event.text, event.kind) for event in play.of(ev.Spoke)] == [("I was", "reply"), ("Sorry.", "notice")]
    assert play.ended.generated == "I wasSorry."


def test_words_that_do_not_count_are_said_before_the_reminder() -> None:
    """They belong to the step that the reminder ends."""
    play = bench(rules=[RequiredBeforeExit(tool="look")])
    play.feed(ev.TextDelta("No"), FINISHED)
    assert order(play)[-3:] == ["No", "SaveStep", "CallModel"]


def test_given_words_are_shaped_too() -> None:
    """A greeting in pieces of its kind, then its flush."""
    play = bench(words=("**Hi.** I am here", "greeting"))
    assert order(play) == ["TurnStarted", "Hi.", " I am here", "Flushed", "StopWork", "TurnSpoken", "TurnEnded"]


def test_a_turn_is_rebuilt_with_what_was_said_of_it() -> None:
    """A finished step counts as many characters as were said, not as were written."""
    done = (Message("assistant", "**Sure**, *yes*.", 0.0),)
    play = Bench(Turn(setup(form=BOTH), done))
    play.turn.ledger.move(ev.Mark(chars=9), done=False, now=1.0)
    assert play.turn.ledger.heard == "**Sure**, *yes*"


def test_raw_speech_leaves_as_it_comes() -> None:
    """Nothing is kept back, and nothing is changed."""
    play = bench(RAW)
    play.feed(ev.TextDelta("**He"), ev.TextDelta("y"), FINISHED)
    assert said(play) == ["**He", "y"]


def test_first_speech_is_when_the_first_clause_leaves() -> None:
    """A session's form holds from its next turn on, and the latency tells of speech that was let go."""
    world = World([ev.TextDelta("Well"), 1.0, ev.TextDelta(", yes"), 1.0, ev.TextDelta("."), FINISHED])
    heard: list[Ear] = []

    async def caller(session: Session, ear: Ear) -> None:
        heard.append(ear)
        session.wiring = replace(session.wiring, manner=Manner(spoken=True, sentences=True))
        session.handle(ev.UserSpoke("hi", turn_id="t1"))
        await asyncio.sleep(5)
        session.handle(ev.UserInterrupted(ev.Mark(chars=5)))

    call(world, caller)
    (ear,) = heard
    assert ear.said == "Well, yes."
    assert ear.ended("t1").latency.first_speech == 1000.0
    assert ear.of(ev.TurnHeard)[-1].heard == "Well,"
