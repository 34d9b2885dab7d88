"""False alarms in whole calls: an interruption without words was none, and the rest is said after all."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calls import PAIR, Ear, World, call, hold
from tests.turns import call as tool_call
from tests.turns import check_valid_for_providers
from tests.virtual_time import run
from voice_agent import events as ev
from voice_agent.manner import Manner
from voice_agent.messages import Message, Usage
from voice_agent.session import Session

DONE = ev.ModelFinished("stop", Usage(steps=1, input_tokens=3, output_tokens=2))
COUNT: list[Any] = [ev.TextDelta("One, "), 0.5, ev.TextDelta("two, "), 1.0, ev.TextDelta("three."), 0.2, DONE]
WHOLE: list[Any] = [ev.TextDelta("One, two, three."), DONE]
AGAIN: list[Any] = [0.1, ev.TextDelta("As I said."), DONE]
WORDS = '{"pre_exec_msg":"Let me see."}'
CUT = ev.UserInterrupted()


def world(*replies: list[Any], wait_ms: int = 2000, **agent: Any) -> World:
    """A call with an agent that goes on after interruptions without words."""
    voice = {"resume_after_ms": wait_ms} | agent.pop("voice", {})
    return World(*replies, voice=voice, **agent)


def turns(ear: Ear) -> list[tuple[str | None, str, str]]:
    """Of each turn: which one it resumes, what it said, how it ended."""
    return [
        (
            started.resumes,
            "".join(event.text for event in ear.of(ev.Spoke) if event.turn_id == started.turn_id),
            ear.ended(started.turn_id).reason,
        )
        for started in ear.of(ev.TurnStarted)
    ]


def logged(place: World) -> list[str]:
    """What the log holds, and any provider takes: what was heard of each message."""
    messages: tuple[Message, ...] = run(place.history())
    check_valid_for_providers(messages)
    return [message.text if message.heard is None else message.heard for message in messages]


async def counting(session: Session, at: float = 0.2) -> None:
    """The agent is asked to count, and has begun to."""
    session.handle(ev.UserSpoke("count", turn_id="t1"))
    await asyncio.sleep(at)


@pytest.mark.parametrize(
    ("mark", "heard", "rest"),
    [
        (ev.Mark(chars=3), "One", ", two, three."),
        (ev.Mark(text="one"), "One", ", two, three."),
        (ev.Mark(ms=200), "One", ", two, three."),
        (ev.Mark(chars=0), "", "One, two, three."),
        (ev.Mark(chars=99), "One, ", "two, three."),
        (None, "One", ", two, three."),
    ],
)
def test_the_rest_is_said_after_all(mark: ev.Mark | None, heard: str, rest: str) -> None:
    """What was made and not heard, then what came meanwhile; exactly once, and the history says so."""
    place = world(COUNT)

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session, 0.21)
        session.handle(ev.UserInterrupted(mark))
        await asyncio.sleep(1.9)
        assert len(ear.of(ev.TurnStarted)) == 1
        await asyncio.sleep(1)
        assert turns(ear) == [(None, "One, ", "interrupted"), ("t1", rest, "end_turn")]

    call(place, caller)
    assert (len(place.model.requests), place.model.closed) == (1, 0)
    assert logged(place) == ["count", heard, "[It was no interruption. You went on.]", rest]


def test_a_reply_that_is_still_being_made_goes_on() -> None:
    """What came in the wait is said at once, the rest as it comes; what it took belongs to the turn that it ends in."""
    place = world(COUNT, wait_ms=500)

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session)
        session.handle(ev.UserInterrupted(ev.Mark(chars=5)))
        await asyncio.sleep(0.55)
        assert ear.said == "One, two, "
        await asyncio.sleep(2)
        assert turns(ear)[1] == ("t1", "two, three.", "end_turn")
        first, second = ear.of(ev.TurnEnded)
        assert (first.usage, second.usage) == (Usage(steps=1), DONE.usage)

    call(place, caller)


@pytest.mark.parametrize("mark", [None, ev.Mark(chars=4)])
def test_a_turn_that_had_ended_goes_on_where_it_was_cut(mark: ev.Mark | None) -> None:
    """The usual case: the model was done long ago. It is not asked again."""
    place = world(WHOLE)

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session, 0.28)
        session.handle(ev.UserInterrupted(mark))
        await asyncio.sleep(3)
        assert turns(ear) == [(None, "One, two, three.", "end_turn"), ("t1", " two, three.", "end_turn")]
        assert [ended.usage.steps for ended in ear.of(ev.TurnEnded)] == [1, 0]

    call(place, caller)
    assert len(place.model.requests) == 1
    assert logged(place) == ["count", "One,", "[It was no interruption. You went on.]", " two, three."]


def test_what_was_to_be_heard_after_it_is_said_too() -> None:
    """Turns that were handed out together are taken up together."""
    place = world(WHOLE)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("count", turn_id="t1"))
        session.handle(ev.SayRequested("And four."))
        await asyncio.sleep(0.28)
        session.handle(CUT)
        await asyncio.sleep(3)
        assert turns(ear)[2] == ("t1", " two, three. And four.", "end_turn")

    call(place, caller)


def test_an_interruption_that_began_earlier_takes_more_up() -> None:
    """The client knows better than the estimate which turn it was playing."""
    place = world(WHOLE)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("count", turn_id="t1"))
        session.handle(ev.SayRequested("And four."))
        await asyncio.sleep(1.3)
        session.handle(CUT)
        session.handle(ev.UserInterrupted(ev.Mark(chars=9), turn_id="t1"))
        await asyncio.sleep(3)
        assert turns(ear)[2] == ("t1", " three.  four.", "end_turn")

    call(place, caller)


@pytest.mark.parametrize("reports", [[CUT], [CUT, CUT], [ev.UserInterrupted(ev.Mark(chars=4), turn_id="t1")]])
def test_an_interruption_that_is_told_again_changes_nothing_but_the_wait(reports: list[ev.UserEvent]) -> None:
    """It begins anew, and the reply is read on."""
    place = world(COUNT)

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session, 0.28)
        session.handle(CUT)
        for event in reports:
            await asyncio.sleep(1)
            session.handle(event)
        await asyncio.sleep(1.9)
        assert len(ear.of(ev.TurnStarted)) == 1
        await asyncio.sleep(1)
        assert turns(ear)[1] == ("t1", " two, three.", "end_turn")

    call(place, caller)
    assert place.model.closed == 0


def test_marks_that_come_in_the_wait_count() -> None:
    """What is said is what was not heard by the last of them."""
    place = world(COUNT)

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session)
        session.handle(CUT)
        await asyncio.sleep(1)
        session.handle(ev.PlaybackMoved("t1", ev.Mark(chars=1)))
        await asyncio.sleep(3)
        assert turns(ear)[1] == ("t1", "ne, two, three.", "end_turn")

    call(place, caller)
    assert logged(place)[1] == "O"


@pytest.mark.parametrize(
    "sign",
    [
        ev.UserSpoke("wait"), ev.UserSpoke("wa", final=False), ev.UserPressed("1"), ev.SayRequested("By the way."),
        ev.UserLeft(),
    ],
    ids=["words", "interim", "keys", "say", "hang-up"],
)  # fmt: skip
def test_whatever_is_said_in_the_wait_makes_it_an_interruption(sign: ev.UserEvent) -> None:
    """Nothing is resumed, and the provider's stream is closed at once."""
    place = world(COUNT, AGAIN, voice={"speculation": False})

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session)
        session.handle(CUT)
        await asyncio.sleep(0.2)
        session.handle(sign)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert place.model.closed == 1
        await asyncio.sleep(5)
        assert "t1" not in [event.resumes for event in ear.of(ev.TurnStarted)]

    call(place, caller)
    assert logged(place)[1] == "One"


