"""A stored history as text, without what differs from call to call: ids, times, opaque parts, token counts.

    user: what was said
    agent: what was generated [heard: what of it was heard, if not all] [interrupted]
    call NAME {arguments}: what is said while it runs [heard: ...]
    tool: a result            tool failed: that of a call which did not succeed
    note: what the model was told beside
    filler: what was said while something was waited for [heard: ...]
    = how the turn ended (requests to the model)

`agent thinks:` stands where reasoning came with the message.
"""

from collections.abc import Iterable

from tests.turns import check_valid_for_providers
from voice_agent.messages import Message, ToolCall, TurnRecord

_REASONING = {"reasoning_content", "reasoning", "thinking", "redacted_thinking"}


def transcript(turns: Iterable[TurnRecord]) -> str:
    """The turns, oldest first. AssertionError if a call has not exactly one result, directly after it."""
    lines = []
    for turn in turns:
        check_valid_for_providers(turn.messages)
        lines += [line for message in turn.messages for line in _lines(message)]
        lines.append(f"= {turn.reason} ({turn.usage.steps if turn.usage else 0})")
    return "\n".join(lines)


def _lines(message: Message) -> list[str]:
    match message.role:
        case "user":
            return [f"user: {message.text}"]
        case "context":
            return [f"note: {message.text}"]
        case "tool":
            return [f"tool{' failed' if message.failed else ''}: {message.text}"]
        case "assistant":
            if message.filler:
                return [f"filler: {message.text}" + _heard(message.text, message.heard)]
            thinks = " thinks" if any(part.kind in _REASONING for part in message.opaque) else ""
            cut = " [interrupted]" if message.interrupted else ""
            said = f"agent{thinks}: {message.text}".rstrip() + _heard(message.text, message.heard) + cut
            return [said, *map(_call, message.tool_calls)]


def _call(call: ToolCall) -> str:
    said = "" if call.utterance is None else f": {call.utterance}{_heard(call.utterance, call.heard)}"
    return f"call {call.name} {call.arguments}{said}"


def _heard(text: str, heard: str | None) -> str:
    return "" if heard in (None, text) else f" [heard: {heard}]"
