"""Fillers in a settled history: one message with the reply that was waited for, in every wire format."""

from typing import Any

import msgspec
import pytest

from tests.llm.asking import asks
from voice_agent.llm.capabilities import Api, Capability
from voice_agent.llm.provider import FORMATS
from voice_agent.llm.simulated import chat_rules, messages_rules, responses_rules
from voice_agent.llm.transcript import Kept
from voice_agent.messages import Message, ToolCall

RULES = {
    "chat": chat_rules.read_request,
    "messages": messages_rules.read_request,
    "responses": responses_rules.read_request,
}
CALL = ToolCall("call_1", "look", "{}")


def said(text: str, heard: str | None = None, **flags: Any) -> Message:
    return Message("assistant", text, 0.0, heard=text if heard is None else heard, **flags)


def shown(api: Api, *turn: Message) -> list[tuple[str, Any]]:
    """What the strict provider reads of a turn in the history, between its question and the next one."""
    request = asks("Yes?", history=(Message("user", "hi", 0.0), *turn))
    fields = FORMATS[api].fields(request, "m", "acme/m", Capability(api=api), Kept())
    read = RULES[api](msgspec.json.encode(fields)).messages
    kept = [message for message in read if message["role"] != "system"][1:-1]
    return [(message["role"], message["content"] or "") for message in kept]


@pytest.mark.parametrize("api", FORMATS)
def test_a_filler_after_a_result_is_one_message_with_the_reply(api: Api) -> None:
    """The result stands directly after its call."""
    turn = (said("", tool_calls=(CALL,)), Message("tool", "5", 0.0, tool_call_id="call_1"))
    parts = shown(api, *turn, said("One moment.", filler=True), said("Still on it.", filler=True), said("Five."))
    assert [role for role, _ in parts] == ["assistant", "tool", "assistant"]
    assert _words(parts[2][1]) == "Onemoment.Stillonit.Five."


@pytest.mark.parametrize("api", FORMATS)
def test_a_filler_before_a_call_is_one_message_with_it(api: Api) -> None:
    """Words before the call; and what was not heard is not in it."""
    turn = (said("", tool_calls=(CALL,)), Message("tool", "5", 0.0, tool_call_id="call_1"), said("Five."))
    fillers = (said("One moment.", heard="One mo", filler=True), said("Still on it.", heard="", filler=True))
    assert shown(api, *fillers, *turn) == [("assistant", "One mo"), ("tool", "5"), ("assistant", "Five.")]


@pytest.mark.parametrize("api", FORMATS)
@pytest.mark.parametrize(
    ("filler", "text"),
    [
        (said("One moment.", heard="One", interrupted=True), "One [interrupted here]"),
        (said("One moment.", heard="", interrupted=True), "[interrupted before anything was heard]"),
    ],
)
def test_a_filler_that_nothing_was_said_after_is_a_message(api: Api, filler: Message, text: str) -> None:
    """Whether the turn marked it as its last words or died before it could."""
    turn = (said("", tool_calls=(CALL,)), Message("tool", "5", 0.0, tool_call_id="call_1"))
    for last in (filler, msgspec.structs.replace(filler, filler=True)):
        assert shown(api, *turn, last)[2:] == [("assistant", text)]


@pytest.mark.parametrize("api", FORMATS)
def test_a_filler_is_never_one_message_with_the_next_turn(api: Api) -> None:
    """Of a turn whose process died it may be the last word."""
    parts = shown(api, said("One moment.", filler=True), Message("user", "So?", 0.0), said("Five."))
    assert parts == [("assistant", "One moment."), ("user", "So?"), ("assistant", "Five.")]


@pytest.mark.parametrize("api", FORMATS)
def test_who_heard_a_filler_heard_something(api: Api) -> None:
    """Of a reply that was cut before its first word, the mark says no more than that."""
    parts = shown(api, said("One moment.", filler=True), said("Five.", heard="", interrupted=True))
    assert [role for role, _ in parts] == ["assistant"]
    assert _words(parts[0][1]) == "Onemoment.[interruptedhere]"


def _words(text: str) -> str:
    """Without spaces: some formats join the parts of a message with none."""
    return "".join(text.split())
