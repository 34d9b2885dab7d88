"""What holds whatever the recogniser hears and takes back, and whenever it does."""

import asyncio
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.speculation.host import Hands, Host, Thinker, play
from tests.turns import check_valid_for_providers
from voice_agent import events as ev
from voice_agent.messages import Message
from voice_agent.speculation.speculation import plain

_texts = st.sampled_from(["hello", "Hello.", "hello?", "look it up", "Look it  up", "look and write", "write", ""])
_gaps = st.sampled_from([0.0, 0.05, 0.11, 0.4, 0.9, 3.0])
_heard = st.tuples(st.just("hear"), _texts, st.booleans(), st.sampled_from([None, "a", "b"]), st.integers(0, 2), _gaps)
_idle = st.tuples(st.sampled_from(["note", "drop"]), _gaps)
_cut = st.tuples(st.just("cut"), _gaps)
_Step = tuple[Any, ...]


def run_through(schedule: list[_Step], *, waits: bool) -> tuple[Host, Thinker, Hands]:
    """A call; `waits`: nothing happens between a final text and the end of the turn that answers it."""
    model, hands = Thinker(), Hands()

    async def caller(host: Host) -> None:
        for step in schedule:
            match step:
                case ("hear", text, final, turn_id, revision, gap):
                    if not final or text:
                        host.hear(text, final=final, turn_id=turn_id, revision=revision)
                    if waits:
                        await host.answered()
                case ("note", gap):
                    host.note("it rains")
                case ("drop", gap):
                    host.ahead.drop()
                case ("cut", gap):
                    host.cut_in()
            await asyncio.sleep(gap)

    return play(caller, model, hands), model, hands


def remembered(host: Host) -> list[Message]:
    """The history but for the times, the numbers in ids, and what of the user's texts does not count."""
    ids: dict[str, str] = {}

    def known(call_id: str) -> str:
        return ids.setdefault(call_id, f"call {len(ids)}")

    out = []
    for message in host.history:
        calls = tuple(msgspec.structs.replace(made, id=known(made.id)) for made in message.tool_calls)
        answers = None if message.tool_call_id is None else known(message.tool_call_id)
        text = plain(message.text) if message.role == "user" else message.text
        out.append(msgspec.structs.replace(message, text=text, at=0.0, tool_calls=calls, tool_call_id=answers))
    return out


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(_heard, _idle), max_size=12))
def test_what_is_told_and_remembered_is_the_same_as_without_interim_texts(schedule: list[_Step]) -> None:
    """So are the tools that have effects: each is run by a turn that the caller hears."""
    host, model, hands = run_through(schedule, waits=True)
    finals = [step for step in schedule if step[0] != "hear" or step[2]]
    other, asked, worked = run_through(finals, waits=True)
    assert remembered(host) == remembered(other)
    assert [spoken(told.events) for told in host.told] == [spoken(told.events) for told in other.told]
    assert hands.began.count("write") == worked.began.count("write")
    adopted = sum(outcome == "adopted" for outcome, _ in host.reports)
    if len(host.reports) == adopted:  # nothing was thought in vain
        assert len(model.requests) == len(asked.requests)
    assert adopted <= sum(host.adopted)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(_heard, _cut), max_size=12))
@example([("hear", "hello", False, None, 0, 0.1)])  # over in the very moment in which it would be asked about
@example([("hear", "hello", False, None, 0, 0.05)] * 2)
def test_whenever_the_caller_cuts_in_every_history_is_valid_and_nothing_is_left(schedule: list[_Step]) -> None:
    """Nothing with effects runs that the caller is not told of, no reply is read on, every attempt is accounted for."""
    host, model, hands = run_through(schedule, waits=False)
    check_valid_for_providers(host.history)
    told = [event for each in host.told for event in each.events]
    called = [event.name for event in told if isinstance(event, ev.ToolCalled)]
    assert hands.began.count("write") <= called.count("write")
    assert len(host.told) == sum(isinstance(event, ev.TurnEnded) for event in told)
    ended = sum(each.ended.usage.steps for each in host.told) + sum(spent.steps for _, spent in host.reports)
    assert ended >= len(model.requests)


def spoken(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, ev.Spoke))