@pytest.mark.parametrize("cut", [ev.UserSpoke("stop"), ev.UserPressed("1")])
def test_words_that_cut_in_close_the_stream_at_once(cut: ev.UserEvent) -> None:
    """Nobody waits for what they might turn out to be."""
    place = world([ev.TextDelta("One, "), 1000.0, DONE], AGAIN)

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session)
        session.handle(cut)
        await asyncio.sleep(0.01)
        assert place.model.closed == 1

    call(place, caller)


def test_without_a_wait_the_stream_is_closed_at_once() -> None:
    """Every interruption counts, and nothing is kept of what was interrupted."""
    place = world(COUNT, wait_ms=0)

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session)
        session.handle(CUT)
        await asyncio.sleep(0.01)
        assert place.model.closed == 1
        await asyncio.sleep(30)
        assert len(ear.of(ev.TurnStarted)) == 1

    call(place, caller)


@pytest.mark.parametrize("at", [0.1, 2.05])
def test_a_resumed_turn_is_interrupted_like_any_other(at: float) -> None:
    """While its reply is still being made, and after; each time the rest is what is left then."""
    place = world(COUNT, wait_ms=500)

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session, 0.28)
        session.handle(CUT)
        await asyncio.sleep(0.5 + at)
        session.handle(ev.UserInterrupted(ev.Mark(chars=1)))
        await asyncio.sleep(5)
        (_, first, second, third) = (None, *turns(ear))
        assert (first[1], third) == ("One, ", (ear.of(ev.TurnStarted)[1].turn_id, "two, three.", "end_turn"))
        assert second[:2] == ("t1", " two, " if at < 1 else " two, three.")

    call(place, caller)
    assert (len(place.model.requests), place.model.closed) == (1, 0)
    notes = ["[It was no interruption. You went on.]"]
    assert logged(place) == ["count", "One,", *notes, " ", *notes, "two, three."]


