"""Who cuts into what a session says, in whole calls: words that do not, marks that cannot be, a caller's silence."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.calls import Ear, World, call
from tests.turns import call as tool_call
from tests.turns import check_valid_for_providers
from tests.virtual_time import run
from voice_agent import events as ev
from voice_agent.manner import Manner
from voice_agent.session import Session

DONE = ev.ModelFinished("stop")
LONG: list[Any] = [ev.TextDelta("x" * 30), 1.0, ev.TextDelta("y" * 30), DONE]  # four seconds of speech
SHORT: list[Any] = [ev.TextDelta("Fine."), DONE]


def logged(world: World) -> list[str]:
    """What the log holds, and any provider takes: what was heard of each message."""
    messages = run(world.history())
    check_valid_for_providers(messages)
    return [message.text if message.heard is None else message.heard for message in messages]


def begun(ear: Ear) -> list[str]:
    return [event.turn_id for event in ear.of(ev.TurnStarted)]


def noted(words: str) -> str:
    """How the agent learns of words that did not interrupt it."""
    return f'While you spoke, the caller said: "{words}"'


# ---- words that do not interrupt ----


@pytest.mark.parametrize("after", [0.5, 2.0])
@pytest.mark.parametrize("where", ["agent", "session", "backchannels"])
def test_words_that_are_not_meant_to_interrupt_do_not(where: str, after: float) -> None:
    """While the agent makes its reply, and while that is still heard; it is told of them. The next ones interrupt."""
    voice = {"agent": {"min_words_to_interrupt": 3}, "backchannels": {"backchannels": ("ok", "uh-huh")}}
    world = World(LONG, SHORT, voice=voice.get(where, {}))

    async def caller(session: Session, ear: Ear) -> None:
        if where == "session":
            session.wiring = replace(session.wiring, manner=Manner(min_words=3))
        session.handle(ev.UserSpoke("go", turn_id="t1"))
        await asyncio.sleep(after)
        for final in (False, True):
            session.handle(ev.UserSpoke("Ok, uh-huh.", final, turn_id="t2"))
        await asyncio.sleep(0.4)
        assert begun(ear) == ["t1"]
        session.handle(ev.UserSpoke("stop it right now", turn_id="t3"))
        await asyncio.sleep(2)
        assert begun(ear) == ["t1", "t3"]
        assert ear.ended("t1").reason == ("interrupted" if after < 1 else "end_turn")

    call(world, caller)
    assert logged(world)[2:] == [noted("Ok, uh-huh."), "stop it right now", "Fine."]
    assert [message.text for message in world.model.requests[1].history][-1] == noted("Ok, uh-huh.")


def test_a_session_may_ask_for_fewer_words_than_its_agent() -> None:
    """Its word is the last one: none at all."""
    world = World(LONG, SHORT, voice={"min_words_to_interrupt": 3})

    async def caller(session: Session, ear: Ear) -> None:
        session.wiring = replace(session.wiring, manner=Manner(min_words=0))
        session.handle(ev.UserSpoke("go", turn_id="t1"))
        await asyncio.sleep(0.5)
        session.handle(ev.UserSpoke("stop", turn_id="t2"))
        await asyncio.sleep(1)
        assert begun(ear) == ["t1", "t2"]

    call(world, caller)


@pytest.mark.parametrize(
    ("after", "reports"),
    [(4.1, []), (1.5, [ev.PlaybackMoved("t1", done=True)]), (1.5, [ev.UserInterrupted()])],
    ids=["by estimate", "done", "cut"],
)
def test_short_words_are_words_while_nothing_is_heard(after: float, reports: list[ev.UserEvent]) -> None:
    """Before the agent has said anything, and once it was heard out or cut short."""
    world = World(LONG, SHORT, voice={"min_words_to_interrupt": 3, "backchannels": ("yes",)})

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("go", turn_id="t1"))
        await asyncio.sleep(after)
        for event in reports:
            session.handle(event)
        session.handle(ev.UserSpoke("Yes.", turn_id="t2"))
        await asyncio.sleep(1)
        assert begun(ear) == ["t1", "t2"]

    call(world, caller)
    assert logged(world)[2:] == ["Yes.", "Fine."]


def test_keys_always_interrupt() -> None:
    """However few."""
    world = World(LONG, SHORT, voice={"min_words_to_interrupt": 3})

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("go", turn_id="t1"))
        await asyncio.sleep(0.5)
        session.handle(ev.UserPressed("1"))
        await asyncio.sleep(1)
        assert ear.ended("t1").reason == "interrupted"
        assert len(begun(ear)) == 2

    call(world, caller)


def test_an_aside_that_is_told_again_is_known() -> None:
    """A front end that repeats itself after a lost socket gets no turn for it; a correction may be one."""
    world = World(LONG, SHORT, voice={"min_words_to_interrupt": 2})

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("go", turn_id="t1"))
        await asyncio.sleep(0.5)
        session.handle(ev.UserSpoke("well", turn_id="t2"))
        session.handle(ev.UserSpoke("well", turn_id="t2"))
        await asyncio.sleep(9)
        session.handle(ev.UserSpoke("well", turn_id="t2"))
        session.handle(ev.PlaybackMoved("t2", ev.Mark(chars=1)))
        await asyncio.sleep(1)
        assert (begun(ear), ear.of(ev.Failed)) == (["t1"], [])
        session.handle(ev.UserSpoke("well then", turn_id="t2", revision=1))
        await asyncio.sleep(1)
        assert begun(ear) == ["t1", "t2"]

    call(world, caller)
    assert logged(world)[2:] == [noted("well"), "well then", "Fine."]


def test_asides_are_held_within_bounds() -> None:
    """While the store is away, what it cannot take is refused with an error that names the turn."""
    world = World([ev.TextDelta("x" * 9000), DONE], voice={"backchannels": ("ok",)})

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("go", turn_id="t1"))
        await asyncio.sleep(0.5)
        world.store.down = True
        for number in range(400):
            session.handle(ev.UserSpoke("ok", turn_id=f"a{number}"))
            await asyncio.sleep(0)
        assert session.conversation.journal.holds < 300
        assert {(event.code, (event.turn_id or "")[0]) for event in ear.of(ev.Failed)} == {("store", "a")}
        world.store.down = False

    call(world, caller)


GOODBYE: list[Any] = [tool_call(0, "hang_up", '{"pre_exec_msg":"Goodbye, and thank you!"}'), DONE]


def test_whoever_murmurs_into_the_goodbye_is_hung_up_on() -> None:
    """They have interrupted nobody."""
    world = World(GOODBYE, voice={"backchannels": ("bye",)})

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("that is all"))
        await asyncio.sleep(0.5)
        session.handle(ev.UserSpoke("Bye bye."))
        await asyncio.sleep(5)
        assert ear.events[-1] == ev.SessionEnded("agent")

    call(world, caller)
    assert logged(world)[-1] == noted("Bye bye.")


# ---- what cannot be ----


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize(
    ("mark", "heard"), [(ev.Mark(chars=10**9), 30), (ev.Mark(ms=1e12), 30), (ev.Mark(text="z"), 0)]
)
def test_an_interruption_that_heard_more_than_was_sent_heard_that(mark: ev.Mark, heard: int, *, live: bool) -> None:
    """Or, of other words, nothing."""
    world = World([LONG[0], 1.0, DONE] if live else [LONG[0], DONE])

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("go", turn_id="t1"))
        await asyncio.sleep(0.5)
        session.handle(ev.UserInterrupted(mark, turn_id="t1"))
        await asyncio.sleep(1)

    call(world, caller)
    assert logged(world) == ["go", "x" * heard]


@pytest.mark.parametrize("resume_after_ms", [0, 2000])
def test_an_interruption_of_a_turn_that_never_was_changes_nothing(resume_after_ms: int) -> None:
    """It is told so, whatever runs."""
    world = World(LONG, voice={"resume_after_ms": resume_after_ms})

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("go", turn_id="t1"))
        for pause in (0.5, 1.0):
            await asyncio.sleep(pause)
            session.handle(ev.UserInterrupted(turn_id="nosuch"))
        await asyncio.sleep(5)
        assert [(event.code, event.field) for event in ear.of(ev.Failed)] == [("unknown_id", "turn_id")] * 2
        assert (ear.ended("t1").reason, begun(ear)) == ("end_turn", ["t1"])

    call(world, caller)


def test_a_greeting_takes_marks_like_any_turn() -> None:
    """By the id that its events carry, and without one; what is left of it is said after a false alarm."""
    world = World(voice={"resume_after_ms": 500})

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.SayRequested("Welcome to us.", kind="greeting"))
        await asyncio.sleep(0.1)
        (greeting,) = begun(ear)
        session.handle(ev.PlaybackMoved(greeting, ev.Mark(chars=7)))
        assert [event.heard for event in ear.of(ev.TurnHeard)] == ["Welcome"]
        session.handle(ev.UserInterrupted(ev.Mark(chars=8), turn_id=greeting))
        await asyncio.sleep(2)
        assert ear.said == "Welcome to us.to us."

    call(world, caller)
    assert world.model.requests == []


def test_an_interim_text_after_its_final_one_is_no_sign_of_anything() -> None:
    """It was overtaken on its way: the false alarm is one, and the caller still hung up on."""
    world = World(GOODBYE, voice={"resume_after_ms": 500})

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("that is all", turn_id="t1", revision=2))
        await asyncio.sleep(0.3)
        session.handle(ev.UserInterrupted())
        for revision in (0, 2):
            session.handle(ev.UserSpoke("that is", final=False, turn_id="t1", revision=revision))
        await asyncio.sleep(1)
        assert len(begun(ear)) == 2
        session.handle(ev.UserSpoke("that", final=False, turn_id="t1"))
        await asyncio.sleep(5)
        assert ear.events[-1] == ev.SessionEnded("agent")

    call(world, caller)


def test_a_late_interruption_does_not_bring_an_old_turn_back() -> None:
    """The caller's next words wait for their turn already."""
    world = World([ev.TextDelta("x" * 60), DONE], SHORT, voice={"resume_after_ms": 100})

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("go", turn_id="t1"))
        await asyncio.sleep(1)
        session.handle(ev.UserSpoke("stop", turn_id="t2"))
        session.handle(ev.UserInterrupted(ev.Mark(chars=3), turn_id="t1"))
        await asyncio.sleep(5)
        assert begun(ear) == ["t1", "t2"]

    call(world, caller)
    assert logged(world) == ["go", "xxx", "stop", "Fine."]


