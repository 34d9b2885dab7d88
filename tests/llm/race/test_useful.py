"""What counts as the first useful token of a reply."""

import pytest

from voice_agent.events import ModelEvent, ModelFinished, TextDelta, ToolCallDelta
from voice_agent.llm.race.useful import Ear, tools_that_speak
from voice_agent.messages import ModelBusy, Opaque, ToolSchema

SILENT = ToolSchema("silent", "Says nothing.", {"type": "object", "properties": {"at": {"type": "string"}}})
SPEAKING = ToolSchema("speaking", "Speaks.", {"type": "object", "properties": {"pre_exec_msg": {"type": "string"}}})


def first_useful(*events: ModelEvent) -> int | None:
    """The number of the first event that is useful, or None."""
    ear = Ear(tools_that_speak((SILENT, SPEAKING, ToolSchema("bare", "", {"type": "object"}))))
    return next((number for number, event in enumerate(events) if ear.is_useful(event)), None)


def call(name: str, *pieces: str) -> list[ToolCallDelta]:
    """A call as it streams: its name, then its arguments."""
    return [ToolCallDelta(0, "c", name), *(ToolCallDelta(0, json=piece) for piece in pieces)]


@pytest.mark.parametrize(
    ("events", "useful"),
    [
        ([TextDelta("Hi")], 0),
        ([TextDelta(""), TextDelta("\n\n"), TextDelta("**"), TextDelta("Hi")], 3),
        ([TextDelta("…"), TextDelta("你好")], 1),
        ([TextDelta("٣")], 0),
        ([Opaque("m", "reasoning", "Let me think.")], None),
        ([ModelBusy(), ModelFinished("stop")], 1),
        (call("silent", '{"at":"x"}'), 0),
        (call("bare", "{}"), 0),
        (call("unknown", "{}"), 0),
        (call("speaking", '{"pre_exec', '_msg":"', "One"), 3),
        (call("speaking", "{", '"at":1', "}"), 3),
    ],
)
def test_what_can_be_heard_or_done_is_useful(events: list[ModelEvent], useful: int | None) -> None:
    """A letter or digit of any script; a call, unless it is to open with an utterance: then that, or its end."""
    assert first_useful(*events) == useful


def test_parallel_calls_are_told_apart() -> None:
    """The pieces of one do not complete another."""
    ear = Ear(frozenset({"speaking"}))
    pieces = [(0, '{"x":"'), (1, '{"pre_exec_msg"'), (0, 'pre_exec_msg":"a'), (1, ':"No')]
    deltas = [ToolCallDelta(index, f"c{index}", "speaking", json) for index, json in pieces]
    assert [ear.is_useful(delta) for delta in deltas] == [False, False, False, True]
