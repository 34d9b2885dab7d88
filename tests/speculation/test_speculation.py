"""What runs ahead of a final text, what waits for it, and what a turn takes over."""

import asyncio

import pytest

from tests.speculation.host import TAKEN, Hands, Host, Thinker, play
from tests.turns import TOOLS, spec
from voice_agent import events as ev
from voice_agent.fillers import Fillers
from voice_agent.messages import Usage
from voice_agent.rules.kinds import RequiresApproval
from voice_agent.speculation.speculation import plain

DONE = ev.ModelFinished("stop", TAKEN)
SETTLED_S = 0.2


@pytest.mark.parametrize(
    "other",
    ["book a table", " Book  a\ttable ", "BOOK A TABLE.", "book a table .", "Book a table...", "book a table。"],
)
def test_texts_that_are_the_same(other: str) -> None:
    """Case, runs of white space and a full stop at the end do not count."""
    assert plain(other) == plain("Book a table")


@pytest.mark.parametrize("other", ["Book a table?", "Book, a table", "Book a tables", "Book.a table", "Booka table"])
def test_texts_that_are_not(other: str) -> None:
    """A question mark counts, and so does whatever stands within."""
    assert plain(other) != plain("Book a table")


@pytest.mark.parametrize(("one", "other"), [("अच्छा", "अच्छा।"), ("ہے", "ہے\u06d4"), ("好的", "好的。")])
def test_full_stops_of_other_scripts(one: str, other: str) -> None:
    """A danda, an Arabic full stop (U+06D4) and an ideographic one are no other text either."""
    assert plain(one) == plain(other)


def test_a_tool_without_effects_runs_ahead_and_once() -> None:
    """Its outcome and the reply to it are there when the final text comes: both requests were sent before."""
    model, hands = Thinker(), Hands()

    async def caller(host: Host) -> None:
        host.hear("look")
        await asyncio.sleep(5)
        assert hands.began == ["look"]
        assert host.told == []
        host.hear("Look.", final=True)
        await asyncio.sleep(0.001)
        assert host.said == "One moment.After 0: look look is done "

    host = play(caller, model, hands)
    assert len(model.requests) == 2
    assert hands.began == ["look"]
    assert host.told[0].ended.usage == TAKEN + TAKEN
    assert host.reports == [("adopted", Usage())]
    kinds = [type(event) for event in host.told[0].events]
    assert kinds.count(ev.ToolCalled) == kinds.count(ev.ToolFinished) == 1


def test_the_turn_that_ran_ahead_is_gone_once_it_was_adopted() -> None:
    """The one that is told is the only one left, however long it takes."""

    async def caller(host: Host) -> None:
        host.hear("look")
        await asyncio.sleep(1)
        assert [task for task in asyncio.all_tasks() if "run_turn" in repr(task.get_coro())]
        host.hear("look", final=True)
        await asyncio.sleep(0.01)
        assert not [task for task in asyncio.all_tasks() if "run_turn" in repr(task.get_coro())]

    play(caller, Thinker(), Hands(takes_s=9))


def test_a_tool_that_still_runs_is_waited_for() -> None:
    """The final text comes in the middle of the run: it is not begun again, and not cut short."""
    model, hands = Thinker(), Hands(takes_s=2)

    async def caller(host: Host) -> None:
        host.hear("look")
        await asyncio.sleep(1)
        host.hear("look", final=True)

    host = play(caller, model, hands)
    assert (hands.began, hands.stopped) == (["look"], [])
    assert host.said == "One moment.After 0: look look is done "
    assert len(model.requests) == 2


def test_a_tool_with_effects_waits_for_the_final_text() -> None:
    """It is run once, by the turn that adopts the reply; the request after it is that turn's own."""
    model, hands = Thinker(), Hands()

    async def caller(host: Host) -> None:
        host.hear("look and write")
        await asyncio.sleep(5)
        assert hands.began == ["look"]
        assert len(model.requests) == 1
        host.hear("look and write", final=True)

    host = play(caller, model, hands)
    assert hands.began == ["look", "write"]
    assert len(model.requests) == 2
    assert host.said == "One moment.After 0: look and write look is done write is done "
    assert host.reports == [("adopted", Usage())]


def test_a_tool_of_a_text_that_was_not_final_is_stopped() -> None:
    """What it would bring is of no use."""
    hands = Hands(takes_s=60)

    async def caller(host: Host) -> None:
        host.hear("look")
        await asyncio.sleep(1)
        host.hear("hello", final=True)

    host = play(caller, Thinker(), hands)
    assert (hands.began, hands.stopped) == (["look"], ["look"])
    assert host.reports == [("discarded", TAKEN)]


