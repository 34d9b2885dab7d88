"""The encoder: fields, message shapes and cache marks. That any history is taken is shown in `test_any_history`."""

from typing import Any

import msgspec
import pytest

from voice_agent.llm.anthropic_messages.request import messages_fields
from voice_agent.llm.capabilities import Capabilities, Capability
from voice_agent.llm.simulated.messages_rules import read_request
from voice_agent.messages import Message, ModelRequest, ToolCall, ToolSchema

TOOL = ToolSchema("look", "Looks.", {"type": "object", "properties": {}})
TOOL_TWO = msgspec.structs.replace(TOOL, name="nap")
MARK = {"cache_control": {"type": "ephemeral"}}
OPENING = {"role": "user", "content": [{"type": "text", "text": "[the call begins]"}]}


def user(text: str) -> Message:
    """The caller's words."""
    return Message("user", text, 0.0)


def agent(text: str, *calls: ToolCall, **fields: Any) -> Message:
    """The agent's words and calls."""
    return Message("assistant", text, 0.0, tool_calls=calls, **fields)


def result(call_id: str, text: str, *, failed: bool = False) -> Message:
    """What a call gave."""
    return Message("tool", text, 0.0, tool_call_id=call_id, failed=failed)


def request(*turn: Message, history: tuple[Message, ...] = (), **fields: Any) -> ModelRequest:
    """A request whose live turn is given."""
    return ModelRequest(**{"model": "m", "system": "Be brief.", "history": history, "turn": turn, **fields})


def encode(given_request: ModelRequest, capability: Capability | None = None) -> dict[str, Any]:
    """The fields of the request, which the strict rules have to accept."""
    record = capability or Capability(api="messages", sampling=False)
    fields = messages_fields(given_request, "m", "acme/m", record)
    read_request(msgspec.json.encode(fields))
    return fields


def shape(given_request: ModelRequest) -> list[tuple[str, list[Any]]]:
    """Roles and blocks, without cache marks: texts as they are, other blocks by their type and what matters of it."""
    keys = {"tool_use": "id", "tool_result": "tool_use_id"}
    return [
        (
            message["role"],
            [
                block["text"] if block["type"] == "text" else (block["type"], block[keys[block["type"]]])
                for block in message["content"]
            ],
        )
        for message in encode(given_request)["messages"]
    ]


def test_plain_request() -> None:
    """System text and messages, marked at their ends; nothing about tools, thinking or sampling unless asked."""
    fields = encode(request(user("hi"), history=(Message("context", "It rains.", 0.0),), temperature=0.5))
    said = [{"type": "text", "text": "It rains.", **MARK}, {"type": "text", "text": "hi", **MARK}]
    assert fields == {
        "model": "m",
        "max_tokens": 8192,
        "system": [{"type": "text", "text": "Be brief.", **MARK}],
        "messages": [{"role": "user", "content": said}],
        "stream": True,
    }


def test_tools_stream_their_arguments() -> None:
    """Each tool asks for arguments as they are made, the last is marked, and what was refused is left out."""
    fields = encode(request(user("hi"), tools=(TOOL, TOOL_TWO)))
    plain = {"description": "Looks.", "input_schema": TOOL.parameters}
    assert fields["tools"] == [
        {"name": "look", **plain, "eager_input_streaming": True},
        {"name": "nap", **plain, "eager_input_streaming": True, **MARK},
    ]
    assert fields["tool_choice"] == {"type": "auto"}
    refused = Capability(api="messages", refused=frozenset({"eager_input_streaming", "cache_control", "tool_choice"}))
    bare = encode(request(user("hi"), tools=(TOOL,)), refused)
    assert bare["tools"] == [{"name": "look", **plain}]
    assert "tool_choice" not in bare
    assert b"cache_control" not in msgspec.json.encode(bare)


LOW, ADAPTIVE = {"output_config": {"effort": "low"}}, {"thinking": {"type": "adaptive"}}


