"""Fillers: which phrases, and what the history has of those that were said."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calls import Ear, World
from tests.calls import call as call_session
from tests.test_turn import heard_in, play, scripts, without_times
from tests.turns import FINISHED, Bench, call, check_valid_for_providers, setup
from tests.waits import FIRST, SECOND, bench
from voice_agent import events as ev
from voice_agent.agent_parts import Voice
from voice_agent.fillers import PHRASES, Fillers, fillers_of
from voice_agent.manner import PLAIN
from voice_agent.rules.kinds import RequiredBeforeExit, RequiresApproval
from voice_agent.session import Session
from voice_agent.speaking_rate import SpeakingRate
from voice_agent.speech.form import SpeechForm
from voice_agent.turn import Turn
from voice_agent.turn_setup import TurnSetup

# ---- what is left of it ----


def test_a_filler_is_in_the_history_after_the_results() -> None:
    """As words of the assistant's that its reply follows; the next request does not show it yet."""
    waiting = bench()
    waiting.feed(call(0, "look"), FINISHED, ev.ToolReturned("call_x_0", "ok"), at=2.0)
    request = waiting.of(ev.CallModel)[1].request
    assert [message.role for message in request.turn] == ["user", "assistant", "tool"]
    (step,) = waiting.of(ev.SaveStep)
    assert [(message.role, message.text, message.filler) for message in step.messages] == [
        ("assistant", "", False), ("tool", "ok", False), ("assistant", FIRST, True),
    ]  # fmt: skip
    waiting.feed(ev.TextDelta("Here."), FINISHED)
    messages = waiting.ended.messages
    assert [(message.text, message.heard, message.filler) for message in messages[3:]] == [
        (FIRST, FIRST, True), ("Here.", "Here.", False),
    ]  # fmt: skip
    assert waiting.ended.generated == waiting.ended.heard == FIRST + "Here."


def test_a_filler_before_the_models_first_word_stands_before_its_reply() -> None:
    """Words or a call."""
    waiting = bench()
    waiting.wait(5.0)
    waiting.feed(call(0, "quiet"), FINISHED, ev.ToolReturned("call_x_0", "ok"))
    assert [message.text for message in waiting.of(ev.SaveStep)[0].messages] == [FIRST, "", "ok"]
    waiting.wait(10.5)
    waiting.feed(ev.TextDelta("Here."), FINISHED)
    assert [message.text for message in waiting.ended.messages] == ["hello", FIRST, "", "ok", SECOND, "Here."]


@pytest.mark.parametrize(("chars", "heard"), [(0, ""), (3, "One"), (15, FIRST), (99, FIRST)])
def test_a_filler_that_is_cut_into_is_kept_as_far_as_it_was_heard(chars: int, heard: str) -> None:
    """As the last words of the turn, which no reply follows."""
    waiting = bench()
    waiting.feed(call(0, "look"), FINISHED, ev.UserInterrupted(ev.Mark(chars=chars)))
    check_valid_for_providers(waiting.ended.messages)
    assert [message.role for message in waiting.ended.messages] == ["user", "assistant", "tool", "assistant"]
    last = waiting.ended.messages[-1]
    assert (last.text, last.heard, last.interrupted, last.filler) == (FIRST, heard, True, False)
    assert waiting.ended.heard == heard


def test_words_of_the_step_that_follow_a_filler_follow_it_in_the_history() -> None:
    """As they were heard."""
    waiting = bench()
    waiting.feed(call(0, "look"), ev.TextDelta("I look."), FINISHED, ev.ToolReturned("call_x_0", "ok"))
    (step,) = waiting.of(ev.SaveStep)
    assert [message.text for message in step.messages] == [FIRST, "I look.", "ok"]


def test_a_turn_that_was_left_while_its_model_was_silent_is_its_filler() -> None:
    """No empty words of the model's stand for what it did not say."""
    waiting = bench()
    waiting.wait(5.0)
    waiting.feed(ev.UserInterrupted(ev.Mark(chars=3)))
    (last,) = waiting.ended.messages[1:]
    assert (last.text, last.heard, last.interrupted) == (FIRST, "One", True)


