"""The session: whole calls in virtual time over the recorder store."""

import asyncio
import itertools
from typing import Any

import pytest

from tests.calls import PAIR, Ear, World, call, hold
from tests.turns import ScriptedModel, check_valid_for_providers
from tests.turns import call as tool_call
from tests.virtual_time import run
from voice_agent import events as ev
from voice_agent.messages import Message
from voice_agent.prompt import provider_text
from voice_agent.session import Session
from voice_agent.store.memory import JobResult

DONE = ev.ModelFinished("stop")
SLOW: list[Any] = [ev.TextDelta("One, "), 1.0, ev.TextDelta("two, "), 1.0, ev.TextDelta("three."), DONE]
QUICK: list[Any] = [0.1, ev.TextDelta("Fine."), DONE]


def test_a_turn_is_journalled_told_and_stored_before_it_ends() -> None:
    """The client hears of the end only when the log has the turn."""
    world = World(QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi", turn_id="t"))
        await asyncio.sleep(0.1 + 0.0005)
        assert ear.of(ev.TurnSpoken)
        assert not ear.of(ev.TurnEnded)
        await asyncio.sleep(1)
        assert ear.ended("t").reason == "end_turn"

    call(world, caller)
    assert world.store.commands[:4] == ["open_session", "load", "begin_turn", "commit_turn"]


def test_the_next_call_finds_the_conversation_where_it_was_left() -> None:
    """The second session's request holds the first one's turn."""
    world = World(QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi"))
        await asyncio.sleep(1)

    call(world, caller, caller)
    history = world.model.requests[1].history
    assert [(message.role, provider_text(message)) for message in history] == [("user", "hi"), ("assistant", "Fine.")]


def test_nothing_is_read_from_the_store_in_a_turn() -> None:
    """From the user's last word to the provider's request, and on to the end, there are writes only."""
    world = World([tool_call(0, "look", '{"q":"x"}'), DONE], QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        world.store.commands.clear()
        session.handle(ev.UserSpoke("hi"))
        await asyncio.sleep(2)
        assert world.store.commands == ["begin_turn", "save_step", "commit_turn"]

    call(world, caller)


def test_words_while_the_agent_speaks_are_a_barge_in() -> None:
    """The live turn ends as interrupted, the new words get a turn of their own."""
    world = World(SLOW, QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("count", turn_id="t1"))
        await asyncio.sleep(1.5)
        assert session._live is not None
        session.handle(ev.UserSpoke("stop", turn_id="t2"))
        await asyncio.sleep(1)

    call(world, caller)
    ear = world.ears[0]
    assert [(event.turn_id, event.reason) for event in ear.of(ev.TurnEnded)] == [
        ("t1", "interrupted"),
        ("t2", "end_turn"),
    ]
    assert ear.said == "One, two, Fine."
    assert world.model.closed == 1


def test_speech_that_had_not_left_was_not_heard() -> None:
    """It is taken back, and the history knows nothing of it."""
    world = World(SLOW)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("count", turn_id="t"))
        await asyncio.sleep(0.5)
        ear.held = []
        await asyncio.sleep(1.0)
        session.handle(ev.UserInterrupted())
        await asyncio.sleep(1)
        assert (ear.ended("t").heard, ear.ended("t").generated) == ("One, ", "One, two, ")

    call(world, caller)


def test_a_second_final_before_any_speech_joins_the_first() -> None:
    """One turn answers both; either id brings its end again."""
    world = World(QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("I want", turn_id="t1"))
        await asyncio.sleep(0.05)
        session.handle(ev.UserSpoke("a pizza", turn_id="t2"))
        await asyncio.sleep(1)
        assert [event.turn_id for event in ear.of(ev.TurnStarted)] == ["t1"]
        assert world.model.requests[-1].turn[0].text == "I want a pizza"
        session.handle(ev.UserSpoke("a pizza", turn_id="t2"))
        session.handle(ev.UserSpoke("I want", turn_id="t1"))
        assert [event.turn_id for event in ear.of(ev.TurnEnded)] == ["t1"] * 3

    call(world, caller)
    assert [message.text for message in run(world.history())] == ["I want a pizza", "Fine."]


def test_two_finals_in_one_breath_are_one_turn() -> None:
    """Even if the first has not begun when the second comes."""
    world = World(QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("I want"))
        session.handle(ev.UserSpoke("a pizza"))
        await asyncio.sleep(1)
        assert len(ear.of(ev.TurnEnded)) == len(world.model.requests) == 1

    call(world, caller)


def test_a_correction_of_one_of_two_merged_texts_replaces_that_one() -> None:
    """And no other; later words still join."""
    world = World(QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("book", turn_id="t1"))
        session.handle(ev.UserSpoke("a tabel", turn_id="t2"))
        await asyncio.sleep(0.05)
        session.handle(ev.UserSpoke("a table", turn_id="t2", revision=1))
        session.handle(ev.UserSpoke("a table", turn_id="t2", revision=1))
        session.handle(ev.UserSpoke("for two", turn_id="t3"))
        await asyncio.sleep(1)
        assert world.model.requests[-1].turn[0].text == "book a table for two"

    call(world, caller)
    assert [message.text for message in run(world.history())] == ["book a table for two", "Fine."]


def test_an_interruption_and_new_words_in_one_breath_are_both_taken() -> None:
    """Even before the turn they cut into has begun: nothing that was said is lost."""
    world = World(SLOW, QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("count", turn_id="t1"))
        session.handle(ev.UserInterrupted())
        session.handle(ev.UserSpoke("book a table", turn_id="t2"))
        await asyncio.sleep(5)
        assert (ear.ended("t1").reason, ear.ended("t1").generated) == ("interrupted", "")
        assert ear.ended("t2").reason == "end_turn"

    call(world, caller)
    assert [message.text for message in run(world.history()) if message.role == "user"] == ["count", "book a table"]


def test_a_revision_is_taken_once_while_the_one_before_is_still_being_stored() -> None:
    """Two requests, not three, and each turn's end once."""
    world = World(SLOW, SLOW)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("count", turn_id="t1"))
        await asyncio.sleep(0.5)
        session.handle(ev.UserSpoke("count on", turn_id="t1", revision=1))
        await asyncio.sleep(0.5)
        session.handle(ev.UserSpoke("count on", turn_id="t1", revision=1))
        await asyncio.sleep(9)
        assert [event.reason for event in ear.of(ev.TurnEnded)] == ["interrupted", "end_turn"]
        assert len(world.model.requests) == 2

    call(world, caller)


def test_marks_of_one_session_never_move_another_ones_speech() -> None:
    """Two calls of one user, with the same turn ids."""
    world = World(QUICK)

    async def one(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi", turn_id="t1"))
        await asyncio.sleep(3)

    async def two(session: Session, ear: Ear) -> None:
        await asyncio.sleep(1)
        session.handle(ev.UserInterrupted(ev.Mark(chars=1)))
        session.handle(ev.PlaybackMoved("t1", ev.Mark(chars=1)))
        assert [event.code for event in ear.of(ev.Failed)] == ["unknown_id"]

    async def both() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(world.conversations.run())
            await asyncio.sleep(0)
            await asyncio.wait([tasks.create_task(hold(world, caller)) for caller in (one, two)])
            world.conversations.stop()

    run(both())
    assert [message.heard for message in run(world.history())] == [None, "Fine."]


def test_what_was_said_while_hanging_up_stands_after_the_live_turn() -> None:
    """In the log as in the call."""
    world = World(SLOW)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("count"))
        await asyncio.sleep(0.5)
        session.handle(ev.ContextAdded("It rains."))

    call(world, caller)
    assert [message.role for message in run(world.history())] == ["user", "assistant", "context"]


class Unreachable(ScriptedModel):
    """A provider that does not answer when its connections are warmed."""

    async def warm(self) -> None:
        await asyncio.sleep(10)


def test_hanging_up_does_not_wait_for_a_provider_that_does_not_answer() -> None:
    """Warming its connections is no reason to stay."""
    world = World(QUICK)
    world.model = Unreachable()

    async def caller(session: Session, ear: Ear) -> None:
        await asyncio.sleep(0.1)

    async def timed() -> float:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(world.conversations.run())
            await asyncio.sleep(0)
            await hold(world, caller)
            world.conversations.stop()
        return asyncio.get_running_loop().time()

    assert run(timed()) < 1


def test_a_greeting_is_said_while_connections_are_still_warmed() -> None:
    """At once, and so are the first words answered."""
    world = World()
    world.model = Unreachable(QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.SayRequested("Welcome!", kind="greeting"))
        await asyncio.sleep(0.0001)
        assert [(event.text, event.kind) for event in ear.of(ev.Spoke)] == [("Welcome!", "greeting")]
        session.handle(ev.UserSpoke("hi", turn_id="t"))
        await asyncio.sleep(0.2)
        assert ear.said == "Welcome!Fine."

    call(world, caller)


def test_notes_and_words_to_say_are_held_within_bounds_too() -> None:
    """While the store is away, what it cannot take is refused with an error."""
    world = World(QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        world.store.down = True
        for number in range(400):
            session.handle(ev.ContextAdded(f"Fact {number}."))
            await asyncio.sleep(0)
        assert session.conversation.journal.holds < 300
        assert {event.code for event in ear.of(ev.Failed)} == {"store"}
        world.store.down = False

    call(world, caller)


def test_a_fact_that_is_told_again_is_known_already() -> None:
    """A front end that configures its session at every reconnect adds nothing."""
    world = World(QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        for _ in range(3):
            session.handle(ev.ContextAdded("It rains."))
            await asyncio.sleep(0.1)

    call(world, caller)
    assert len(run(world.history())) == 1


def test_a_later_revision_of_an_ended_turn_is_a_turn_of_its_own() -> None:
    """Both are in the log: the store must not take the second for a repetition."""
    world = World(QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("a piece", turn_id="t"))
        await asyncio.sleep(1)
        session.handle(ev.UserSpoke("a pizza", turn_id="t", revision=1))
        await asyncio.sleep(1)

    call(world, caller)
    assert [message.text for message in run(world.history())] == ["a piece", "Fine.", "a pizza", "Fine."]


def test_marks_after_the_end_move_what_was_heard_until_the_next_request() -> None:
    """Then they are frozen, and the log has them."""
    world = World(QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi", turn_id="t1"))
        await asyncio.sleep(1)
        session.handle(ev.PlaybackMoved("t1", ev.Mark(chars=2)))
        session.handle(ev.UserInterrupted(ev.Mark(chars=3), turn_id="t1"))
        assert [event.heard for event in ear.of(ev.TurnHeard)] == ["Fi", "Fin"]
        session.handle(ev.UserSpoke("again", turn_id="t2"))
        await asyncio.sleep(1)
        session.handle(ev.PlaybackMoved("t1", done=True))
        assert len(ear.of(ev.TurnHeard)) == 2

    call(world, caller)
    assert [provider_text(message) for message in world.model.requests[1].history] == ["hi", "Fin [interrupted here]"]
    assert [message.heard for message in run(world.history())] == [None, "Fin", None, "Fine."]


def test_a_mark_for_a_turn_that_never_was_is_an_error() -> None:
    """It names the field."""
    world = World()

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.PlaybackMoved("nosuch", ev.Mark(chars=2)))
        assert [(event.code, event.field) for event in ear.of(ev.Failed)] == [("unknown_id", "turn_id")]

    call(world, caller)


def test_context_is_known_to_the_next_turn_and_answered_by_none() -> None:
    """It is durable by itself."""
    world = World(QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.ContextAdded("The caller is on hold."))
        await asyncio.sleep(0.1)
        assert ear.events == []
        session.handle(ev.UserSpoke("hi"))
        await asyncio.sleep(1)

    call(world, caller)
    assert [message.role for message in world.model.requests[0].history] == ["context"]
    assert [message.role for message in run(world.history())] == ["context", "user", "assistant"]


def test_words_to_say_wait_for_the_live_turn() -> None:
    """They are a turn of their own, of their own kind."""
    world = World(SLOW)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("count"))
        await asyncio.sleep(0.5)
        session.handle(ev.SayRequested("Two minutes left."))
        await asyncio.sleep(5)
        assert ear.said == "One, two, three.Two minutes left."
        assert [event.reason for event in ear.of(ev.TurnEnded)] == ["end_turn", "end_turn"]

    call(world, caller)


def test_words_that_may_not_be_interrupted_are_not() -> None:
    """Until they have been spoken, by their length or by the client's word."""
    world = World()

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.SayRequested("x" * 150, interruptible=False))
        await asyncio.sleep(5)
        session.handle(ev.UserInterrupted(ev.Mark(chars=3)))
        assert ear.of(ev.TurnHeard) == []
        await asyncio.sleep(6)
        session.handle(ev.UserInterrupted(ev.Mark(chars=3)))
        assert [event.heard for event in ear.of(ev.TurnHeard)] == ["xxx"]

    call(world, caller)


GOODBYE: list[Any] = [tool_call(0, "hang_up", '{"pre_exec_msg":"Goodbye, and thank you!"}'), DONE]


def test_a_hang_up_waits_until_the_goodbye_was_heard() -> None:
    """The client's word that it was played ends the call."""
    world = World(GOODBYE)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("bye", turn_id="t"))
        await asyncio.sleep(0.2)
        assert ear.ended("t").reason == "tool_rule"
        assert session._live is None
        session.handle(ev.PlaybackMoved("t", done=True))
        await asyncio.sleep(0.2)
        assert ear.events[-1] == ev.SessionEnded("agent")

    call(world, caller)


