"""The encoder: items and their order, optional fields, replayed parts, and that OpenAI takes any history."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.llm.capabilities import Capabilities, Capability
from voice_agent.llm.openai_responses.request import responses_fields
from voice_agent.llm.simulated.responses_input import seal
from voice_agent.llm.simulated.responses_rules import read_request
from voice_agent.messages import Message, ModelRequest, Opaque, ToolCall, ToolSchema

TOOL = ToolSchema("look", "Looks.", {"type": "object", "properties": {}})
LOOK = ToolCall("a", "look", "{}")


def user(text: str) -> Message:
    """The caller's words."""
    return Message("user", text, 0.0)


def result(call_id: str = "a") -> Message:
    """What a call gave."""
    return Message("tool", "seen", 0.0, tool_call_id=call_id)


def request(*turn: Message, history: tuple[Message, ...] = (), **fields: Any) -> ModelRequest:
    """A request whose live turn is given."""
    return ModelRequest(**{"model": "m", "system": "Be brief.", "history": history, "turn": turn, **fields})


def encode(given_request: ModelRequest, capability: Capability | None = None) -> dict[str, Any]:
    """The fields of the request at a model that takes everything."""
    return responses_fields(given_request, "m", "acme/m", capability or Capability(api="responses"))


def items(*turn: Message, history: tuple[Message, ...] = ()) -> list[dict[str, Any]]:
    """The input made from these messages."""
    found: list[dict[str, Any]] = encode(request(*turn, history=history))["input"]
    return found


def message(role: str, text: str, **fields: str) -> dict[str, Any]:
    """A message item."""
    return {"type": "message", "role": role, "content": text, **fields}


def call(call_id: str) -> dict[str, Any]:
    """A call's item."""
    return {"type": "function_call", "call_id": call_id, "name": "look", "arguments": "{}"}


def output(call_id: str, text: str = "seen") -> dict[str, Any]:
    """A result's item."""
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def thought(item_id: str, after: dict[str, Any] | None = None) -> dict[str, Any]:
    """A reasoning item that led to the item after it."""
    sealed = seal(item_id, "", after)
    return {"id": item_id, "type": "reasoning", "summary": [], "encrypted_content": sealed}


def opaque(kind: str, data: Any, after_text: int = 0, after_calls: int = 0, model: str = "acme/m") -> Opaque:
    """An opaque part in its place."""
    text = data if isinstance(data, str) else msgspec.json.encode(data).decode()
    return Opaque(model, kind, text, after_text=after_text, after_calls=after_calls)