def test_words_into_a_resumed_turn_close_its_stream() -> None:
    """They are a barge-in as into any other, before it has said anything, too."""
    place = world([0.3, ev.TextDelta("One, "), 1000.0, DONE], AGAIN, wait_ms=500)

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session, 0.4)
        session.handle(ev.UserInterrupted(ev.Mark(chars=5)))
        await asyncio.sleep(1)
        assert turns_begun(ear) == ["t1", "t1"]
        session.handle(ev.UserSpoke("stop", turn_id="t2"))
        await asyncio.sleep(0.01)
        assert place.model.closed == 1
        await asyncio.sleep(1)
        assert [reason for _, _, reason in turns(ear)] == ["interrupted", "interrupted", "end_turn"]

    call(place, caller)
    assert logged(place)[-2:] == ["stop", "As I said."]


def turns_begun(ear: Ear) -> list[str]:
    """Which turn each is, or resumes."""
    return [event.resumes or event.turn_id for event in ear.of(ev.TurnStarted)]


def test_calls_that_come_in_the_wait_are_made_after_it() -> None:
    """Nothing is run for a turn that may be over."""
    place = world([ev.TextDelta("I look. "), 0.5, tool_call(0, "look", '{"q":"x"}'), DONE], AGAIN)

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session)
        session.handle(ev.UserInterrupted(ev.Mark(chars=8)))
        await asyncio.sleep(1.9)
        assert ear.of(ev.ToolCalled) == []
        await asyncio.sleep(2)
        assert turns(ear)[1] == ("t1", "As I said.", "end_turn")
        assert [event.name for event in ear.of(ev.ToolFinished)] == ["look"]

    call(place, caller)
    assert logged(place)[-3:] == ["", "found x", "As I said."]


@pytest.mark.parametrize("filler", [(), ("Still on it.",)])
@pytest.mark.parametrize("replying", [False, True])
def test_a_turn_that_was_cut_in_a_call_is_asked_for_anew(*, filler: tuple[str, ...], replying: bool) -> None:
    """The call was cancelled, whether the reply was complete or not: the model is told to go on."""
    wait = [tool_call(0, "look", '{"pre_exec_msg":"Let me see."}'), *([9.0] if replying else []), DONE]
    place = world(wait, AGAIN, voice={"fillers": filler, "filler_after_ms": 100})
    pause = 0.25 if not filler else 0.4

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session, pause)
        session.handle(CUT)
        await asyncio.sleep(5)
        assert turns(ear)[1] == ("t1", "As I said.", "end_turn")

    call(place, caller)
    assert place.model.requests[1].turn[0].text == "[It was no interruption. Go on.]"
    assert place.model.closed == int(replying)
    assert logged(place)[-1] == "As I said."


