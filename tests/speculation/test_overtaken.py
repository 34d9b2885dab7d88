"""What an interim text is about, and what has overtaken it: its turn and revision, a changed history, the end."""

import asyncio

import pytest

from tests.speculation.host import TAKEN, Hands, Host, Thinker, play
from tests.turns import ScriptedModel, call
from voice_agent import events as ev
from voice_agent.messages import Usage
from voice_agent.speculation.speculations import KEPT_S, SETTLE_S

DONE = ev.ModelFinished("stop", TAKEN)


def test_a_revision_that_goes_backwards_is_ignored() -> None:
    """What was overtaken on the way is not thought about; a later revision is."""
    model = Thinker()

    async def caller(host: Host) -> None:
        for text, revision in (("one two", 2), ("one", 1), ("one two three", 3)):
            host.hear(text, turn_id="t", revision=revision)
            await asyncio.sleep(1)

    play(caller, model)
    assert model.asked == ["one two", "one two three"]


def test_an_interim_text_after_its_final_one_is_ignored() -> None:
    """The words of that turn are known; a later revision of them is news, and so is another turn."""
    model = Thinker()

    async def caller(host: Host) -> None:
        host.hear("one", final=True, turn_id="t", revision=1)
        await host.answered()
        for text, revision in (("late", 0), ("later", 1), ("new", 2)):
            host.hear(text, turn_id="t", revision=revision)
            await asyncio.sleep(2)
        host.hear("other", turn_id="u")
        await asyncio.sleep(2)

    play(caller, model)
    assert model.asked == ["one", "new", "other"]


def test_a_text_of_another_turn_is_another_text() -> None:
    """The same words under another id are thought about anew, and a final text adopts none of another id."""
    model = Thinker()

    async def caller(host: Host) -> None:
        host.hear("yes", turn_id="t1")
        await asyncio.sleep(1)
        host.hear("yes", turn_id="t2")
        await asyncio.sleep(1)
        host.hear("yes", final=True, turn_id="t3")

    host = play(caller, model)
    assert len(model.requests) == 3
    assert host.adopted == [False]


@pytest.mark.parametrize(
    ("interim", "final", "adopted"),
    [("t", "t", True), (None, "t", True), (None, None, True), ("t", None, False), ("t", "u", False)],
)
def test_a_turn_may_be_named_late(interim: str | None, final: str | None, adopted: bool) -> None:
    """But a final text without a name is none of a turn that has one: the words of that turn may yet come."""

    async def caller(host: Host) -> None:
        host.hear("yes", turn_id=interim)
        await asyncio.sleep(1)
        host.hear("yes", final=True, turn_id=final)

    assert play(caller).adopted == [adopted]


def test_a_history_that_has_changed_means_another_request() -> None:
    """The final text is the same, but the request would not be: it is made anew, and the old one is for nothing."""
    model = Thinker()

    async def caller(host: Host) -> None:
        host.hear("hello")
        await asyncio.sleep(1)
        host.note("it rains")
        host.hear("hello", final=True)

    host = play(caller, model)
    assert len(model.requests) == 2
    assert model.requests[1].history == host.history[:1]
    assert host.said == "After 1: hello "
    assert host.reports == [("discarded", TAKEN)]


@pytest.mark.parametrize(("again", "is_other"), [('{"q":"x"}', False), ('{"q":"y"}', True)])
def test_a_call_that_is_another_one_by_now_has_another_id_for_its_tool(again: str, is_other: bool) -> None:
    """What runs under one id twice is the same call, or a tool that goes by its id would answer with the old outcome.

    The client has never heard of the first one: to it the id is as it always is.
    """
    first, second = call(0, "look", '{"q":"x"}'), call(0, "look", again)
    model = ScriptedModel([first, DONE], [5.0], [second, DONE], [ev.TextDelta("Done."), DONE])
    hands = Hands()

    async def caller(host: Host) -> None:
        host.hear("hello")
        await asyncio.sleep(1)
        host.note("it rains")
        host.hear("hello", final=True)

    host = play(caller, model, hands)
    assert hands.began == ["look", "look"]
    assert (hands.ids[0] != hands.ids[1]) == is_other
    told = {event.call_id for event in host.told[0].events if isinstance(event, ev.ToolCalled | ev.ToolFinished)}
    assert told == {hands.ids[0]}
    assert host.said == "Done."


def test_what_cannot_be_adopted_is_stopped_as_soon_as_that_is_known() -> None:
    """Not when the turn is over that could not adopt it: nobody pays for two replies."""
    model = Thinker(first_token_s=5)

    async def caller(host: Host) -> None:
        host.hear("hello")
        await asyncio.sleep(1)
        host.note("it rains")
        host.hear("hello", final=True)
        await asyncio.sleep(0.01)
        assert (len(model.requests), model.closed) == (2, 1)

    play(caller, model)


def test_a_final_text_in_the_moment_before_the_request_finds_nothing() -> None:
    """It makes the only request itself."""
    model = Thinker()

    async def caller(host: Host) -> None:
        host.hear("hello")
        await asyncio.sleep(SETTLE_S)
        host.hear("hello", final=True)

    host = play(caller, model)
    assert host.adopted == [False]
    assert len(model.requests) == 1
    assert host.reports == [("discarded", Usage())]


def test_what_is_not_wanted_any_more_is_stopped_and_the_next_text_begins_anew() -> None:
    """After a drop the same interim text is thought about again."""
    model = Thinker()

    async def caller(host: Host) -> None:
        for _ in range(2):
            host.hear("hello")
            await asyncio.sleep(0.2)
            host.ahead.drop()
        host.hear("hello")
        host.ahead.drop()
        await asyncio.sleep(1)

    host = play(caller, model)
    assert model.asked == ["hello", "hello"]
    assert model.closed == 2
    assert [outcome for outcome, _ in host.reports] == ["discarded", "discarded"]


def test_what_no_final_text_follows_is_forgotten() -> None:
    """Words that were read long ago are not told as new."""
    model = Thinker()

    async def caller(host: Host) -> None:
        host.hear("hello")
        await asyncio.sleep(SETTLE_S + KEPT_S - 0.01)
        assert host.reports == []
        await asyncio.sleep(0.02)
        assert host.reports == [("discarded", TAKEN)]
        host.hear("hello", final=True)

    host = play(caller, model)
    assert host.adopted == [False]
    assert len(model.requests) == 2


def test_the_end_of_the_session_stops_what_was_adopted_and_has_not_begun() -> None:
    """Nothing of it is left to wait for."""
    model, hands = Thinker(token_s=60), Hands(60)

    async def caller(host: Host) -> None:
        host.hear("look")
        await asyncio.sleep(1)
        assert host.ahead.final(ev.UserSpoke("look")) is not None
        host.ahead.close()
        host.ahead.close()
        await asyncio.sleep(0)
        assert asyncio.get_running_loop().time() < 2

    host = play(caller, model, hands)
    assert (model.closed, hands.stopped) == (1, ["look"])
    assert host.reports == [("discarded", Usage(steps=1))]


def test_nobody_thinks_while_a_turn_is_live() -> None:
    """A text that settles when a turn has begun meanwhile is left alone, until it is heard again after its end."""
    model = Thinker()

    async def caller(host: Host) -> None:
        host.ahead.interim(ev.UserSpoke("one", final=False))
        await asyncio.sleep(0.05)
        host._answer(ev.UserSpoke("two"))
        host.ahead.interim(ev.UserSpoke("three", final=False))
        await host.answered()
        assert model.asked == ["two"]
        host.hear("three")
        await asyncio.sleep(1)

    play(caller, model)
    assert model.asked == ["two", "three"]