def test_plain_request() -> None:
    """Instructions, then items in order; nothing is stored, and nothing is said about tools without tools."""
    fields = encode(request(user("hi"), history=(Message("context", "It rains.", 0.0),)))
    assert fields == {
        "model": "m",
        "instructions": "Be brief.",
        "input": [message("user", "It rains."), message("user", "hi")],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


def test_optional_fields_and_tools() -> None:
    """What is set is sent under its own name; tools are flat and not strict."""
    fields = encode(request(user("hi"), tools=(TOOL,), tool_choice="none", temperature=0.5, max_output_tokens=9))
    assert fields["tools"] == [
        {
            "type": "function",
            "name": "look",
            "description": "Looks.",
            "parameters": TOOL.parameters,
            "strict": False,
        }
    ]
    names = ("tool_choice", "parallel_tool_calls", "temperature", "max_output_tokens")
    assert [fields[name] for name in names] == ["none", True, 0.5, 9]
    assert "reasoning" not in fields


def test_one_tool_is_demanded_by_its_name() -> None:
    """In this format's own shape, and by no name where the model takes none."""
    named = request(user("hi"), tools=(TOOL,), tool_choice="look")
    assert encode(named)["tool_choice"] == {"type": "function", "name": "look"}
    assert read_request(msgspec.json.encode(encode(named))).tool_choice == "look"
    known = Capability(api="responses", named_call=False)
    assert responses_fields(named, "m", "acme/m", known)["tool_choice"] == "required"


def test_temperature_only_where_it_is_taken() -> None:
    """A model that reasons, by its nature or in this request, takes none."""
    asked = request(user("hi"), temperature=0.5)
    assert "temperature" not in encode(asked, Capability(api="responses", sampling=False))
    reasoning = encode(msgspec.structs.replace(asked, reasoning="low"))
    assert (reasoning["reasoning"], "temperature" in reasoning) == ({"effort": "low"}, False)
    assert encode(msgspec.structs.replace(asked, reasoning="none"))["temperature"] == 0.5


def test_instructions_are_the_input_where_nobody_has_spoken() -> None:
    """An empty input would be refused."""
    fields = encode(request())
    assert fields["input"] == [message("developer", "Be brief.")]
    assert "instructions" not in fields
    read_request(msgspec.json.encode(fields))


def test_history_is_what_was_heard() -> None:
    """Heard text replaces generated text; a reply of which nothing was said leaves no empty message."""
    history = (
        Message("assistant", "One. Two.", 0.0, heard="One."),
        Message("assistant", "Three.", 0.0, heard=""),
    )
    assert items(user("go"), history=history) == [message("assistant", "One."), message("user", "go")]


def test_results_follow_all_the_calls_of_their_step() -> None:
    """Results come in call order, whatever came between, and a missing one is made up."""
    calls = (LOOK, ToolCall("b", "look", '{"x":1}', utterance="Wait."), ToolCall("c", "look", "{}"))
    turn = (
        Message("assistant", "Hm.", 0.0, tool_calls=calls),
        Message("context", "It rains.", 0.0),
        Message("tool", "second", 0.0, tool_call_id="b"),
        Message("tool", "", 0.0, tool_call_id="a"),
    )
    assert items(user("go"), *turn)[1:] == [
        message("assistant", "Hm."),
        call("a"),
        {**call("b"), "arguments": '{"pre_exec_msg":"Wait.","x":1}'},
        call("c"),
        output("a", "(empty)"),
        output("b", "second"),
        output("c", "no result was recorded"),
        message("user", "It rains."),
    ]


def test_a_step_is_replayed_in_its_order() -> None:
    """Reasoning, words and calls go back in the order in which they came, and reasoning word for word."""
    said = message("assistant", "One. ", phase="commentary")
    thoughts = [thought("rs_1", said), thought("rs_2", call("a")), thought("rs_3", call("c"))]
    parts = (
        opaque("reasoning", thoughts[0]),
        opaque("phase", "commentary"),
        opaque("reasoning", thoughts[1], after_text=5),
        opaque("phase", "final_answer", after_text=5, after_calls=2),
        opaque("reasoning", thoughts[2], after_text=9, after_calls=2),
    )
    calls = (LOOK, ToolCall("b", "look", "{}"), ToolCall("c", "look", "{}"))
    step = Message("assistant", "One. Two.", 0.0, tool_calls=calls, opaque=parts)
    assert items(user("go"), step, result("a"), result("b"), result("c"))[1:] == [
        thoughts[0],
        said,
        thoughts[1],
        call("a"),
        call("b"),
        message("assistant", "Two.", phase="final_answer"),
        thoughts[2],
        call("c"),
        *map(output, "abc"),
    ]
    read_request(msgspec.json.encode(encode(request(user("go"), step))))


def test_reasoning_goes_back_in_the_live_turn_only_and_phases_always() -> None:
    """Reasoning of a past turn stays away, as does everything that another model made."""
    parts = (
        opaque("reasoning", thought("rs_0"), model="other/m"),
        opaque("reasoning", thought("rs_1")),
        opaque("phase", "commentary"),
        opaque("phase", "final_answer", model="other/m"),
    )
    step = Message("assistant", "Hm.", 0.0, tool_calls=(LOOK,), opaque=parts)
    shown = [message("assistant", "Hm.", phase="commentary"), call("a"), output("a")]
    assert items(user("go"), step, result(), history=(step, result())) == [
        *shown,
        message("user", "go"),
        thought("rs_1"),
        *shown,
    ]


def test_reasoning_that_is_not_whole_or_led_to_nothing_is_left_out() -> None:
    """Both would be refused."""
    parts = (
        opaque("reasoning", ""),
        opaque("reasoning", '{"id":"rs_1"'),
        opaque("reasoning", thought("rs_2"), after_text=3, after_calls=1),
    )
    step = Message("assistant", "Hm.", 0.0, tool_calls=(LOOK,), opaque=parts)
    assert items(step, result()) == [message("assistant", "Hm."), call("a"), output("a")]


def test_phases_of_what_was_left_after_a_barge_in() -> None:
    """Words that were cut keep the phase of the part that is left, the mark of the interruption with them."""
    parts = (opaque("phase", "commentary"), opaque("phase", "final_answer", after_text=5))
    mark = " [interrupted here]"
    for heard, expected in (
        ("One. Tw", [("One. ", "commentary"), (f"Tw{mark}", "final_answer")]),
        ("One. ", [(f"One. {mark}", "commentary")]),
        ("One", [(f"One{mark}", "commentary")]),
        ("", [("[interrupted before anything was heard]", "commentary")]),
    ):
        cut = Message("assistant", "One. Two.", 0.0, heard=heard, interrupted=True, opaque=parts)
        assert items(history=(cut,)) == [message("assistant", text, phase=phase) for text, phase in expected]


def test_refused_fields_are_left_out() -> None:
    """A refused field is not sent again at that address, and is at another."""
    capabilities = Capabilities()
    capabilities.of("u", "m", "responses")
    capabilities.learn("u", "m", capabilities.of("u", "m").without("include"))
    assert "include" not in encode(request(user("a")), capabilities.of("u", "m"))
    assert "include" in encode(request(user("a")), capabilities.of("v", "m", "responses"))


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
_places = st.tuples(st.integers(0, 9), st.integers(0, 4))
_parts = st.builds(
    lambda places, kinds: tuple(opaque(*kind, *place) for kind, place in zip(kinds, places, strict=False)),
    places=st.lists(_places, max_size=4),
    kinds=st.lists(
        st.sampled_from(
            [("phase", "commentary"), ("phase", "final_answer"), ("reasoning", ""), ("reasoning_content", "hm")]
        ),
        min_size=4,
        max_size=4,
    ),
)
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
        opaque=_parts,
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


def _with_whole_reasoning(message: Message) -> Message:
    parts = (
        msgspec.structs.replace(part, data='{"type":"reasoning"}') if part.kind == "reasoning" else part
        for part in message.opaque
    )
    return msgspec.structs.replace(message, opaque=tuple(parts))


@given(step=_messages)
def test_nothing_is_lost_or_doubled_by_its_parts(step: tuple[Message, ...]) -> None:
    """Wherever opaque parts stand, the words and calls that go back are the same as without them."""

    def shown(messages: tuple[Message, ...]) -> tuple[str, list[str]]:
        made = items(*map(_with_whole_reasoning, messages))
        words = "".join(item["content"] for item in made if item["type"] == "message")
        return "".join(words.split()), [item["call_id"] for item in made if item["type"] == "function_call"]

    assert shown(step) == shown(tuple(msgspec.structs.replace(message, opaque=()) for message in step))
