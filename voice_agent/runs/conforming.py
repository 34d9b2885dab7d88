"""Whether a run's last words are what was asked for: one JSON object that fits a schema."""

from collections.abc import Callable
from typing import Any

import msgspec

from voice_agent.messages import Message


def fault_in_last_words(messages: tuple[Message, ...], check: Callable[[dict[str, Any]], str | None]) -> str | None:
    """What is wrong with them, or None. `check` is `ToolSpec.check` of the schema."""
    text = next((message.text for message in reversed(messages) if message.role == "assistant"), "")
    try:
        value = msgspec.json.decode(text)
    except RecursionError:
        return "it is nested too deep"
    except msgspec.DecodeError as fault:
        return f"it is no JSON: {fault}"
    if not isinstance(value, dict):
        return "it is no JSON object"
    # A schema's checks are made for tools, and name what they check.
    found = check(value)
    return None if found is None else found.removeprefix("arguments: ")