def test_a_hang_up_without_marks_waits_for_the_length_of_the_goodbye() -> None:
    """And then happens by itself."""
    world = World(GOODBYE)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("bye"))
        await asyncio.sleep(1.5)
        assert session._live is None
        await asyncio.sleep(3)
        assert ear.events[-1] == ev.SessionEnded("agent")

    call(world, caller)


def test_a_hang_up_waits_for_a_slow_voice() -> None:
    """Marks that show how far it is put it off."""
    world = World(GOODBYE)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("bye", turn_id="t"))
        for chars in range(0, 20, 2):
            await asyncio.sleep(1)
            session.handle(ev.PlaybackMoved("t", ev.Mark(chars=chars)))
        assert session._live is None
        await asyncio.sleep(3)
        assert ear.events[-1] == ev.SessionEnded("agent")

    call(world, caller)


TRANSFER: list[Any] = [tool_call(0, "transfer", '{"pre_exec_msg":"I put you through."}'), DONE]


def test_a_transfer_waits_until_its_words_were_heard() -> None:
    """The session then ends by a reason of its own, by which the front end knows that it is to hand the call over."""
    world = World(TRANSFER)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("a person, please", turn_id="t"))
        await asyncio.sleep(0.2)
        assert (ear.ended("t").reason, ear.ended("t").leaves) == ("tool_rule", "transfer")
        assert session._live is None
        session.handle(ev.PlaybackMoved("t", done=True))
        await asyncio.sleep(0.2)
        assert ear.events[-1] == ev.SessionEnded("transfer")

    call(world, caller)


