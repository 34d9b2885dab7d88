"""What is kept of the last request makes the next one cheaper, and never another."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.llm.asking import asks
from voice_agent.llm.capabilities import Capability
from voice_agent.llm.provider import FORMATS
from voice_agent.llm.transcript import Kept, Line
from voice_agent.messages import Message, Opaque, ToolCall

_THOUGHT = Opaque("acme/m", "thinking", '{"type":"thinking","thinking":"hm","signature":"s"}')


def turn(number: int, kind: str) -> tuple[Message, ...]:
    """One turn of the given kind."""
    asked = Message("user", f"question {number}", float(number))
    answer = Message("assistant", f"answer {number}", float(number), opaque=(_THOUGHT,))
    if kind == "plain":
        return (asked, answer)
    if kind == "cut":
        return (asked, msgspec.structs.replace(answer, heard="ans", interrupted=True))
    if kind == "note":
        return (Message("context", f"note {number}", float(number)),)
    if kind == "greeting":
        return (answer,)
    calls = (
        ToolCall("call_1", "look", "{}", utterance="Hm.", heard="Hm."),
        ToolCall(f"call_{number}", "say it!", "{}"),
    )
    results = tuple(Message("tool", "done", float(number), tool_call_id=call.id) for call in calls)
    called = msgspec.structs.replace(answer, text="", tool_calls=calls)
    filler = Message("assistant", "Hm.", float(number), heard="Hm", filler=kind == "waited")
    if kind == "waited":
        return (asked, filler, called, *results, filler, filler, answer)
    return (asked, called, *results, filler if kind == "cut waiting" else answer)


KINDS = st.sampled_from(["plain", "cut", "note", "greeting", "calls", "waited", "cut waiting"])


@given(
    kinds=st.lists(KINDS, max_size=12),
    live=KINDS,
    windows=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(-1, 12)), min_size=1, max_size=8),
)
@pytest.mark.parametrize("api", FORMATS)
def test_a_request_is_the_same_whatever_was_asked_before(
    api: str, kinds: list[str], live: str, windows: list[tuple[int, int, int]]
) -> None:
    """Over windows that grow, are cut, begin elsewhere, and whose turns are settled anew."""
    wire, kept, record = FORMATS[api], Kept(), Capability(api=api)  # type: ignore[index, arg-type]
    turns = [turn(number, kind) for number, kind in enumerate(kinds)]
    for first, last, resettled in windows:
        if resettled in range(len(turns)):
            turns[resettled] = turn(resettled + 100, "cut")
        history = tuple(message for each in turns[first:last] for message in each)
        for asked in (asks(*turn(50, live), history=history), asks("again", history=history, tools=())):
            fresh = msgspec.json.encode(wire.fields(asked, "m", "acme/m", record, Kept()))
            assert msgspec.json.encode(wire.fields(asked, "m", "acme/m", record, kept)) == fresh


def test_only_what_is_new_is_written() -> None:
    """Of a history that grows, each message once; of one that was changed, all of it."""
    written, kept = list[str](), Kept()

    def write(lines: list[str], line: Line) -> None:
        written.append(line.text)
        lines.append(line.text)

    first, second = turn(1, "plain"), turn(2, "plain")
    for history in (first, first, first + second, first + second):
        assert kept.history(history, "acme/m", list[str], write) == [message.text for message in history]
    assert written == ["question 1", "answer 1", "question 2", "answer 2"]
    written.clear()
    kept.history(turn(1, "cut") + second, "acme/m", list[str], write)
    assert written == ["question 1", "ans [interrupted here]", "question 2", "answer 2"]
