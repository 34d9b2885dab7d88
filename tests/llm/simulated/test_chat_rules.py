"""What the simulated provider refuses, field by field."""

from typing import Any

import msgspec
import pytest

from voice_agent.llm.simulated.chat_rules import read_request
from voice_agent.llm.simulated.request import Refused

USER = {"role": "user", "content": "hi"}
CALL = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "seen"}
TOOL = {"type": "function", "function": {"name": "look"}}


def body(**fields: Any) -> bytes:
    """A request with these fields over sound ones."""
    return msgspec.json.encode({"model": "m", "messages": [USER], **fields})


def test_sound_request() -> None:
    """A request that keeps the rules is read."""
    read = read_request(
        body(
            messages=[{"role": "system", "content": "s"}, USER, CALLS, RESULT, USER],
            tools=[TOOL],
            tool_choice={"type": "function", "function": {"name": "look"}},
            stream=True,
            stream_options={"include_usage": True},
            max_completion_tokens=5,
        )
    )
    assert (read.tool_choice, read.stream, read.include_usage, read.max_tokens) == ("look", True, True, 5)
    assert list(read.tools) == ["look"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "assistant", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "assistant", "content": None, "tool_calls": []}]}, "messages[0].tool_calls"),
        ({"messages": [USER, CALLS]}, "messages"),
        ({"messages": [USER, CALLS, USER, RESULT]}, "messages[2]"),
        ({"messages": [USER, RESULT]}, "messages[1]"),
        ({"messages": [USER, CALLS, RESULT, RESULT]}, "messages[3]"),
        ({"messages": [{**CALLS, "tool_calls": [CALL, CALL]}, RESULT]}, "messages[0].tool_calls"),
        ({"messages": [{**CALLS, "tool_calls": [{**CALL, "id": "x" * 41}]}]}, "messages[0].tool_calls.id"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"parallel_tool_calls": True}, "parallel_tool_calls"),
        ({"tools": []}, "tools"),
        ({"tools": [TOOL, TOOL]}, "tools"),
        ({"tools": [TOOL], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "nap"}}}, "tool_choice"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"temperature": 3}, "temperature"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"colour": "red"}, "colour"),
        ({"model": ""}, "model"),
    ],
)
def test_refusals(fields: dict[str, Any], param: str) -> None:
    """Each broken rule is refused, naming the field."""
    with pytest.raises(Refused) as caught:
        read_request(body(**fields))
    assert caught.value.param == param


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"'])
def test_no_object_at_all(raw: bytes) -> None:
    """A body that is no JSON object is refused."""
    with pytest.raises(Refused):
        read_request(raw)