# ---- a caller who is silent ----

ASKS = "[The caller has said nothing for 5 seconds."


def silent(*replies: list[Any], **agent: Any) -> World:
    """An agent that asks after five seconds of silence."""
    return World(*replies, voice={"idle_reminder_s": 5} | agent.pop("voice", {}), **agent)


def asked(world: World) -> int:
    """How often a model was told of a silence."""
    return sum(request.turn[0].text.startswith(ASKS) for request in world.model.requests)


@pytest.mark.parametrize("done", [False, True])
def test_a_reminder_comes_when_the_voice_has_been_silent_for_long(*, done: bool) -> None:
    """From its end on, by estimate or by the client's word; it is a turn like any other, of a note and what is said."""
    world = silent([ev.TextDelta("x" * 60), DONE], [ev.TextDelta("Are you there?"), DONE])

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi", turn_id="t1"))
        await asyncio.sleep(2)
        if done:
            session.handle(ev.PlaybackMoved("t1", done=True))
        await asyncio.sleep(4.9 if done else 6.9)
        assert asked(world) == 0
        await asyncio.sleep(0.2)
        assert asked(world) == 1
        reminder = ear.ended(begun(ear)[1])
        assert (reminder.reason, reminder.generated, reminder.usage.steps) == ("end_turn", "Are you there?", 1)

    call(world, caller)
    assert logged(world)[2].startswith(ASKS)
    assert logged(world)[3] == "Are you there?"


