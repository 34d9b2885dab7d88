"""What the simulated Anthropic refuses, field by field."""

from typing import Any

import msgspec
import pytest

from voice_agent.llm.simulated.messages_rules import read_request
from voice_agent.llm.simulated.messages_shape import signature_of
from voice_agent.llm.simulated.request import Refused

MARK = {"cache_control": {"type": "ephemeral"}}
TEXT = {"type": "text", "text": "hi"}
USER = {"role": "user", "content": "hi"}
CALL = {"type": "tool_use", "id": "a", "name": "look", "input": {}}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": signature_of("Hm.")}
SECRET = {"type": "redacted_thinking", "data": "f" * 64}
RESULT = {"type": "tool_result", "tool_use_id": "a", "content": "seen"}
TOOL = {"name": "look", "input_schema": {"type": "object"}}


def agent(*blocks: Any) -> dict[str, Any]:
    """An assistant's message."""
    return {"role": "assistant", "content": list(blocks)}


def user(*blocks: Any) -> dict[str, Any]:
    """A user's message of blocks."""
    return {"role": "user", "content": list(blocks)}


def body(**fields: Any) -> bytes:
    """A request with these fields over sound ones; None takes one away."""
    sound = {"model": "m", "max_tokens": 9, "messages": [USER], "tools": [TOOL]}
    return msgspec.json.encode({name: value for name, value in {**sound, **fields}.items() if value is not None})


