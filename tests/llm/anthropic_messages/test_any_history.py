"""Any history is one that Anthropic takes, and the requests of a session only grow: prefix caches live on it."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.llm.anthropic_messages.test_request import MARK, TOOL, TOOL_TWO, encode, marked, request, user
from voice_agent.llm.simulated.messages_rules import read_request
from voice_agent.messages import Message, ToolCall, ToolSchema

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_ids = st.sampled_from(["a", "b", "a:b", "a_b", ""])
_calls = st.lists(
    st.builds(
        ToolCall,
        id=_ids,
        name=st.sampled_from(["look", "nap", "no such tool!"]),
        arguments=st.sampled_from(["{}", '{"x": 1}', '{"malformed_arguments":"{"}']),
        utterance=st.none() | _texts,
        heard=st.none() | _texts,
    ),
    max_size=3,
    unique_by=lambda call: call.id,
).map(tuple)
_messages = st.lists(
    st.builds(Message, role=st.sampled_from(["user", "context"]), text=_texts, at=st.just(0.0))
    | st.builds(Message, role=st.just("tool"), text=_texts, at=st.just(0.0), tool_call_id=_ids, failed=st.booleans())
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


@given(
    history=_messages,
    turn=_messages,
    system=_texts,
    tools=st.sampled_from([(), (TOOL,)]),
    choice=st.sampled_from(["auto", "none", "required"]),
)
def test_any_history_is_accepted(
    history: tuple[Message, ...],
    turn: tuple[Message, ...],
    system: str,
    tools: tuple[ToolSchema, ...],
    choice: Any,
) -> None:
    """Whatever is in a history, the strict rules find nothing wrong, and neighbours never have one role."""
    for words in ((), (user("hi"),)):
        asked = request(*turn, *words, history=history, system=system, tools=tools, tool_choice=choice)
        fields = encode(asked)
        roles = [message["role"] for message in fields["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
        assert len(marked(fields)) <= 4
    assert read_request(msgspec.json.encode(fields)).messages[-1] == {"role": "user", "content": "hi"}


def prefix(fields: dict[str, Any]) -> list[bytes]:
    """The encoded blocks in the order in which a cache reads them, each with its role, without marks."""
    blocks = [(message["role"], block) for message in fields["messages"] for block in message["content"]]
    ordered = [("tool", tool) for tool in fields["tools"]] + [("system", block) for block in fields["system"]] + blocks
    return [
        msgspec.json.encode((role, {name: value for name, value in block.items() if name not in MARK}))
        for role, block in ordered
    ]


@given(steps=st.lists(_messages.map(lambda turn: (user("go"), *turn)), min_size=2, max_size=3))
def test_requests_of_a_session_only_grow(steps: list[tuple[Message, ...]]) -> None:
    """From one request to the next what was sent keeps its bytes, but for marks and a line that stood for the user."""
    history: tuple[Message, ...] = ()
    before: list[bytes] = []
    for turn in steps:
        # Results are in their places by the time the next request is made.
        closed = tuple(
            Message("tool", "seen", 0.0, tool_call_id=call.id)
            for message in turn
            for call in message.tool_calls
            if message.role == "assistant"
        )
        live = (*(message for message in turn if message.role != "tool"), *closed, user("more"))
        now = prefix(encode(request(*live, history=history, tools=(TOOL, TOOL_TWO))))
        assert now[: len(before)] == before
        before, history = now, (*history, *live)