def test_a_filler_is_no_answer() -> None:
    """Whoever was cut into while a filler was said gets what it was said for."""
    place = world([2.0, ev.TextDelta("Here."), DONE], wait_ms=5000, voice={"fillers": ("Just a moment, please.",)})
    place.agent = place.agent.model_copy(
        update={"voice": place.agent.voice.model_copy(update={"filler_after_ms": 100, "first_token_deadline_ms": 500})}
    )

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session, 1.0)
        assert [event.kind for event in ear.of(ev.Spoke)] == ["filler"]
        session.handle(ev.UserInterrupted(ev.Mark(chars=4)))
        await asyncio.sleep(6)
        assert turns(ear)[1] == ("t1", " a moment, please.Here.", "end_turn")

    call(place, caller)


def test_an_answer_that_was_cut_before_its_turn_began_is_given() -> None:
    """The turn of another session was in its way."""
    place = world([ev.TextDelta("x"), 3.0, DONE], AGAIN)

    async def first(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi"))
        await asyncio.sleep(9)

    async def second(session: Session, ear: Ear) -> None:
        await asyncio.sleep(0.5)
        session.handle(ev.UserSpoke("well?", turn_id="t1"))
        await asyncio.sleep(0.1)
        session.handle(CUT)
        await asyncio.sleep(8)
        assert turns(ear) == [(None, "", "interrupted"), ("t1", "As I said.", "end_turn")]

    both(place, first, second)


def both(place: World, *callers: Any) -> None:
    """Two calls of one user at once."""

    async def play() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(place.conversations.run())
            await asyncio.sleep(0)
            async with asyncio.TaskGroup() as calls:
                for caller in callers:
                    calls.create_task(hold(place, caller))
            place.conversations.stop()

    run(play())


def test_a_resumption_waits_for_the_other_call_of_its_user() -> None:
    """Sessions of one user take turns; what was heard is what it was."""
    place = world(COUNT, [ev.TextDelta("x"), 3.0, DONE])

    async def first(session: Session, ear: Ear) -> None:
        await counting(session, 0.28)
        session.handle(CUT)
        await asyncio.sleep(3)
        session.handle(ev.PlaybackMoved("t1", ev.Mark(chars=1)))
        assert len(ear.of(ev.TurnStarted)) == 1
        await asyncio.sleep(3)
        assert turns(ear)[1] == ("t1", " two, three.", "end_turn")

    async def second(session: Session, ear: Ear) -> None:
        await asyncio.sleep(0.5)
        session.handle(ev.UserSpoke("hi"))
        await asyncio.sleep(6)

    both(place, first, second)
    assert "One," in logged(place)


@pytest.mark.parametrize("failed", [False, True])
def test_a_reply_that_fails_in_the_wait_is_not_the_end(*, failed: bool) -> None:
    """Before a word the model is asked again; after one it is as if it had failed in its turn."""
    said = [] if failed else [ev.TextDelta("One, ")]
    place = world([*said, 0.5, ev.ModelFailed("gone")], AGAIN, voice={"failure_notice": "Sorry."})

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session)
        session.handle(ev.UserInterrupted(ev.Mark(chars=3)))
        await asyncio.sleep(5)
        told = ("t1", "As I said.", "end_turn") if failed else ("t1", ", Sorry.", "llm_api_error")
        assert turns(ear)[1] == told

    call(place, caller)