def test_sound_request() -> None:
    """A request that keeps the rules is read, and told in the shape of Chat Completions."""
    read = read_request(
        body(
            system=[{**TEXT, **MARK}],
            messages=[
                USER,
                agent(THOUGHT, SECRET, TEXT, CALL),
                user({**RESULT, "is_error": True}, {**TEXT, **MARK}),
                {"role": "user", "content": "bye"},
            ],
            tools=[{**TOOL, "eager_input_streaming": True, **MARK}],
            tool_choice={"type": "any"},
            thinking={"type": "disabled"},
            output_config={"effort": "low"},
            stream=True,
        )
    )
    function = {"name": "look", "arguments": "{}"}
    assert read.messages == (
        {"role": "system", "content": "hi"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hi", "tool_calls": [{"id": "a", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "a", "content": "seen"},
        {"role": "user", "content": "hi"},
        {"role": "user", "content": "bye"},
    )
    assert (read.tool_choice, read.stream, read.max_tokens, list(read.tools)) == ("required", True, 9, ["look"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"temperature": 1.0}, "temperature"),
        ({"top_p": 0.5}, "top_p"),
        ({"stream": "yes"}, "stream"),
        ({"system": [{"type": "text", "text": ""}]}, "system.0"),
        ({"system": [{"type": "image"}]}, "system.0"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}, USER]}, "messages.0.role"),
        ({"messages": [{**USER, "name": "x"}]}, "messages.0.name"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages.0"),
        ({"messages": [user()]}, "messages.0"),
        ({"messages": [user({"type": "text", "text": ""})]}, "messages.0.content.0"),
        ({"messages": [user({"type": "text", "text": " \n"})]}, "messages.0.content.0"),
        ({"messages": [user({**TEXT, "index": 1})]}, "messages.0.content.0.text.index"),
        ({"messages": [user(CALL)]}, "messages.0.content.0"),
        ({"messages": [agent(TEXT), USER]}, "messages.0"),
        ({"messages": [USER, agent(TEXT)]}, "messages.1"),
        ({"messages": [USER, agent(CALL), USER]}, "messages.1"),
        ({"messages": [USER, agent(CALL), user(TEXT, RESULT)]}, "messages.2.content.1"),
        ({"messages": [USER, agent(CALL), user(RESULT, RESULT)]}, "messages.2"),
        ({"messages": [USER, agent(CALL), user(RESULT), agent(TEXT), user(RESULT)]}, "messages.4.content.0"),
        ({"messages": [USER, agent(CALL, CALL), user(RESULT)]}, "messages.1"),
        ({"messages": [USER, agent(CALL), user(RESULT), agent(CALL), user(RESULT)]}, "messages.3"),
        ({"messages": [USER, agent({**CALL, "id": "a:b"}), user(RESULT)]}, "messages.1.content.0.id"),
        ({"messages": [USER, agent({**CALL, "name": "a b"}), user(RESULT)]}, "messages.1.content.0.name"),
        ({"messages": [USER, agent({**CALL, "input": "{}"}), user(RESULT)]}, "messages.1.content.0.input"),
        ({"messages": [USER, agent(CALL), user({**RESULT, "content": ""})]}, "messages.2.content.0.content.0"),
        ({"messages": [USER, agent(CALL), user(RESULT)], "tools": None}, "tools"),
        (
            {"messages": [USER, agent({"type": "thinking", "thinking": "Hm."}, TEXT), USER]},
            "messages.1.content.0.signature",
        ),
        ({"messages": [USER, agent({**THOUGHT, "thinking": "Hm"}, TEXT), USER]}, "messages.1.content.0.signature"),
        ({"messages": [USER, agent({**THOUGHT, **MARK}, TEXT), USER]}, "messages.1.content.0.thinking.cache_control"),
        ({"messages": [USER, agent({**SECRET, "data": ""}, TEXT), USER]}, "messages.1.content.0"),
        ({"messages": [USER, agent(TEXT, THOUGHT), USER]}, "messages.1"),
        ({"messages": [user(*[{**TEXT, **MARK}] * 5)]}, "cache_control"),
        (
            {"messages": [user({**TEXT, "cache_control": {"type": "forever"}})]},
            "messages.0.content.0.text.cache_control",
        ),
        ({"tools": [TOOL, TOOL]}, "tools"),
        ({"tools": [{**TOOL, "name": "a b"}]}, "tools.0.custom.name"),
        ({"tools": [{**TOOL, "parameters": {}}]}, "tools.0.custom.parameters"),
        ({"tools": [{"name": "look", "input_schema": {}}]}, "tools.0.custom.input_schema"),
        ({"tools": None, "tool_choice": {"type": "auto"}}, "tool_choice"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "required"}}, "tool_choice"),
        ({"tool_choice": {"type": "tool", "name": "nap"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "any"}, "thinking": {"type": "adaptive"}}, "tool_choice"),
        ({"tool_choice": {"type": "any"}, "model": "claude-opus-5-5"}, "tool_choice"),
        (
            {"tool_choice": {"type": "any"}, "model": "claude-sonnet-5-5", "thinking": {"type": "between_tools"}},
            "tool_choice",
        ),
        ({"thinking": {"type": "none"}}, "thinking.type"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type"),
        ({"thinking": {"type": "disabled"}, "model": "claude-fable-5-1"}, "thinking.type"),
        ({"thinking": {"type": "disabled"}, "model": "claude-sonnet-5-5"}, "thinking.type"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "max"}}, "thinking.type"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "adaptive", "effort": "low"}}, "thinking.effort"),
        ({"output_config": {"effort": "minimal"}}, "output_config.effort"),
        ({"output_config": {"verbosity": "low"}}, "output_config.verbosity"),
    ],
)
def test_refusals(fields: dict[str, Any], param: str) -> None:
    """Each broken rule is refused, with the path of what is wrong."""
    with pytest.raises(Refused) as caught:
        read_request(body(**fields))
    assert caught.value.param == param


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"'])
def test_no_object_at_all(raw: bytes) -> None:
    """A body that is no JSON object is refused."""
    with pytest.raises(Refused):
        read_request(raw)


def test_names_of_tools() -> None:
    """A choice may name a tool."""
    assert read_request(body(tool_choice={"type": "tool", "name": "look"})).tool_choice == "look"
