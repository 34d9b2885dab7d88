"""A session's part in thinking ahead: what is adopted of it, what has overtaken it, and what is told of its cost."""

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.calls import PAIR, Caller, Ear
from tests.speculation.host import TAKEN
from tests.speculation.town import Town, play
from tests.virtual_time import run
from voice_agent import events as ev
from voice_agent.manner import PLAIN
from voice_agent.messages import Usage
from voice_agent.session import Session
from voice_agent.store.base import BlockValue

Happening = Callable[[Town, Session], Coroutine[Any, Any, None]]


async def heard(session: Session, text: str, final: str | None = None) -> None:
    """An interim text that is thought about to the end, and then the final one, which is answered and heard out."""
    session.handle(ev.UserSpoke(text, final=False))
    await asyncio.sleep(3)
    session.handle(ev.UserSpoke(text if final is None else final))
    await asyncio.sleep(30)


def talk(town: Town, caller: Caller) -> Ear:
    """One call, whose caller speaks a moment after it was taken; what they heard."""

    async def later(session: Session, ear: Ear) -> None:
        await asyncio.sleep(0.01)
        await caller(session, ear)

    play(town, later)
    return town.ears[-1]


def wasted(ear: Ear) -> list[Usage]:
    return [event.wasted for event in ear.of(ev.TurnEnded)]


def test_an_adopted_turn_is_one_request_and_is_told_without_time_passing() -> None:
    """Its words come in the round that takes the final text, and it costs what it would have cost."""
    town = Town()

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hello", final=False))
        await asyncio.sleep(3)
        assert ear.events == []
        assert town.store.commands == ["open_session", "load"]
        session.handle(ev.UserSpoke("Hello."))
        await asyncio.sleep(0.0001)
        assert ear.said == "After 0: hello "
        await asyncio.sleep(30)

    ear = talk(town, caller)
    (ended,) = ear.of(ev.TurnEnded)
    assert (len(town.mind.requests), ended.usage, ended.wasted) == (1, TAKEN, Usage())
    assert ended.latency.first_speech == 0.0
    assert sum(part.ms for part in ended.latency.parts) == pytest.approx(ended.latency.total)
    assert town.reports == [("adopted", Usage())]


def test_without_speculation_no_interim_text_is_thought_about() -> None:
    """The agent says so, and one request is made, after the final text."""
    town = Town(speculation=False)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("look", final=False))
        await asyncio.sleep(5)
        assert (town.mind.requests, town.done) == ([], [])
        session.handle(ev.UserSpoke("hello"))
        await asyncio.sleep(30)

    assert wasted(talk(town, caller)) == [Usage()]
    assert (len(town.mind.requests), town.reports) == (1, [])


async def remembers(town: Town, session: Session) -> None:
    """The sleeptime worker has written a block."""
    assert await town.store.write_block(PAIR, BlockValue("human", "Likes tea.", 1))
    session.conversation.remember(await town.store.read_memory(PAIR))


async def forgets(town: Town, session: Session) -> None:
    """All that was said before is to be forgotten."""
    session.conversation.forget()


async def notes(town: Town, session: Session) -> None:
    """The front end tells a fact."""
    session.handle(ev.ContextAdded("It rains."))


async def hears_less(town: Town, session: Session) -> None:
    """The front end tells how much was heard of the turn before."""
    session.handle(ev.PlaybackMoved(town.ears[-1].of(ev.TurnEnded)[-1].turn_id, ev.Mark(chars=3)))


async def answers_elsewhere(town: Town, session: Session) -> None:
    """The same user says something in another call."""
    other, _, conversation = await town.open("other")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(other.run())
        other.handle(ev.UserSpoke("I am here, too"))
        await asyncio.sleep(2)
        other.handle(ev.UserLeft())
    town.conversations.close(conversation)
    town.ears.pop()


@pytest.mark.parametrize("happens", [remembers, forgets, notes, hears_less, answers_elsewhere])
def test_what_would_be_another_request_by_now_is_asked_anew(happens: Happening) -> None:
    """Whatever has changed since; what was thought is for nothing, and the turn that it was for tells so."""
    town = Town()

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("first"))
        await asyncio.sleep(30)
        session.handle(ev.UserSpoke("hello", final=False))
        await asyncio.sleep(3)
        made = len(town.mind.requests)
        await happens(town, session)
        session.handle(ev.UserSpoke("hello"))
        await asyncio.sleep(30)
        assert len(town.mind.requests) == made + 1 + (happens is answers_elsewhere)
        assert town.mind.requests[-1] != town.mind.requests[made - 1]
        assert [message.text for message in town.mind.requests[-1].turn] == ["hello"]

    assert wasted(talk(town, caller)) == [Usage(), TAKEN]
    assert town.reports == [("discarded", TAKEN)]


