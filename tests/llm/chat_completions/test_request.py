"""The encoder: message shapes, optional fields, replayed parts, and that any history is one that OpenAI takes."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.llm.capabilities import Capabilities, Capability
from voice_agent.llm.chat_completions.request import chat_fields
from voice_agent.llm.simulated.chat_rules import read_request
from voice_agent.messages import Message, ModelRequest, Opaque, ToolCall, ToolSchema

TOOL = ToolSchema("look", "Looks.", {"type": "object", "properties": {}})


def user(text: str) -> Message:
    """The caller's words."""
    return Message("user", text, 0.0)


def request(*turn: Message, history: tuple[Message, ...] = (), **fields: Any) -> ModelRequest:
    """A request whose live turn is given."""
    return ModelRequest(**{"model": "m", "system": "Be brief.", "history": history, "turn": turn, **fields})


def encode(given_request: ModelRequest, capability: Capability | None = None) -> dict[str, Any]:
    """The fields of the request at a model that takes everything."""
    return chat_fields(given_request, "m", "acme/m", capability or Capability())


def test_plain_request() -> None:
    """System text, then messages in order; nothing about tools without tools, nothing for fields left unset."""
    fields = encode(request(user("hi"), history=(Message("context", "It rains.", 0.0),)))
    assert fields == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "It rains."},
            {"role": "user", "content": "hi"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_optional_fields_and_tools() -> None:
    """What is set is sent under its own name."""
    fields = encode(
        request(user("hi"), tools=(TOOL,), tool_choice="none", temperature=0.5, reasoning="low", max_output_tokens=9)
    )
    assert fields["tools"] == [
        {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": TOOL.parameters}}
    ]
    names = ("tool_choice", "parallel_tool_calls", "temperature", "reasoning_effort", "max_completion_tokens")
    assert [fields[name] for name in names] == ["none", True, 0.5, "low", 9]


def test_one_tool_is_demanded_by_its_name() -> None:
    """In the shape that the server reads it from; any tool where the model takes no name."""
    named = request(user("hi"), tools=(TOOL,), tool_choice="look")
    assert encode(named)["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert read_request(msgspec.json.encode(encode(named))).tool_choice == "look"
    assert encode(named, Capability(named_call=False))["tool_choice"] == "required"


def test_history_is_what_was_heard() -> None:
    """Heard text replaces generated text; a reply of which nothing was said leaves no empty message."""
    history = (
        Message("assistant", "One. Two.", 0.0, heard="One."),
        Message("assistant", "Three.", 0.0, heard=""),
    )
    contents = [message["content"] for message in encode(request(user("go"), history=history))["messages"]]
    assert contents == ["Be brief.", "One.", "go"]


def test_results_stand_right_behind_their_calls() -> None:
    """Results follow in call order, whatever came between, a missing one is made up, and no text is null."""
    calls = (
        ToolCall("a", "look", "{}"),
        ToolCall("b", "look", '{"x":1}', utterance="Wait."),
        ToolCall("c", "look", "{}"),
    )
    turn = (
        Message("assistant", "", 0.0, tool_calls=calls),
        Message("context", "It rains.", 0.0),
        Message("tool", "second", 0.0, tool_call_id="b"),
        Message("tool", "", 0.0, tool_call_id="a"),
    )
    messages = encode(request(user("go"), *turn))["messages"][2:]
    assert messages[0]["content"] is None
    assert messages[0]["tool_calls"][1]["function"]["arguments"] == '{"pre_exec_msg":"Wait.","x":1}'
    assert [(message.get("tool_call_id"), message["content"]) for message in messages[1:]] == [
        ("a", "(empty)"),
        ("b", "second"),
        ("c", "no result was recorded"),
        (None, "It rains."),
    ]


def test_opaque_parts_go_back_in_the_live_turn_only() -> None:
    """DeepSeek gets its reasoning and Gemini its signatures, for the live turn and from the same model only."""
    call = (ToolCall("a", "look", "{}"),)
    opaque = (
        Opaque("acme/m", "reasoning_content", "I thi"),
        Opaque("acme/m", "reasoning_content", "nk"),
        Opaque("other/m", "reasoning_content", "not mine"),
        Opaque("acme/m", "thought_signature", "sig", 0),
    )
    step = Message("assistant", "", 0.0, tool_calls=call, opaque=opaque)
    whole = request(user("go"), step, history=(step,))
    deepseek = encode(whole, Capabilities().of("u", "deepseek-v4"))["messages"]
    assert [deepseek[1]["reasoning_content"], deepseek[4]["reasoning_content"]] == ["", "I think"]
    gemini = encode(whole, Capabilities().of("u", "gemini-3-flash"))["messages"]
    assert "extra_content" not in gemini[1]["tool_calls"][0]
    assert gemini[4]["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "sig"}}
    plain = msgspec.json.encode(encode(whole)["messages"])
    assert b"sig" not in plain
    assert b"thi" not in plain


def test_effort_beside_tools() -> None:
    """New OpenAI models are told `none` beside tools, and the agent's effort without."""
    for model, effort in (
        ("gpt-5.6", "none"),
        ("gpt-6-luna", "none"),
        ("openai/gpt-6.1-sol", "none"),
        ("gpt-5.1", "low"),
    ):
        record = Capabilities().of("u", model)
        assert encode(request(user("a"), tools=(TOOL,), reasoning="low"), record)["reasoning_effort"] == effort
        assert encode(request(user("a"), reasoning="low"), record)["reasoning_effort"] == "low"


def test_refused_fields_are_left_out() -> None:
    """A refused field is not sent again at that address, and is at another."""
    capabilities = Capabilities()
    capabilities.learn("u", "m", capabilities.of("u", "m").without("stream_options"))
    assert "stream_options" not in encode(request(user("a")), capabilities.of("u", "m"))
    assert "stream_options" in encode(request(user("a")), capabilities.of("v", "m"))


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_ids = st.sampled_from(["a", "b", "c", "d"])
_calls = st.lists(
    st.builds(
        ToolCall,
        id=_ids,
        name=st.sampled_from(["look", "default_api:look", "", "x" * 65]),
        arguments=st.sampled_from(["{}", '{"x": 1}', '{"malformed_arguments":"{"}']),
        utterance=st.none() | _texts,
        heard=st.none() | _texts,
    ),
    max_size=3,
    unique_by=lambda call: call.id,
).map(tuple)
_messages = st.lists(
    st.builds(
        Message,
        role=st.sampled_from(["user", "context"]),
        text=_texts,
        at=st.just(0.0),
    )
    | st.builds(Message, role=st.just("tool"), text=_texts, at=st.just(0.0), tool_call_id=_ids)
    | st.builds(
        Message,
        role=st.just("assistant"),
        text=_texts,
        at=st.just(0.0),
        heard=st.none() | _texts,
        tool_calls=_calls,
        interrupted=st.booleans(),
    )
    | st.builds(
        Message, role=st.just("assistant"), text=_texts, at=st.just(0.0), heard=st.none() | _texts, filler=st.just(True)
    ),
    max_size=8,
).map(tuple)


@given(history=_messages, turn=_messages, system=_texts, tools=st.sampled_from([(), (TOOL,)]))
def test_any_history_is_accepted(
    history: tuple[Message, ...], turn: tuple[Message, ...], system: str, tools: tuple[ToolSchema, ...]
) -> None:
    """Whatever is in a history, the strict rules find nothing wrong with the request made from it."""
    fields = encode(request(*turn, user("hi"), history=history, system=system, tools=tools))
    assert read_request(msgspec.json.encode(fields)).messages[-1] == {"role": "user", "content": "hi"}