def test_a_goodbye_after_a_dropped_transfer_is_a_goodbye() -> None:
    """The reason is that of the last turn that left."""
    world = World(TRANSFER, GOODBYE)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("a person, please"))
        await asyncio.sleep(0.2)
        session.handle(ev.UserSpoke("no, bye"))
        await asyncio.sleep(30)
        assert ear.events[-1] == ev.SessionEnded("agent")

    call(world, caller)


def test_keys_are_the_caller_s_words() -> None:
    """They start a turn, cut into one that speaks, and join one that has said nothing yet."""
    world = World(SLOW, QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi", turn_id="t"))
        await asyncio.sleep(0.5)
        session.handle(ev.UserPressed("12"))
        await asyncio.sleep(0.05)
        session.handle(ev.UserPressed("#"))
        await asyncio.sleep(1)
        assert [event.reason for event in ear.of(ev.TurnEnded)] == ["interrupted", "end_turn"]

    call(world, caller)
    (asked,) = world.model.requests[-1].turn
    assert (asked.role, asked.text) == ("user", "[pressed 1 2] [pressed #]")


@pytest.mark.parametrize("cut", [ev.UserSpoke("wait"), ev.UserInterrupted(), ev.UserPressed("1")])
def test_a_hang_up_is_dropped_if_the_caller_cuts_in(cut: ev.UserEvent) -> None:
    """There was something left to say."""
    world = World(GOODBYE, QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("bye"))
        await asyncio.sleep(0.5)
        session.handle(cut)
        await asyncio.sleep(30)
        assert session._live is None

    call(world, caller)


def test_a_write_that_outlives_its_turn_is_told_as_a_note() -> None:
    """The next turn knows what became of it."""
    world = World([tool_call(0, "write", '{"text":"x"}'), DONE], QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("write it down"))
        await asyncio.sleep(0.5)
        session.handle(ev.UserInterrupted())
        await asyncio.sleep(1)
        session.handle(ev.UserSpoke("and?"))
        await asyncio.sleep(1)

    call(world, caller)
    history = world.model.requests[1].history
    assert "Still running" in history[2].text
    assert (history[3].role, "wrote x" in history[3].text) == ("context", True)
    assert [(event.name, event.status) for event in world.ears[0].of(ev.ToolFinished)] == [("write", "ok")]


def test_hanging_up_keeps_what_was_said() -> None:
    """The live turn ends as cancelled, words that no turn answered are in the log."""
    world = World(SLOW)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("count"))
        await asyncio.sleep(0.5)
        session.handle(ev.UserSpoke("stop"))

    call(world, caller)
    ear = world.ears[0]
    assert [event.reason for event in ear.of(ev.TurnEnded)] == ["interrupted"]
    assert ear.events[-1] == ev.SessionEnded("client")
    history = run(world.history())
    assert [message.text for message in history if message.role == "user"] == ["count", "stop"]
    check_valid_for_providers(history)