def test_a_final_text_without_a_name_is_none_of_the_turn_that_an_interim_one_named() -> None:
    """Under that name it would be taken for a repetition, and lost, or what follows under that name would be."""
    town = Town()

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hello", turn_id="t"))
        await asyncio.sleep(30)
        session.handle(ev.UserSpoke("once more", final=False, turn_id="t", revision=1))
        await asyncio.sleep(3)
        session.handle(ev.UserSpoke("once more"))
        await asyncio.sleep(30)
        session.handle(ev.UserSpoke("and again", turn_id="t", revision=1))
        await asyncio.sleep(30)

    assert len(talk(town, caller).of(ev.TurnEnded)) == 3
    said = [message.text for message in run(town.history()) if message.role == "user"]
    assert said == ["hello", "once more", "and again"]


def test_a_tool_that_runs_ahead_knows_the_turn_that_adopts_it() -> None:
    """Its id, the call's, the words it answers, and what the model is shown of the stored talk."""
    town = Town()

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hello"))
        await asyncio.sleep(30)
        session.handle(ev.UserSpoke("look", final=False))
        await asyncio.sleep(3)
        assert town.done == ["look"]
        session.handle(ev.UserSpoke("Look."))
        await asyncio.sleep(30)

    ear = talk(town, caller)
    (context,), (called,) = town.contexts, ear.of(ev.ToolCalled)
    assert (context.turn_id, context.call_id, context.user_words) == (called.turn_id, called.call_id, "look")
    stored = run(town.store.load(PAIR)).turns[0]
    assert context.in_prompt == {f"{stored.id}.0", f"{stored.id}.1"}
    assert town.done == ["look"]


def test_call_ids_are_of_one_turn_each() -> None:
    """Of those that were run ahead and adopted, of those that were not, and of those that nobody guessed."""
    town = Town()

    async def caller(session: Session, ear: Ear) -> None:
        await heard(session, "look")
        await heard(session, "look", "look again")
        await heard(session, "look")

    ear = talk(town, caller)
    told = [event.call_id for event in ear.of(ev.ToolCalled)]
    assert len(told) == len(set(told)) == 3
    ran = [context.call_id for context in town.contexts]
    assert len(ran) == len(set(ran)) == 4
    assert set(told) < set(ran)


def test_a_false_alarm_in_an_adopted_turn_is_gone_on_from() -> None:
    """The reply that was adopted is read on while nobody speaks, and told in the turn that resumes."""
    town = Town((0.3, 0.5), resume_after_ms=300)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hello", final=False))
        await asyncio.sleep(0.6)
        session.handle(ev.UserSpoke("hello"))
        await asyncio.sleep(0.05)
        session.handle(ev.UserInterrupted(ev.Mark(chars=6)))
        await asyncio.sleep(30)

    ear = talk(town, caller)
    assert len(town.mind.requests) == 1
    assert [event.reason for event in ear.of(ev.TurnEnded)] == ["interrupted", "end_turn"]
    assert (
        ear.of(ev.TurnEnded)[0].heard
        + "".join(event.text for event in ear.of(ev.Spoke) if event.turn_id == ear.of(ev.TurnEnded)[1].turn_id)
        == "After 0: hello "
    )


def test_a_new_manner_of_speaking_is_no_other_request() -> None:
    """What was thought is told in the form that was chosen meanwhile."""
    town = Town()

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("**hello**", final=False))
        await asyncio.sleep(3)
        session.wiring = dataclasses.replace(session.wiring, manner=PLAIN._replace(spoken=True, sentences=True))
        session.handle(ev.UserSpoke("**hello**"))
        await asyncio.sleep(30)

    assert talk(town, caller).said.strip() == "After 0: hello"
    assert len(town.mind.requests) == 1


def test_hanging_up_stops_what_is_thought_about() -> None:
    """Before it has begun, while it runs, and when it was adopted a moment before: nothing is asked or stored of it."""
    for waits_s in (0.05, 0.2, 3.0):
        town = Town()

        async def caller(session: Session, ear: Ear, waits_s: float = waits_s) -> None:
            session.handle(ev.UserSpoke("look", final=False))
            await asyncio.sleep(waits_s)

        talk(town, caller)
        assert run(town.history()) == ()


@pytest.mark.parametrize("store", ["away", "back"])
def test_words_that_were_thought_about_are_told_while_the_store_is_away(store: str) -> None:
    """Thinking ahead needs no store; the turn is stored once it is back, as any other."""
    town = Town()

    async def caller(session: Session, ear: Ear) -> None:
        town.store.down = store == "away"
        session.handle(ev.UserSpoke("look", final=False))
        await asyncio.sleep(3)
        session.handle(ev.UserSpoke("look"))
        await asyncio.sleep(1)
        assert ear.said == "One moment.After 0: look seen "
        assert bool(ear.of(ev.TurnEnded)) == (store == "back")
        town.store.down = False
        await asyncio.sleep(30)

    ear = talk(town, caller)
    assert len(ear.of(ev.TurnEnded)) == 1
    assert [message.text for message in run(town.history())] == ["look", "", "seen", "After 0: look seen "]
    assert (len(town.mind.requests), town.done) == (2, ["look"])