def test_there_are_two_reminders_in_a_row() -> None:
    """Then the caller is left in peace, until they do something; a murmur is something."""
    world = silent(SHORT, voice={"backchannels": ("mhm",)})

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi"))
        await asyncio.sleep(60)
        assert asked(world) == 2
        session.handle(ev.UserSpoke("h", final=False))
        await asyncio.sleep(60)
        assert asked(world) == 4
        session.handle(ev.SayRequested("Hello?"))
        await asyncio.sleep(0.1)
        session.handle(ev.UserSpoke("mhm"))
        await asyncio.sleep(60)
        assert asked(world) == 6

    call(world, caller)
    logged(world)


def test_nobody_is_asked_who_was_not_spoken_to() -> None:
    """The agent waits for the first words."""
    world = silent(SHORT)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.ContextAdded("It rains."))
        await asyncio.sleep(60)
        assert begun(ear) == []

    call(world, caller)


def test_an_interruption_without_words_is_a_silence_too() -> None:
    """Five seconds after it the agent asks."""
    world = silent(LONG, SHORT)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi"))
        await asyncio.sleep(0.5)
        session.handle(ev.UserInterrupted())
        await asyncio.sleep(4.9)
        assert asked(world) == 0
        await asyncio.sleep(0.2)
        assert asked(world) == 1

    call(world, caller)