def test_a_rebuilt_turn_goes_on_with_the_next_phrase() -> None:
    """What was said before is in its messages, each filler in its place."""
    waiting = bench()
    waiting.feed(call(0, "look"), FINISHED, ev.ToolReturned("call_x_0", "ok"))
    (step,) = waiting.of(ev.SaveStep)
    again = Bench(Turn(waiting.turn.setup, step.messages))
    again.feed(call(0, "look"), FINISHED, ev.ToolReturned("call_x_1", "ok"), at=9.0)
    again.feed(ev.TextDelta("Here."), FINISHED, ev.UserLeft())
    assert again.ended.heard == FIRST + SECOND + "Here."
    assert [message.heard for message in again.ended.messages if message.filler] == [FIRST, SECOND]


def test_a_filler_is_no_answer_to_a_denial() -> None:
    """Where a person has said no, words are an answer, whatever was said meanwhile."""
    waiting = bench(rules=[RequiresApproval(tool="look"), RequiredBeforeExit(tool="look")])
    waiting.feed(call(0, "look"), FINISHED, ev.ApprovalGiven("call_x_0", approved=False))
    waiting.feed(ev.TextDelta("Then not."), FINISHED)
    assert waiting.ended.reason == "end_turn"


def test_a_filler_in_spoken_form_is_kept_as_it_was_written() -> None:
    """And what the model wrote before it is said before it."""
    form = SpeechForm(spoken=True, sentences=True)
    waiting = bench(form=form, fillers=Fillers(1.5, 4.0, ("*Well*. One moment",)))
    waiting.feed(call(0, "look"), ev.TextDelta("I am at"))
    waiting.wait(4.0)
    assert "".join(event.text for event in waiting.of(ev.Spoke)) == "Well. One momentI am atWell. One moment"
    waiting.feed(ev.UserInterrupted(ev.Mark(chars=4)))
    assert waiting.ended.heard == "*Well*"
    assert waiting.ended.generated == "*Well*. One momentI am at*Well*. One moment"


def test_words_that_come_after_a_filler_are_a_new_turn() -> None:
    """It was heard, so that the turn is no longer untouched."""
    waiting = bench()
    assert waiting.turn.untouched
    waiting.wait(5.0)
    assert not waiting.turn.untouched


# ---- for any sequence of events ----

_EAGER = Fillers(after_s=0.1, model_s=0.15, phrases=("Hm. ", "So. ", "Well. "))


@settings(max_examples=300, deadline=None)
@given(scripts)
def test_every_turn_with_fillers_ends_with_a_history_any_provider_accepts(script: list[Any]) -> None:
    """All that was said is in it, in its order, as far as it was heard; requests hold none of the fillers."""
    whole = play(Turn(setup(fillers=_EAGER, failure_notice="Sorry.")), script)
    ended = whole.ended
    check_valid_for_providers(ended.messages)
    assert ended.generated == "".join(event.text for event in whole.of(ev.Spoke))
    assert ended.generated.startswith(ended.heard)
    assert sorted(heard_in(ended.messages)) == sorted(ended.heard)
    for effect in whole.of(ev.CallModel):
        check_valid_for_providers(effect.request.turn)
        assert not any(message.filler for message in effect.request.turn)
        assert effect.request.turn[-1].role in ("user", "tool", "context")
    flagged = [i for i, message in enumerate(ended.messages) if message.filler]
    assert all(ended.messages[i + 1].role == "assistant" for i in flagged)