@pytest.mark.parametrize(
    ("model", "reasoning", "sent"),
    [
        ("claude-opus-4-8", None, {}),
        ("claude-opus-4-8", "none", {}),
        ("claude-opus-4-8", "low", {**LOW, **ADAPTIVE}),
        ("claude-haiku-5-5", None, {}),
        ("claude-haiku-5-5", "none", {"thinking": {"type": "disabled"}}),
        ("claude-haiku-5-5", "minimal", {**LOW, **ADAPTIVE}),
        ("claude-sonnet-5-5", "none", {"thinking": {"type": "between_tools"}}),
        ("claude-sonnet-5-5", "low", LOW),
        ("claude-opus-5-5", "none", LOW),
        ("claude-opus-5-5", "high", {"output_config": {"effort": "high"}}),
    ],
)
def test_reasoning(model: str, reasoning: str | None, sent: dict[str, Any]) -> None:
    """Each model is told how much to think in its own way, and nothing if the agent says nothing."""
    record = Capabilities().of("u", model, "messages")
    fields = messages_fields(request(user("hi"), reasoning=reasoning), model, "acme/m", record)
    read_request(msgspec.json.encode(fields))
    assert {name: fields[name] for name in ("output_config", "thinking") if name in fields} == sent


@pytest.mark.parametrize(
    ("model", "reasoning", "choice"),
    [
        ("claude-opus-4-8", None, "any"),
        ("claude-opus-4-8", "low", "auto"),
        ("claude-haiku-5-5", None, "auto"),
        ("claude-haiku-5-5", "none", "any"),
        ("claude-haiku-5-5", "low", "auto"),
        ("claude-sonnet-5-5", "none", "auto"),
        ("claude-opus-5-5", None, "auto"),
    ],
)
def test_a_call_is_forced_where_the_model_takes_it(model: str, reasoning: str | None, choice: str) -> None:
    """Thinking excludes force; some models are never forced; that none may be called holds everywhere."""
    record = Capabilities().of("u", model, "messages")
    for wanted, sent in (("required", choice), ("none", "none")):
        asked = request(user("hi"), tools=(TOOL,), tool_choice=wanted, reasoning=reasoning)
        fields = messages_fields(asked, model, "acme/m", record)
        read_request(msgspec.json.encode(fields))
        assert fields["tool_choice"] == {"type": sent}
    named = messages_fields(
        request(user("hi"), tools=(TOOL,), tool_choice="look", reasoning=reasoning), model, "acme/m", record
    )
    read_request(msgspec.json.encode(named))
    assert named["tool_choice"] == ({"type": "tool", "name": "look"} if choice == "any" else {"type": "auto"})


@pytest.mark.parametrize(
    ("wanted", "reasoning", "capable", "limit"),
    [
        (None, None, None, 8192),
        (None, None, 4096, 4096),
        (None, "low", None, 24_576),
        (None, "low", 10_000, 10_000),
        (300, "low", None, 300),
        (9000, None, 4096, 4096),
    ],
)
def test_output_limit(wanted: int | None, reasoning: str | None, capable: int | None, limit: int) -> None:
    """It is always given, with room for thinking unless the agent sets it, and never beyond what the model can."""
    record = Capability(api="messages", max_output=capable)
    assert encode(request(user("a"), max_output_tokens=wanted, reasoning=reasoning), record)["max_tokens"] == limit


def test_turns_alternate_and_the_user_begins() -> None:
    """A greeting gets a user's line before it, neighbours are joined, blank and unheard words leave no block."""
    history = (agent("Hello."), agent(" \n"), agent("Are you there?", heard="Are you"), user(" "), user("Yes."))
    assert shape(request(Message("context", "It rains.", 0.0), user("go"), history=history)) == [
        ("user", ["[the call begins]"]),
        ("assistant", ["Hello.", "Are you"]),
        ("user", ["Yes.", "It rains.", "go"]),
    ]


def test_the_user_always_has_the_last_word() -> None:
    """Where nothing was said, or the agent spoke last, a fixed line stands for the user."""
    assert encode(request())["messages"] == [OPENING]
    spoken = shape(request(history=(user("Hi."), agent("Hello."))))
    assert spoken[-1] == ("user", ["[the caller says nothing]"])