def test_a_store_that_is_away_holds_turns_and_unsays_nothing() -> None:
    """Speech goes on, the ends come when it is back, once each and in order."""
    world = World(QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        world.store.down = True
        for turn_id in ("t1", "t2"):
            session.handle(ev.UserSpoke("hi", turn_id=turn_id))
            await asyncio.sleep(2)
        assert ear.said == "Fine.Fine."
        assert len(ear.of(ev.TurnSpoken)) == 2
        assert ear.of(ev.TurnEnded) == []
        world.store.down = False
        await asyncio.sleep(2)
        assert [event.turn_id for event in ear.of(ev.TurnEnded)] == ["t1", "t2"]

    call(world, caller)
    assert len(run(world.history())) == 4


def test_a_session_that_was_taken_over_stops() -> None:
    """Its turn belongs to the newer owner."""
    world = World(QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        await world.store.open_session(PAIR, session.id, session.wiring.owner)
        session.handle(ev.UserSpoke("hi"))
        await asyncio.sleep(1)
        assert ear.of(ev.TurnEnded) == []
        assert [event.code for event in ear.of(ev.Failed)] == ["store"]
        assert ear.events[-1] == ev.SessionEnded("fenced")

    call(world, caller)


def test_two_sessions_of_one_user_take_turns() -> None:
    """The second answers when the first has, and knows what was said there."""
    world = World(SLOW, QUICK)

    async def both() -> None:
        async def one(session: Session, ear: Ear) -> None:
            session.handle(ev.UserSpoke("count"))
            await asyncio.sleep(10)

        async def two(session: Session, ear: Ear) -> None:
            await asyncio.sleep(0.5)
            session.handle(ev.UserSpoke("hi"))
            await asyncio.sleep(1)
            assert ear.of(ev.TurnStarted) == []
            await asyncio.sleep(10)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(world.conversations.run())
            await asyncio.sleep(0)
            calls = [tasks.create_task(hold(world, caller)) for caller in (one, two)]
            await asyncio.wait(calls)
            world.conversations.stop()

    run(both())
    assert [message.text for message in world.model.requests[1].history] == ["count", "One, two, three."]


def test_a_stalled_model_is_given_up_at_its_deadline() -> None:
    """An error, an apology, and the next turn works."""
    world = World([60.0, DONE], QUICK, voice={"stall_timeout_ms": 5000})

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi", turn_id="t1"))
        await asyncio.sleep(4.9)
        assert ear.of(ev.Failed) == []
        await asyncio.sleep(0.2)
        assert [event.code for event in ear.of(ev.Failed)] == ["provider"]
        assert ear.of(ev.Spoke)[-1].kind == "notice"
        assert ear.ended("t1").reason == "llm_api_error"
        session.handle(ev.UserSpoke("hi", turn_id="t2"))
        await asyncio.sleep(1)
        assert ear.ended("t2").reason == "end_turn"

    call(world, caller)


def test_requests_of_a_session_only_grow_at_their_end() -> None:
    """Tools, system text and history keep their place from turn to turn: prefix caches live on it."""
    world = World([tool_call(0, "look", '{"q":"x"}'), DONE], QUICK, QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        for words in ("one", "two", "three"):
            session.handle(ev.UserSpoke(words))
            await asyncio.sleep(2)

    call(world, caller)
    requests = world.model.requests
    for earlier, later in itertools.pairwise(requests):
        assert (later.system, later.tools) == (earlier.system, earlier.tools)
        assert whole(later)[: len(whole(earlier))] == whole(earlier)


def whole(request: Any) -> list[tuple[str, str]]:
    messages: tuple[Message, ...] = request.history + request.turn
    return [(message.role, provider_text(message)) for message in messages]


def test_the_guard_of_words_to_say_begins_when_they_can_be_heard() -> None:
    """However long they waited behind a turn, and behind what is still being spoken of it."""
    world = World([ev.TextDelta("x" * 60), DONE])

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("hi"))
        session.handle(ev.SayRequested("y" * 30, interruptible=False))
        await asyncio.sleep(5)
        session.handle(ev.UserInterrupted(ev.Mark(chars=3)))
        assert ear.of(ev.TurnHeard) == []
        await asyncio.sleep(2)
        session.handle(ev.UserInterrupted(ev.Mark(chars=3)))
        assert [event.heard for event in ear.of(ev.TurnHeard)] == ["yyy"]

    call(world, caller)


def test_what_is_said_after_the_goodbye_is_heard_before_the_hang_up() -> None:
    """Each later turn puts it off by its own length."""
    world = World(GOODBYE)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("bye"))
        await asyncio.sleep(0.5)
        session.handle(ev.SayRequested("x" * 75))
        await asyncio.sleep(5)
        assert session._live is None
        await asyncio.sleep(3)
        assert ear.events[-1] == ev.SessionEnded("agent")

    call(world, caller)


def test_new_words_join_an_answer_that_waits_behind_others() -> None:
    """Whatever else is queued: a final text never waits for a whole answer that nobody will want."""
    world = World(SLOW, QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        session.handle(ev.UserSpoke("count", turn_id="t1"))
        await asyncio.sleep(0.5)
        session.handle(ev.UserSpoke("stop", turn_id="t2"))
        session.handle(ev.SayRequested("By the way."))
        session.handle(ev.UserSpoke("please", turn_id="t3"))
        await asyncio.sleep(5)
        assert world.model.requests[-1].turn[0].text == "stop please"
        assert len(ear.of(ev.TurnEnded)) == 3

    call(world, caller)


def test_a_fact_that_changes_and_changes_back_is_told_each_time() -> None:
    """Only the very same note, twice in a row, adds nothing."""
    world = World(QUICK)

    async def caller(session: Session, ear: Ear) -> None:
        for text in ("open", "shut", "open", "open"):
            session.handle(ev.ContextAdded(text))
            await asyncio.sleep(0.1)

    call(world, caller)
    assert [message.text for message in run(world.history())] == ["open", "shut", "open"]


def test_a_turn_id_is_remembered_for_the_whole_of_a_long_call() -> None:
    """Hundreds of turns later its end is told again, and nothing runs twice."""
    world = World([ev.TextDelta("Ok."), DONE])

    async def caller(session: Session, ear: Ear) -> None:
        for number in range(300):
            session.handle(ev.UserSpoke("hi", turn_id=f"t{number}"))
            await asyncio.sleep(0.1)
        session.handle(ev.UserSpoke("hi", turn_id="t0"))
        await asyncio.sleep(0.1)
        assert len(world.model.requests) == 300
        assert [event.turn_id for event in ear.of(ev.TurnEnded)][-2:] == ["t299", "t0"]

    call(world, caller)


def test_many_short_calls_leave_the_window_as_one_long_call_does() -> None:
    """Jobs at the end of calls deal with everything said; that must not keep old turns from leaving the prompt."""
    world = World([ev.TextDelta("Ok."), DONE])

    async def caller(session: Session, ear: Ear) -> None:
        for _ in range(3):
            session.handle(ev.UserSpoke("hi"))
            await asyncio.sleep(0.1)
            await work()

    async def work() -> None:
        for job in await world.store.next_jobs("w", 16, 0):
            seen = await world.store.read_memory(PAIR)
            await world.store.finish_job(job, JobResult(seen.cursor, seen.wanted, seen.start))

    async def calls() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(world.conversations.run())
            await asyncio.sleep(0)
            for _ in range(30):
                await hold(world, caller)
                await asyncio.sleep(1)
                await work()
                await asyncio.sleep(1)
            world.conversations.stop()

    run(calls())
    most = world.agent.buffer.max + 6  # nobody tells a live session here: a call's own turns come on top
    assert max(len(request.history) for request in world.model.requests) <= most
    assert not any(message.role == "context" for request in world.model.requests for message in request.history)
    assert len(run(world.history())) <= most
