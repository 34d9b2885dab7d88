"""Whole sessions that think ahead, whatever the caller does and whenever: nothing of it is remembered, said or done."""

import asyncio
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calls import Caller, Ear
from tests.speculation.town import Town, play
from tests.turns import check_valid_for_providers
from tests.virtual_time import run
from voice_agent import events as ev
from voice_agent.messages import Message
from voice_agent.session import Session
from voice_agent.speculation.speculation import plain

_WORDS = ["hello", "Hello.", "hello?", "look it up", "Look it  up", "please write", "look and write"]
_PACES = [(0.05, 0.01), (0.3, 0.05), (1.2, 0.3)]
_texts, _ids = st.sampled_from(_WORDS), st.sampled_from([None, "a", "b"])
_gaps = st.sampled_from([0.0, 0.05, 0.11, 0.4, 1.3])
_interims = st.tuples(st.just("interim"), _texts, _ids, st.integers(0, 2), _gaps)
_marks = st.integers(0, 40)
_others = st.one_of(
    st.tuples(st.just("note"), st.sampled_from(["it rains", "it snows"]), _gaps),
    st.tuples(st.just("say"), st.sampled_from(["One thing.", "Another."]), _gaps),
    st.tuples(st.just("keys"), st.sampled_from(["1", "2#"]), _gaps),
    st.tuples(st.just("interrupt"), _marks, _gaps),
    st.tuples(st.just("played"), _marks, _gaps),
)
_Step = tuple[Any, ...]


def caller_of(schedule: list[_Step], stays_s: float = 40.0) -> Caller:
    """Does all that, and hangs up so many seconds later."""

    async def caller(session: Session, ear: Ear) -> None:
        for step in schedule:
            _act(session, ear, step)
            await asyncio.sleep(step[-1])
        await asyncio.sleep(stays_s)

    return caller


def _act(session: Session, ear: Ear, step: _Step) -> None:
    last = next((event.turn_id for event in reversed(ear.events) if isinstance(event, ev.TurnStarted)), None)
    match step:
        case ("interim", text, turn_id, revision, _):
            session.handle(ev.UserSpoke(text, False, turn_id, revision))
        case ("final", text, turn_id, revision, _):
            session.handle(ev.UserSpoke(text, True, turn_id, revision))
        case ("note", text, _):
            session.handle(ev.ContextAdded(text))
        case ("say", text, _):
            session.handle(ev.SayRequested(text))
        case ("keys", digits, _):
            session.handle(ev.UserPressed(digits))
        case ("interrupt", chars, _):
            session.handle(ev.UserInterrupted(ev.Mark(chars=chars), last))
        case ("played", chars, _) if last is not None:
            session.handle(ev.PlaybackMoved(last, ev.Mark(chars=chars)))


def remembered(town: Town) -> list[Message]:
    """What is stored but for the times, the ids, and what of the user's words does not count."""
    ids: dict[str, str] = {}

    def known(call_id: str) -> str:
        return ids.setdefault(call_id, f"call {len(ids)}")

    out = []
    for message in run(town.history()):
        calls = tuple(msgspec.structs.replace(made, id=known(made.id)) for made in message.tool_calls)
        answers = None if message.tool_call_id is None else known(message.tool_call_id)
        text = plain(message.text) if message.role == "user" else message.text
        out.append(msgspec.structs.replace(message, text=text, at=0.0, tool_calls=calls, tool_call_id=answers))
    return out


def told(town: Town) -> list[tuple[str, str, str]]:
    """What the caller was told of each turn: all of its speech, how it ended, what was heard."""
    (ear,) = town.ears
    said: dict[str, str] = {}
    for event in ear.of(ev.Spoke):
        said[event.turn_id] = said.get(event.turn_id, "") + event.text
    return [(said.get(event.turn_id, ""), event.reason, event.heard) for event in ear.of(ev.TurnEnded)]


def rounds(texts: list[tuple[list[_Step], str, str | None]]) -> list[_Step]:
    """What happens before each final text, which then is answered and heard out."""
    steps: list[_Step] = []
    for number, (before, text, turn_id) in enumerate(texts):
        named = [
            (*step[:2], f"{step[2]}{number}" if step[2] else None, *step[3:]) if step[0] == "interim" else step
            for step in before
        ]
        steps += [*named, ("final", text, f"{turn_id}{number}" if turn_id else None, 1, 30.0)]
    return steps


_quiet_before = st.lists(
    st.one_of(
        _interims,
        _interims,
        _interims,
        st.tuples(st.just("note"), st.sampled_from(["a", "b"]), _gaps),
        st.tuples(st.just("interrupt"), _marks, _gaps),
        st.tuples(st.just("played"), _marks, _gaps),
    ),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(_quiet_before, _texts, _ids), min_size=1, max_size=3),
    st.sampled_from(_PACES),
    st.sampled_from([{}, {"resume_after_ms": 500}]),
)
def test_a_call_is_the_same_with_and_without_interim_texts(
    texts: list[tuple[list[_Step], str, str | None]], pace: tuple[float, float], voice: dict[str, Any]
) -> None:
    """What is stored, what is said, how each turn ends, what was heard, and what was done that has effects."""
    steps = rounds(texts)
    town, other = Town(pace, **voice), Town(pace, **voice, speculation=False)
    play(town, caller_of(steps))
    play(other, caller_of(steps))
    assert remembered(town) == remembered(other)
    assert told(town) == told(other)
    assert town.done.count("write") == other.done.count("write")
    assert town.mind.most_open <= other.mind.most_open + 1


_finals = st.tuples(st.just("final"), _texts, _ids, st.integers(0, 2), _gaps)
_anything = st.lists(st.one_of(_interims, _interims, _finals, _others), max_size=10)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(_anything, min_size=1, max_size=2),
    st.sampled_from(_PACES),
    st.booleans(),
    st.sampled_from([0.0, 0.3, 40.0]),
)
def test_whatever_happens_and_whenever_nothing_is_lost_and_nothing_is_left(
    schedules: list[list[_Step]], pace: tuple[float, float], resumes: bool, stays_s: float
) -> None:
    """Of one call, or of two of the same user: every history is valid, every turn that began ends, no words are lost,
    nothing with effects is done that no caller was told of.
    """
    town = Town(pace, resume_after_ms=500 if resumes else 0)
    play(town, *(caller_of(schedule, stays_s) for schedule in schedules))
    history = run(town.history())
    check_valid_for_providers(history)
    called = 0
    for ear in town.ears:
        began = {(event.turn_id, event.revision) for event in ear.of(ev.TurnStarted)}
        ended = [event for event in ear.of(ev.TurnEnded) if event.messages]
        assert {turn_id for turn_id, _ in began} == {event.turn_id for event in ended}
        called += sum(event.name == "write" for event in ear.of(ev.ToolCalled))
    assert town.done.count("write") <= called
    assert town.mind.most_open <= 2 * len(schedules)
    if len(schedules) == 1:
        other = Town(pace, speculation=False)
        play(other, caller_of(schedules[0], stays_s))
        assert words(town) == words(other)


def words(town: Town) -> str:
    """All that is stored of what the caller said, in its order."""
    return " ".join(plain(message.text) for message in run(town.history()) if message.role == "user")