def test_the_client_is_not_asked_ahead() -> None:
    """However long it takes: it is not late with what it does not know of. The adopting turn asks it."""
    model = Thinker()

    async def caller(host: Host) -> None:
        host.hear("look")
        await asyncio.sleep(5)
        assert len(model.requests) == 1
        host.hear("look", final=True)
        await asyncio.sleep(0.01)
        (needed,) = [event for event in host.told[0].events if isinstance(event, ev.ClientToolNeeded)]
        assert host.inbox is not None
        host.inbox.put(ev.ToolReturned(needed.call_id, "seen"))

    host = play(caller, model, tools=TOOLS | {"look": spec("look", effects="none", client_timeout_s=1.0)})
    assert host.said == "One moment.After 0: look seen "
    assert len(model.requests) == 2


def test_no_person_is_asked_ahead() -> None:
    """The tool does not run, harmless as it is, before the adopting turn has asked."""
    model, hands = Thinker(), Hands()

    async def caller(host: Host) -> None:
        host.hear("quiet")
        await asyncio.sleep(5)
        assert hands.began == []
        host.hear("quiet", final=True)
        await asyncio.sleep(0.01)
        (asked,) = [event for event in host.told[0].events if isinstance(event, ev.ApprovalNeeded)]
        assert host.inbox is not None
        host.inbox.put(ev.ApprovalGiven(asked.call_id, approved=True))

    host = play(caller, model, hands, rules=(RequiresApproval(type="requires_approval", tool="quiet"),))
    assert hands.began == ["quiet"]
    assert host.said == "After 0: quiet quiet is done "


def test_a_barge_in_stops_what_was_adopted_and_what_was_not_taken_yet() -> None:
    """The reply under way is closed, the tool is stopped, and the request after it is never made."""
    model, hands = Thinker(), Hands(takes_s=60)

    async def caller(host: Host) -> None:
        host.hear("look")
        await asyncio.sleep(1)
        host.hear("look", final=True)
        await asyncio.sleep(0.1)
        host.cut_in()
        await host.answered()
        assert hands.stopped == ["look"]
        host.hear("tell me")
        await asyncio.sleep(SETTLED_S)
        host.hear("tell me", final=True)
        await asyncio.sleep(0.01)
        host.cut_in()

    host = play(caller, model, hands)
    assert model.closed == 1
    assert [told.ended.reason for told in host.told] == ["interrupted", "interrupted"]
    assert [outcome for outcome, _ in host.reports] == ["adopted", "adopted"]


def test_a_reply_to_a_step_that_the_turn_does_not_come_to_is_dropped_with_it() -> None:
    """The tool was ahead and so was the reply to it; the caller cuts in before the turn asks for that."""
    model = Thinker(first_token_s=1.0)

    async def caller(host: Host) -> None:
        host.hear("look")
        await asyncio.sleep(SETTLED_S + 1.0 + 0.1 + 0.5 + 0.5)
        host.hear("look", final=True)
        host.cut_in()

    host = play(caller, model)
    assert len(model.requests) == 2
    assert model.closed == 1
    assert host.told[0].ended.reason == "interrupted"
    assert host.reports == [("discarded", TAKEN + Usage(steps=1))]


def test_more_words_before_anything_was_said_are_asked_about_anew() -> None:
    """A second final text makes another request of the turn that had adopted the first."""
    model = Thinker(first_token_s=1.0)

    async def caller(host: Host) -> None:
        host.hear("one")
        await asyncio.sleep(0.5)
        host.hear("one", final=True)
        await asyncio.sleep(0.1)
        assert host.inbox is not None
        host.inbox.put(ev.UserSpoke("one two", revision=1))

    host = play(caller, model)
    assert model.asked == ["one", "one two"]
    assert model.closed == 1
    assert host.said == "After 0: one two "


def test_a_filler_makes_no_other_request() -> None:
    """The turn that ran ahead waited for the tool and the one that is told did not: they ask the same."""
    model, hands = Thinker(), Hands(takes_s=4)

    async def caller(host: Host) -> None:
        host.hear("look")
        await asyncio.sleep(9)
        host.hear("look", final=True)

    host = play(caller, model, hands, fillers=Fillers(1.0, 60.0, ("Still on it.",)))
    assert len(model.requests) == 2
    assert host.said == "One moment.After 0: look look is done "