@settings(max_examples=300, deadline=None)
@given(scripts, st.integers(0, 4))
def test_a_turn_with_fillers_can_be_rebuilt_at_any_step_border(script: list[Any], border: int) -> None:
    """From its messages alone: the same requests from there on, the same phrases, the same history."""
    whole = play(Turn(_rebuildable()), script)
    saved = whole.of(ev.SaveStep)
    if border >= len(saved):
        return
    at = whole.out.index(saved[border])
    rest = whole.out[at + 1 :]
    if not rest or not isinstance(rest[0], ev.CallModel):
        return
    done = tuple(message for effect in saved[: border + 1] for message in effect.messages)
    asked = sum(isinstance(output, ev.CallModel) for output in whole.out[: at + 1])
    again = play(Turn(_rebuildable(), done), script[asked:])
    requests = [effect.request for effect in again.of(ev.CallModel)]
    theirs = [effect.request for effect in whole.of(ev.CallModel)][asked:]
    assert [without_times(request.turn) for request in requests] == [without_times(request.turn) for request in theirs]
    assert without_times(again.ended.messages) == without_times(whole.ended.messages)
    assert sorted(again.ended.generated) == sorted(whole.ended.generated)


class _Instant(SpeakingRate):
    """A voice that takes no time: it is never in the middle of a step that a rebuilt turn knows nothing of."""

    def seconds(self, chars: float) -> float:
        return 0.0


def _rebuildable() -> TurnSetup:
    """Fillers that come at once and by no timer, which begins anew with the rebuilt turn."""
    return setup(fillers=Fillers(after_s=60.0, model_s=60.0, phrases=_EAGER.phrases), rate=_Instant())


# ---- which phrases ----


@pytest.mark.parametrize(
    ("languages", "language", "spoken"),
    [
        (("en",), None, "en"),
        (("de-CH", "fr"), None, "de"),
        (("de",), "FR-ca", "fr"),
        (("de",), "sv", "de"),
        (("sv",), None, "en"),
        (("sv", "fr"), "zh-Hant-TW", "zh"),
    ],
)
def test_the_phrases_are_those_of_the_language(languages: Any, language: str | None, spoken: str) -> None:
    """The session's, or else the agent's first, whatever its region."""
    found = fillers_of(Voice(languages=languages, filler_after_ms=700, first_token_deadline_ms=900), language)
    assert found == Fillers(0.7, 0.9, PHRASES[spoken])


def test_an_agents_own_phrases_come_first_and_none_are_none() -> None:
    """In every language."""
    own = fillers_of(Voice(fillers=("Hm.",)), "de")
    assert own is not None
    assert own.phrases == ("Hm.",)
    assert fillers_of(Voice(fillers=()), "de") is None


def test_every_language_has_a_few_short_phrases() -> None:
    """Each a sentence of its own."""
    assert len(PHRASES) == 15
    for phrases in PHRASES.values():
        assert 3 <= len(set(phrases)) <= 4
        assert all(len(phrase) <= 40 and phrase[-1] in ".。।" for phrase in phrases)


def test_a_call_is_filled_in_its_language_and_remembers_it() -> None:
    """The agent's first one, until the session names another; the next request shows what was said before."""
    looks, done = [call(0, "look"), FINISHED], [ev.TextDelta("Here."), FINISHED]
    world = World(looks, done, looks, done, voice={"fillers": None, "languages": ("de",)})

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("find it", turn_id="t1"))
        await asyncio.sleep(10)
        session.wiring = replace(session.wiring, manner=PLAIN._replace(language="fr-CA"))
        session.handle(ev.UserSpoke("and again", turn_id="t2"))
        await asyncio.sleep(10)
        assert [event.text for event in ear.of(ev.Spoke)] == [PHRASES["de"][0], "Here.", PHRASES["fr"][0], "Here."]
        assert ear.ended("t1").heard == PHRASES["de"][0] + "Here."

    call_session(world, caller)
    history = world.model.requests[2].history
    assert [(message.role, message.text, message.filler) for message in history[2:]] == [
        ("tool", "found ", False), ("assistant", PHRASES["de"][0], True), ("assistant", "Here.", False),
    ]  # fmt: skip