def test_what_is_resumed_is_said_in_the_form_of_the_call() -> None:
    """What was written and not heard is written anew, and its marks count what is said."""
    place = world([ev.TextDelta("**One** and [two](https://example.com/2), "), 1.0, ev.TextDelta("**three**."), DONE])

    async def caller(session: Session, ear: Ear) -> None:
        session.wiring = session.wiring.__class__(**vars(session.wiring) | {"manner": Manner(spoken=True)})
        await counting(session, 0.5)
        assert ear.said == "One and two,"
        session.handle(ev.UserInterrupted(ev.Mark(chars=8)))
        await asyncio.sleep(5)
        assert turns(ear)[1] == ("t1", "two, three.", "end_turn")
        resumed = ear.of(ev.TurnStarted)[1].turn_id
        assert ear.ended(resumed).generated == "[two](https://example.com/2), **three**."

    call(place, caller)
    assert logged(place)[1] == "**One** and "


@pytest.mark.parametrize(("after", "mark"), [(5, None), (0.3, ev.Mark(chars=16))])
def test_nothing_is_resumed_of_what_was_heard_whole(after: float, mark: ev.Mark | None) -> None:
    """An interruption into silence is none, and keeps no words from being an answer."""
    place = world(WHOLE, AGAIN, voice={"min_words_to_interrupt": 3})

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session, after)
        session.handle(ev.UserInterrupted(mark))
        await asyncio.sleep(0.1)
        session.handle(ev.UserSpoke("yes", turn_id="t2"))
        await asyncio.sleep(5)
        assert turns_begun(ear) == ["t1", "t2"]

    call(place, caller)


def test_words_that_would_not_have_interrupted_do_not_in_the_wait() -> None:
    """The front end was too fast: what it took for an interruption was "uh-huh"."""
    place = world(COUNT, voice={"backchannels": ("uh-huh",)})

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session, 0.28)
        session.handle(CUT)
        await asyncio.sleep(0.3)
        for text in ("Uh", "Uh-huh."):
            session.handle(ev.UserSpoke(text, final=False))
        session.handle(ev.UserSpoke("Uh-huh."))
        await asyncio.sleep(5)
        assert turns(ear)[1] == ("t1", " two, three.", "end_turn")

    call(place, caller)
    assert 'While you spoke, the caller said: "Uh-huh."' in logged(place)


def test_words_after_a_cut_into_silence_are_words() -> None:
    """The agent had said nothing that they could have been said over."""
    place = world([1.0, ev.TextDelta("Which?"), DONE], AGAIN, voice={"min_words_to_interrupt": 2})

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("I want a", turn_id="t1"))
        await asyncio.sleep(0.2)
        session.handle(CUT)
        session.handle(ev.UserSpoke("pizza", turn_id="t2"))
        await asyncio.sleep(5)
        assert turns_begun(ear) == ["t1", "t2"]

    call(place, caller)


BYE: list[Any] = [tool_call(0, "hang_up", '{"pre_exec_msg":"Goodbye, and thank you!"}'), DONE]


@pytest.mark.parametrize("times", [1, 2])
def test_a_goodbye_that_nobody_interrupted_ends_the_call(times: int) -> None:
    """Its rest is said, and the agent hangs up after all."""
    place = world(BYE)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("bye", turn_id="t1"))
        await asyncio.sleep(0.54)
        for _ in range(times):
            session.handle(CUT)
            await asyncio.sleep(0.2)
        assert session._live is None
        await asyncio.sleep(6)
        assert turns(ear)[1] == ("t1", " and thank you!", "end_turn")
        assert ear.events[-1] == ev.SessionEnded("agent")

    call(place, caller)


def test_what_a_rule_demands_was_done_in_the_turn_that_is_resumed() -> None:
    """The model is not made to do it again, and may not do more often than the rules say."""
    rules = [
        {"type": "run_first", "tool": "look"}, {"type": "required_before_exit", "tool": "look"},
        {"type": "max_count", "tool": "look", "count": 1},
    ]  # fmt: skip
    look = tool_call(0, "look", '{"q":"x"}')
    place = world([look, DONE], [*COUNT[:-2], look, DONE], AGAIN, tool_rules=rules, tools=["look"])

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session, 0.7)
        session.handle(ev.UserInterrupted(ev.Mark(chars=5)))
        await asyncio.sleep(5)
        assert turns(ear)[1] == ("t1", "two, three.As I said.", "end_turn")
        assert [event.status for event in ear.of(ev.ToolFinished)] == ["ok", "error"]

    call(place, caller)
    assert [request.tool_choice for request in place.model.requests][1:] == ["auto", "auto"]


