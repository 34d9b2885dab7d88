"""What the simulated OpenAI refuses in a Responses request, field by field and item by item."""

from typing import Any

import msgspec
import pytest

from voice_agent.llm.simulated.request import Refused
from voice_agent.llm.simulated.responses_input import seal
from voice_agent.llm.simulated.responses_rules import read_request

USER = {"role": "user", "content": "hi"}
SAID = {"type": "message", "role": "assistant", "content": "So."}
CALL = {"type": "function_call", "call_id": "a", "name": "look", "arguments": "{}"}
OTHER = {**CALL, "call_id": "b"}
RESULT = {"type": "function_call_output", "call_id": "a", "output": "seen"}
TOOL = {"type": "function", "name": "look", "strict": False}
NESTED = {"type": "function", "function": {"name": "look"}}
THOUGHT = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "Hm."}],
    "encrypted_content": seal("rs_1", "Hm.", CALL),
}


def body(*items: Any, **fields: Any) -> bytes:
    """A request with these items, and these fields over sound ones."""
    return msgspec.json.encode({"model": "m", "input": items or [USER], **fields})


def test_sound_request() -> None:
    """A request that keeps the rules is read, its items as messages of Chat Completions."""
    parts = [{"type": "input_text", "text": "h"}, {"type": "input_text", "text": "i"}]
    read = read_request(
        body(
            {"type": "message", "role": "user", "content": parts},
            {**SAID, "phase": "commentary"},
            THOUGHT,
            CALL,
            OTHER,
            {**RESULT, "call_id": "b"},
            RESULT,
            {**SAID, "content": [{"type": "output_text", "text": "Done."}], "phase": "final_answer"},
            USER,
            instructions="s",
            tools=[TOOL],
            tool_choice={"type": "function", "name": "look"},
            include=["reasoning.encrypted_content"],
            reasoning={"effort": "low"},
            store=False,
            stream=True,
            max_output_tokens=5,
        )
    )
    calls = [
        {"id": call_id, "type": "function", "function": {"name": "look", "arguments": "{}"}} for call_id in ("a", "b")
    ]
    assert list(read.messages) == [
        {"role": "system", "content": "s"},
        USER,
        {"role": "assistant", "content": "So.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "b", "content": "seen"},
        {"role": "tool", "tool_call_id": "a", "content": "seen"},
        {"role": "assistant", "content": "Done."},
        USER,
    ]
    assert (read.tool_choice, read.stream, read.max_tokens, read.seals_reasoning) == ("look", True, 5, True)
    assert list(read.tools) == ["look"]
    assert read_request(body(input="hi")).messages == (USER,)


@pytest.mark.parametrize(
    ("items", "param"),
    [
        ([5], "input[0]"),
        ([{"content": "x"}], "input[0].type"),
        ([{"type": "item_reference", "id": "msg_1"}], "input[0].type"),
        ([{**USER, "colour": "red"}], "input[0].colour"),
        ([{**USER, "role": "tool"}], "input[0].role"),
        ([{**USER, "content": ""}], "input[0].content"),
        ([{**USER, "content": []}], "input[0].content"),
        ([{**USER, "content": [{"type": "output_text", "text": "x"}]}], "input[0].content[0]"),
        ([{**SAID, "content": [{"type": "input_text", "text": "x"}]}], "input[0].content[0]"),
        ([{**SAID, "content": [{"type": "output_text", "text": ""}]}], "input[0].content[0].text"),
        ([{**SAID, "id": "msg_1"}], "input[0].id"),
        ([{**SAID, "phase": "thinking"}], "input[0].phase"),
        ([{**USER, "phase": "commentary"}], "input[0].phase"),
        ([{**CALL, "id": "fc_1"}, RESULT], "input[0].id"),
        ([{**CALL, "call_id": "x" * 65}, RESULT], "input[0].call_id"),
        ([{**CALL, "name": "a b"}, RESULT], "input[0].name"),
        ([{**CALL, "arguments": "{"}, RESULT], "input[0].arguments"),
        ([CALL, CALL, RESULT], "input[1].call_id"),
        ([CALL], "input"),
        ([CALL, USER], "input"),
        ([RESULT], "input"),
        ([CALL, RESULT, RESULT], "input"),
        ([CALL, {**RESULT, "output": ""}], "input[1].output"),
        ([{**THOUGHT, "id": None}, CALL, RESULT], "input[0].id"),
        ([{**THOUGHT, "summary": None}, CALL, RESULT], "input[0].summary"),
        ([{**THOUGHT, "encrypted_content": None}, CALL, RESULT], "input[0]"),
        ([{**THOUGHT, "summary": []}, CALL, RESULT], "input[0]"),
        ([{**THOUGHT, "encrypted_content": "made up"}, CALL, RESULT], "input[0]"),
        ([THOUGHT, {**CALL, "name": "nap"}, RESULT], "input[0]"),
        ([THOUGHT, SAID, CALL, RESULT], "input[0]"),
        ([THOUGHT, USER], "input"),
        ([THOUGHT], "input"),
    ],
)
def test_refused_items(items: list[Any], param: str) -> None:
    """Each broken rule of the input is refused, naming the place."""
    with pytest.raises(Refused) as caught:
        read_request(body(*items))
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"model": ""}, "model"),
        ({"messages": [USER]}, "messages"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"max_completion_tokens": 5}, "max_completion_tokens"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"reasoning": {"depth": 1}}, "reasoning.depth"),
        ({"include": ["everything"]}, "include"),
        ({"temperature": 3}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"instructions": 5}, "instructions"),
        ({"store": "no"}, "store"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
        ({"tools": 5}, "tools"),
        ({"tools": [NESTED]}, "tools[0].name"),
        ({"tools": [{"type": "robot", "name": "look"}]}, "tools[0].type"),
        ({"tools": [{**TOOL, "function": {}}]}, "tools[0].function"),
        ({"tools": [{**TOOL, "parameters": {"type": "string"}}]}, "tools[0].parameters"),
        ({"tools": [{"type": "function", "name": "look"}]}, "tools[0].strict"),
        ({"tools": [TOOL, TOOL]}, "tools"),
        ({"tools": [TOOL], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "nap"}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": NESTED}, "tool_choice.function"),
        ({"tool_choice": "required"}, "tool_choice"),
    ],
)
def test_refused_fields(fields: dict[str, Any], param: str) -> None:
    """Each broken rule is refused, naming the field."""
    with pytest.raises(Refused) as caught:
        read_request(body(**fields))
    assert caught.value.param == param


def test_a_closed_tool_may_be_strict() -> None:
    """All of its arguments are required, and it takes no others."""
    schema = {"type": "object", "properties": {"x": {}}, "required": ["x"], "additionalProperties": False}
    assert read_request(body(tools=[{"type": "function", "name": "look", "parameters": schema}])).tools == {
        "look": schema
    }