def test_an_interrupted_reminder_is_answered_by_a_life_sign() -> None:
    """Whoever cuts in is there: the count begins anew."""
    world = silent(SHORT, [0.5, ev.TextDelta("Are you there?"), 1.0, DONE])

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi"))
        await asyncio.sleep(13)
        assert asked(world) == 2
        session.handle(ev.UserInterrupted())
        await asyncio.sleep(30)
        assert asked(world) == 4

    call(world, caller)


def test_nobody_is_asked_while_something_is_done_for_them() -> None:
    """A call that takes long, and one that goes on although its turn was cut short."""
    world = silent([tool_call(0, "write", "{}"), DONE], SHORT, voice={"idle_reminder_s": 0.4})

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.SayRequested("Hi."))
        session.handle(ev.UserSpoke("write"))
        await asyncio.sleep(0.5)
        session.handle(ev.UserInterrupted())
        await asyncio.sleep(0.45)
        assert len(world.model.requests) == 1
        await asyncio.sleep(0.4)
        assert len(world.model.requests) == 1
        await asyncio.sleep(0.2)
        assert len(world.model.requests) == 2

    call(world, caller)
    logged(world)


def test_nobody_is_asked_who_is_not_there() -> None:
    """The socket is gone; when it is back, the silence begins anew."""
    world = silent(SHORT)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi"))
        await asyncio.sleep(3)
        session.attend(there=False)
        await asyncio.sleep(50)
        session.attend(there=True)
        await asyncio.sleep(4.9)
        assert asked(world) == 0
        await asyncio.sleep(0.2)
        assert asked(world) == 1

    call(world, caller)


@pytest.mark.parametrize("said", [False, True])
def test_words_into_a_reminder_are_a_turn_of_their_own(*, said: bool) -> None:
    """Whether it has said something or not: it is not what they answer to, nor part of them."""
    world = silent(SHORT, [0.0 if said else 0.5, ev.TextDelta("Are you"), 1.0, DONE], SHORT)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi"))
        await asyncio.sleep(5.6)
        session.handle(ev.UserSpoke("I am here", turn_id="t2"))
        await asyncio.sleep(1)
        assert [event.reason for event in ear.of(ev.TurnEnded)] == ["end_turn", "interrupted", "end_turn"]
        assert world.model.requests[-1].turn[0].text == "I am here"

    call(world, caller)
    logged(world)


def test_memory_is_made_at_its_time_whoever_is_reminded() -> None:
    """A reminder is no sign of life."""
    world = silent(SHORT, sleeptime={"idle_after_s": 7})

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi"))
        await asyncio.sleep(6.9)
        assert (asked(world), world.store.commands.count("raise_job")) == (1, 0)
        await asyncio.sleep(0.2)
        assert world.store.commands.count("raise_job") == 1
        await asyncio.sleep(60)
        assert world.store.commands.count("raise_job") == 1

    call(world, caller)


def test_a_reminder_comes_while_the_store_is_away() -> None:
    """Its end when that is back."""
    world = silent(SHORT)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi"))
        await asyncio.sleep(1)
        world.store.down = True
        await asyncio.sleep(60)
        assert (ear.said, len(ear.of(ev.TurnEnded))) == ("Fine." * 3, 1)
        world.store.down = False
        await asyncio.sleep(2)
        assert len(ear.of(ev.TurnEnded)) == 3

    call(world, caller)
