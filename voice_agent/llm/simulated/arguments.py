"""The arguments that the simulated model writes: a tool's required ones, filled from the user's words."""

import re
from typing import Any

import msgspec

from voice_agent.prompt import UTTERANCE_FIELD

_NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "fifteen": 15, "twenty": 20, "thirty": 30, "sixty": 60,
}  # fmt: skip
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_AMOUNT = re.compile(rf"\b(\d+(?:\.\d+)?|an?|{'|'.join(_NUMBERS)})\s+({'|'.join(_SECONDS)})s?\b", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_WHEN = re.compile(r"\b(?:in|at|on|tomorrow|tonight)\b.*$", re.IGNORECASE)
_MATTER = re.compile(r"\b(?:remind me(?: to| about)?|reminder(?: to| for| about)?)\s+(.*)$", re.IGNORECASE)
_DEFAULT_MINUTES = 10


def fill_arguments(schema: dict[str, Any], words: str) -> str:
    """JSON text with a value for every required argument but the utterance."""
    properties = schema.get("properties", {})
    required = [name for name in schema.get("required", []) if name != UTTERANCE_FIELD]
    return msgspec.json.encode({name: value_for(name, properties.get(name, {}), words) for name in required}).decode()


def value_for(name: str, schema: dict[str, Any], words: str) -> Any:
    """A value of the schema's type for what is called so."""
    if schema.get("enum"):
        return schema["enum"][0]
    match schema.get("type", "string"):
        case "integer":
            return round(_amount(name, words))
        case "number":
            return _amount(name, words)
        case "boolean":
            return True
        case "array":
            return []
        case "object":
            return {}
        case _:
            return _phrase(name, words)


def _amount(name: str, words: str) -> float:
    """A duration in the unit that the argument's name tells (minutes if none), or the first number there is."""
    unit = next((seconds for word, seconds in _SECONDS.items() if word in name.lower()), 60)
    found = _AMOUNT.search(words)
    if found:
        amount = found.group(1).lower()
        count = 1 if amount in ("a", "an") else _NUMBERS[amount] if amount in _NUMBERS else float(amount)
        return count * _SECONDS[found.group(2).lower()] / unit
    number = _NUMBER.search(words)
    return float(number.group()) if number else _DEFAULT_MINUTES * 60 / unit


def _phrase(name: str, words: str) -> str:
    amount, when = _AMOUNT.search(words), _WHEN.search(words)
    if re.search("when|time|date|due", name.lower()):
        if amount:
            return f"in {amount.group()}"
        return when.group().strip(" .!?") if when else "in 10 minutes"
    matter = _MATTER.search(words)
    if not matter:
        return words or name
    text = matter.group(1)
    without_amount = re.sub(rf"\bin\s+{_AMOUNT.pattern}(?:\s+to\b)?", "", text, flags=re.IGNORECASE)
    return without_amount.strip(" .,!?") or text