def test_a_session_that_ends_in_the_wait_leaves_nothing_running() -> None:
    """Nor one that ends in the resumed turn, whoever ends it."""
    for at in (0.4, 1.0):
        place = world([ev.TextDelta("One, "), 10_000.0, DONE], wait_ms=500)

        async def caller(session: Session, ear: Ear, at: float = at) -> None:
            await counting(session)
            session.handle(CUT)
            await asyncio.sleep(at)

        async def timed(place: World = place, caller: Any = caller) -> float:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(place.conversations.run())
                await asyncio.sleep(0)
                await hold(place, caller)
                place.conversations.stop()
            return asyncio.get_running_loop().time()

        assert run(timed()) < 2
        assert place.model.closed == 1


def test_a_store_that_is_away_does_not_keep_the_agent_from_going_on() -> None:
    """Both ends come when it is back."""
    place = world(COUNT)

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session, 0.28)
        place.store.down = True
        session.handle(CUT)
        await asyncio.sleep(4)
        assert ear.said == "One,  two, three."
        assert ear.of(ev.TurnEnded) == []
        place.store.down = False
        await asyncio.sleep(2)
        assert [event.reason for event in ear.of(ev.TurnEnded)] == ["interrupted", "end_turn"]

    call(place, caller)
    assert logged(place)[-1] == " two, three."


def test_words_that_cannot_be_taken_are_words() -> None:
    """Too much is held for the store: the caller is told so, and not spoken over."""
    place = world(WHOLE)

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session, 0.28)
        place.store.down = True
        session.handle(CUT)
        for number in range(300):
            session.handle(ev.ContextAdded(f"Fact {number}."))
            await asyncio.sleep(0)
        session.handle(ev.UserSpoke("wait", turn_id="t2"))
        assert ear.of(ev.Failed)[-1].turn_id == "t2"
        await asyncio.sleep(5)
        assert turns_begun(ear) == ["t1"]
        place.store.down = False

    call(place, caller)


def test_a_session_that_was_taken_over_resumes_nothing() -> None:
    """Its stream is closed with it."""
    place = world([ev.TextDelta("One, "), 10_000.0, DONE], wait_ms=5000)

    async def caller(session: Session, ear: Ear) -> None:
        await counting(session)
        await place.store.open_session(PAIR, session.id, session.wiring.owner)
        session.handle(CUT)
        await asyncio.sleep(2)
        assert (ear.events[-1], place.model.closed) == (ev.SessionEnded("fenced"), 1)

    call(place, caller)


# Tenths of a second, and no two things at the same time.
TENTHS = st.integers(0, 20).map(lambda tenths: tenths / 10)
PIECES = st.lists(st.tuples(st.text("ab ", min_size=1, max_size=30), TENTHS), min_size=1, max_size=8)
MARKS = st.one_of(st.none(), st.integers(0, 40).map(lambda chars: ev.Mark(chars=chars)))
CUTS = st.lists(st.tuples(TENTHS, MARKS), max_size=6)


@settings(max_examples=60, deadline=None)
@given(PIECES, CUTS, st.sampled_from([150, 750]))
def test_whatever_the_false_alarms_every_letter_is_heard_once(
    pieces: list[tuple[str, float]], cuts: list[tuple[float, ev.Mark | None]], wait_ms: int
) -> None:
    """What was heard of each turn and its resumptions is the reply, in its order, which was made once."""
    script = [item for text, pause in pieces for item in (ev.TextDelta(text), pause)]
    place = world([*script, DONE], wait_ms=wait_ms)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("go", turn_id="t1"))
        await asyncio.sleep(0.03)
        for pause, mark in cuts:
            await asyncio.sleep(pause)
            session.handle(ev.UserInterrupted(mark))
        await asyncio.sleep(60)

    call(place, caller)
    heard = [message.heard or "" for message in run(place.history()) if message.role == "assistant"]
    assert "".join(heard) == "".join(text for text, _ in pieces)
    assert len(place.model.requests) == 1