def test_results_come_together_before_any_text() -> None:
    """All results of a reply stand in call order at the head of the next message, made up where one is missing."""
    calls = (
        ToolCall("a", "look", "{}"),
        ToolCall("b", "look", '{"x":1}', utterance="Wait."),
        ToolCall("c", "look", "{}"),
    )
    turn = (
        agent("Hm.", *calls),
        Message("context", "It rains.", 0.0),
        result("b", "second", failed=True),
        result("a", " \n"),
    )
    messages = encode(request(user("go"), *turn, tools=(TOOL,)))["messages"]
    assert [block["type"] for block in messages[1]["content"]] == ["text", "tool_use", "tool_use", "tool_use"]
    assert messages[1]["content"][2] == {
        "type": "tool_use",
        "id": "b",
        "name": "look",
        "input": {"pre_exec_msg": "Wait.", "x": 1},
    }
    assert messages[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": "(empty)"},
        {"type": "tool_result", "tool_use_id": "b", "content": "second", "is_error": True},
        {"type": "tool_result", "tool_use_id": "c", "content": "no result was recorded", "is_error": True},
        {"type": "text", "text": "It rains.", **MARK},
    ]


def test_ids_and_names_of_other_makers() -> None:
    """Ids are plain and never given twice, whatever they were; so are the names of what was called."""
    history = (
        agent("", ToolCall("a:1", "look out!", "{}"), ToolCall("a_1", "look", "{}")),
        agent("", ToolCall("a.1", "look", "{}"), ToolCall("", "", "{}")),
    )
    asked = request(user("go"), history=history, tools=(TOOL,))
    blocks = [block for message in encode(asked)["messages"] for block in message["content"]]
    calls = [block for block in blocks if block["type"] == "tool_use"]
    assert [call["id"] for call in calls] == ["a_1", "a_1_1", "a_1_2", "_"]
    assert [call["name"] for call in calls] == ["look_out_", "look", "look", "_"]
    assert [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"] == [
        call["id"] for call in calls
    ]


def test_calls_of_tools_that_are_gone() -> None:
    """A history with calls brings its tools along where none are offered, and none of them may be called."""
    fields = encode(request(user("go"), history=(agent("", ToolCall("a", "look", "{}")), result("a", "seen"))))
    assert [tool["name"] for tool in fields["tools"]] == ["look"]
    assert fields["tool_choice"] == {"type": "none"}


def marked(fields: dict[str, Any]) -> list[Any]:
    """The marked blocks, in the order of the prefix."""
    blocks = [block for message in fields["messages"] for block in message["content"]]
    return [
        block
        for block in (*fields.get("tools", []), *fields.get("system", []), *blocks)
        if MARK.items() <= block.items()
    ]


def test_marks_stand_at_the_borders() -> None:
    """The last tool, the system text, the end of the history and of the live turn: four, never more."""
    call = ToolCall("a", "look", "{}")
    turn = (user("go"), agent("", call), result("a", "seen"))
    found = marked(encode(request(*turn, history=(user("Hi."), agent("Hello.")), tools=(TOOL, TOOL_TWO))))
    assert [block.get("name") or block.get("text") or block.get("content") for block in found] == [
        "nap",
        "Be brief.",
        "Hello.",
        "seen",
    ]
    alone = marked(encode(request(history=(user("Hi."), agent("Hello.")), system="")))
    assert [block["text"] for block in alone] == ["Hello."]


def test_fields_with_refused_names_go() -> None:
    """What was refused at the top is left out."""
    record = Capability(api="messages", refused=frozenset({"thinking", "output_config", "temperature"}))
    fields = encode(request(user("a"), reasoning="low", temperature=0.5), record)
    assert set(fields) == {"model", "max_tokens", "system", "messages", "stream"}


def test_temperature_where_it_is_taken() -> None:
    """A server that imitates this API may take one, from 0 to 1."""
    fields = messages_fields(request(user("a"), temperature=1.5), "m", "acme/m", Capability(api="messages"))
    assert fields["temperature"] == 1.0
