"""When a session thinks ahead, and when that was for nothing."""

import asyncio

import pytest

from tests.speculation.host import TAKEN, Host, Thinker, play
from tests.turns import ScriptedModel
from voice_agent import events as ev
from voice_agent.messages import ModelBusy, Usage
from voice_agent.speculation.speculations import KEPT_S, MOST_SETTLE_S, SETTLE_S


def test_a_final_text_that_was_thought_about_is_answered_with_what_has_come() -> None:
    """One request is made, and the reply that was ready is told without any time passing."""
    model = Thinker()

    async def caller(host: Host) -> None:
        host.hear("book a table")
        await asyncio.sleep(2)
        host.hear("Book a table.", final=True)
        for _ in range(5):
            await asyncio.sleep(0)
        assert host.said == "After 0: book a table "

    host = play(caller, model)
    assert model.asked == ["book a table"]
    assert host.adopted == [True]
    assert host.reports == [("adopted", Usage())]
    assert host.told[0].ended.usage == TAKEN
    assert host.told[0].ended.latency.total == 0.0


def test_a_reply_that_is_still_coming_is_told_from_its_beginning_and_goes_on() -> None:
    """The final text finds the reply half said: what has come comes at once, the rest in its own time."""
    model = Thinker(first_token_s=0.3, token_s=0.5)

    async def caller(host: Host) -> None:
        host.hear("hello")
        await asyncio.sleep(SETTLE_S + 0.3 + 0.1)
        host.hear("hello", final=True)
        await asyncio.sleep(0.01)
        assert host.said == "After 0: "

    host = play(caller, model)
    assert host.said == "After 0: hello "
    assert len(model.requests) == 1
    assert model.closed == 0


def test_another_final_text_is_answered_as_if_nothing_had_been_thought() -> None:
    """The connection is closed, the final text is asked about, and the cost of the other is told."""
    model = Thinker()

    async def caller(host: Host) -> None:
        host.hear("book a table")
        await asyncio.sleep(0.2)
        host.hear("book a table for two", final=True)
        await host.answered()
        assert host.ahead.take_wasted() == Usage(steps=1)
        assert host.ahead.take_wasted() == Usage()

    host = play(caller, model)
    assert model.asked == ["book a table", "book a table for two"]
    assert model.closed == 1
    assert host.reports == [("discarded", Usage(steps=1))]
    assert host.said == "After 0: book a table for two "


def test_a_whole_reply_that_nobody_wanted_is_counted_with_its_tokens_and_requests() -> None:
    """What the provider has reported is the cost, all requests that were sent among it."""
    spent = Usage(attempts=2, hedges=1)
    model = ScriptedModel([ModelBusy(spent), ev.TextDelta("Yes."), ev.ModelFinished("stop", TAKEN)])

    async def caller(host: Host) -> None:
        host.hear("one")
        await asyncio.sleep(1)
        host.hear("two", final=True)

    assert play(caller, model).reports == [("discarded", spent + TAKEN)]


def test_a_text_that_goes_on_changing_is_not_thought_about() -> None:
    """Ten partial texts a second cost one request, when they stop."""
    model = Thinker()

    async def caller(host: Host) -> None:
        words = ["I", "would", "like", "to", "book", "a", "table"]
        for count in range(1, len(words) + 1):
            host.hear(" ".join(words[:count]))
            await asyncio.sleep(SETTLE_S * 0.9)
        host.hear(" ".join(words), final=True)
        assert model.requests == []
        host.hear("ignored while a turn is live")
        await host.answered()
        host.hear("I would")
        await asyncio.sleep(SETTLE_S * 0.9)
        host.hear("I would not")
        await asyncio.sleep(SETTLE_S * 1.1)
        host.hear("I would not", final=True)

    host = play(caller, model)
    assert model.asked == ["I would like to book a table", "I would not"]
    assert host.adopted == [False, True]


def test_each_attempt_is_waited_for_longer() -> None:
    """A recogniser that is slow to change its mind costs ever fewer requests, until a final text comes."""
    model = Thinker()

    async def caller(host: Host) -> None:
        for number in range(20):
            host.hear(f"a{number}")
            await asyncio.sleep(SETTLE_S * 2.5)
        assert model.asked == ["a0", "a1"]
        await asyncio.sleep(SETTLE_S * 2)
        assert model.asked == ["a0", "a1", "a19"]
        for number in range(3):
            host.hear(f"b{number}")
            await asyncio.sleep(MOST_SETTLE_S * 1.01)
        assert model.asked[3:] == ["b0", "b1", "b2"]
        host.hear("b2", final=True)
        await host.answered()
        host.hear("c")
        await asyncio.sleep(SETTLE_S * 1.01)
        assert model.asked[6:] == ["c"]

    play(caller, model)


def test_the_same_text_again_goes_on_with_what_runs() -> None:
    """Case, spaces and a full stop are no other text, nor is one that was different for a moment only."""
    model = Thinker()

    async def caller(host: Host) -> None:
        host.hear("Hello there")
        await asyncio.sleep(0.2)
        for text in ("hello  there.", "hello their", "hello there"):
            host.hear(text)
            await asyncio.sleep(SETTLE_S / 2)
        await asyncio.sleep(1)
        host.hear("Hello there.", final=True)

    host = play(caller, model)
    assert model.asked == ["Hello there"]
    assert host.adopted == [True]


def test_a_question_mark_is_another_text() -> None:
    """A final question is not answered with what was thought about a statement."""

    async def caller(host: Host) -> None:
        host.hear("you are open")
        await asyncio.sleep(1)
        host.hear("You are open?", final=True)

    assert play(caller).adopted == [False]


def test_a_changed_text_replaces_what_runs() -> None:
    """At most one is thought about: the older request is closed as the newer one is sent."""
    model, open_at_once = Thinker(first_token_s=5), []

    async def caller(host: Host) -> None:
        for text in ("one", "one two", "one two three"):
            host.hear(text)
            await asyncio.sleep(0.45)
            open_at_once.append(len(model.requests) - model.closed)
        host.hear("one two three", final=True)

    host = play(caller, model)
    assert model.asked == ["one", "one two", "one two three"]
    assert open_at_once == [1, 1, 1]
    assert [outcome for outcome, _ in host.reports] == ["discarded", "discarded", "adopted"]


@pytest.mark.parametrize("text", ["", "  ", "...", "。"])
def test_no_words_are_not_thought_about(text: str) -> None:
    """A recogniser that has nothing yet costs nothing, and does not end what runs."""
    model = Thinker()

    async def caller(host: Host) -> None:
        host.hear(text)
        await asyncio.sleep(1)
        assert model.requests == []
        host.hear("hello")
        await asyncio.sleep(1)
        host.hear(text)
        await asyncio.sleep(1)
        host.hear("hello", final=True)

    assert play(caller, model).adopted == [True]


def test_a_text_that_is_repeated_is_not_waited_for_again() -> None:
    """A recogniser that says the same ten times a second has made up its mind, and does not keep what is old alive."""
    model = Thinker()

    async def caller(host: Host) -> None:
        for _ in range(int(KEPT_S / SETTLE_S)):
            host.hear("hello")
            await asyncio.sleep(SETTLE_S * 0.9)
        assert model.asked == ["hello"]
        for _ in range(int(KEPT_S / SETTLE_S)):
            host.hear("hello")
            await asyncio.sleep(SETTLE_S * 0.9)
        host.hear("hello", final=True)

    host = play(caller, model)
    assert model.asked == ["hello", "hello"]
    assert host.reports == [("discarded", TAKEN), ("adopted", Usage())]
