"""Thinking goes back as it came, where it was thought, within its turn, and not at all if part of it is missing."""

import logging
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.llm.anthropic_messages.request import messages_fields
from voice_agent.llm.anthropic_messages.thoughts import thoughts_of
from voice_agent.llm.capabilities import Capability
from voice_agent.llm.simulated.messages_rules import read_request
from voice_agent.llm.simulated.messages_shape import signature_of
from voice_agent.messages import Message, ModelRequest, Opaque, ToolCall, ToolSchema

TOOL = ToolSchema("look", "Looks.", {"type": "object", "properties": {}})
ME = "acme/m"


def thought(
    block: int, text: str, after: tuple[int, int] = (0, 0), *, signed: bool = True, model: str = ME
) -> tuple[Opaque, ...]:
    """A thinking block as a step keeps it, after so much text and so many calls: its words, its signature."""
    words = Opaque(model, "thinking", text, block=block, after_text=after[0], after_calls=after[1])
    signature = msgspec.structs.replace(words, kind="signature", data=signature_of(text))
    return (words, signature) if signed else (words,)


def secret(block: int, after: tuple[int, int] = (0, 0)) -> tuple[Opaque, ...]:
    """A redacted thinking block."""
    return (Opaque(ME, "redacted_thinking", "f" * 64, block=block, after_text=after[0], after_calls=after[1]),)


def step(text: str, calls: int, *opaque: tuple[Opaque, ...], first: int = 0) -> tuple[Message, ...]:
    """A step of so many calls, with their results."""
    made = tuple(ToolCall(f"c{number}", "look", "{}") for number in range(first, first + calls))
    said = Message("assistant", text, 0.0, tool_calls=made, opaque=sum(opaque, ()))
    return (said, *(Message("tool", "seen", 0.0, tool_call_id=call.id) for call in made))


def sent(turn: tuple[Message, ...], history: tuple[Message, ...] = ()) -> list[str]:
    """The assistant's blocks in order: thoughts by their words, others by what they are."""
    asked = ModelRequest("m", "s", history, (Message("user", "go", 0.0), *turn), tools=(TOOL,))
    fields = messages_fields(asked, "m", ME, Capability(api="messages", sampling=False))
    read_request(msgspec.json.encode(fields))
    blocks: list[dict[str, Any]] = [
        block for message in fields["messages"] if message["role"] == "assistant" for block in message["content"]
    ]
    names = {"thinking": "thinking", "text": "text", "tool_use": "id", "redacted_thinking": "type"}
    return [block[names[block["type"]]] for block in blocks]


def test_pieces_become_blocks() -> None:
    """Pieces of one number are one block, signs of life behind the signature included; other kinds are no thoughts."""
    parts = (
        Opaque(ME, "thinking", "", block=0),
        Opaque(ME, "signature", "s", block=0),
        Opaque(ME, "thinking", "", block=0),
        Opaque(ME, "reasoning_content", "of another wire"),
        *thought(1, "Hm.", (3, 1)),
    )
    assert [tuple(found) for found in thoughts_of(parts)] == [
        ({"type": "thinking", "thinking": "", "signature": "s"}, 0, 0),
        ({"type": "thinking", "thinking": "Hm.", "signature": signature_of("Hm.")}, 3, 1),
    ]


def test_order_is_restored() -> None:
    """Thoughts stand where they were thought: before all, in the middle of the text, between calls."""
    parts = (
        thought(0, "one"),
        secret(1),
        thought(3, "two", (2, 0)),
        thought(6, "three", (4, 1)),
    )
    assert sent(step("abcd", 2, *parts)) == ["one", "redacted_thinking", "ab", "two", "cd", "c0", "three", "c1"]


def test_text_comes_before_calls_otherwise() -> None:
    """Without thoughts in between there is one text, and blank text between thoughts is left out."""
    assert sent(step("ab", 1, thought(0, "one"))) == ["one", "ab", "c0"]
    blank = step("  ab", 1, thought(0, "one"), thought(2, "two", (2, 0)))
    assert sent(blank) == ["one", "two", "ab", "c0"]


def test_a_thought_that_nothing_follows_is_left_out() -> None:
    """No message ends in a thought, nor consists of thoughts."""
    assert sent(step("ab", 0, thought(0, "one"), thought(2, "two", (2, 0)))) == ["one", "ab"]
    assert sent(step("", 0, thought(0, "one"))) == []


def test_only_of_this_turn_and_this_model() -> None:
    """What was thought in past turns, or by another model, stays here."""
    mine, other = step("ab", 1, thought(0, "one")), step("cd", 1, thought(0, "two", model="other/m"), first=1)
    assert sent(other, history=mine) == ["ab", "c0", "cd", "c1"]


def test_all_or_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """One thought without its signature keeps the whole turn's back, which is logged once and without its words."""
    good = step("ab", 1, thought(0, "one"), secret(1))
    bad = step("cd", 1, thought(0, "private", signed=False), first=1)
    later = step("ef", 1, thought(0, "three"), first=2)
    with caplog.at_level(logging.WARNING):
        assert sent(good) == ["one", "redacted_thinking", "ab", "c0"]
        assert not caplog.records
        assert sent((*good, *bad)) == ["ab", "c0", "cd", "c1"]
        assert sent((*good, *bad, *later)) == ["ab", "c0", "cd", "c1", "ef", "c2"]
    assert [record.getMessage() for record in caplog.records] == [
        "acme/m sent thinking without its signature: none of this turn's goes back"
    ]


_places = st.tuples(st.integers(0, 6), st.integers(0, 4))
_parts = st.lists(st.tuples(st.sampled_from(["signed", "unsigned", "secret"]), _places), max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["", " ", "abcd"]), st.integers(0, 2), _parts), max_size=3))
def test_any_thoughts_are_accepted(steps: list[tuple[str, int, list[tuple[str, tuple[int, int]]]]]) -> None:
    """Whatever was thought and wherever, the strict rules take the request, and no word or call is lost."""
    turn: tuple[Message, ...] = ()
    for number, (text, calls, parts) in enumerate(steps):
        blocks = [
            secret(block, after) if kind == "secret" else thought(block, "Hm.", after, signed=kind == "signed")
            for block, (kind, after) in enumerate(parts)
        ]
        turn += step(text, calls, *blocks, first=10 * number)
    spoken = "".join(block for block in sent(turn) if block not in ("Hm.", "redacted_thinking"))
    given_ids = "".join(call.id for message in turn for call in message.tool_calls)
    assert sorted(spoken.replace(" ", "")) == sorted("".join(text.strip() for text, _, _ in steps) + given_ids)
