"""The JSON document that the simulated model answers with where a reply is to fit a schema."""

from functools import reduce
from math import inf
from typing import Any

import msgspec

from voice_agent.llm.simulated.arguments import value_for

# A schema may refer to itself, and demand any number of things.
_DEEPEST = 20
_MOST_SCHEMAS = 1000
_MOST_ITEMS = 100
_MOST_CHARS = 10_000
_OF_FORMAT = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "email": "someone@example.org",
    "time": "00:00:00Z",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def fitting(schema: dict[str, Any], words: str) -> str:
    """A document that fits, as far as that can be told: what is required, filled from the user's words.

    A `pattern` is beyond it.
    """
    return msgspec.json.encode(_Writer(schema, words).value("", schema, 0)).decode()


class _Writer:
    def __init__(self, root: dict[str, Any], words: str) -> None:
        self._root = root
        self._words = words
        self._left = _MOST_SCHEMAS

    def value(self, name: str, schema: Any, depth: int) -> Any:
        schema = self._plain(schema, depth)
        if depth > _DEEPEST or self._left <= 0:
            return None
        for fixed in (schema.get("enum"), [schema["const"]] if "const" in schema else None):
            if fixed:
                return fixed[0]
        match _kind(schema):
            case "object":
                inside = schema.get("properties", {})
                return {key: self.value(key, inside.get(key, {}), depth + 1) for key in schema.get("required", ())}
            case "array":
                count = min(schema.get("minItems", 0), _MOST_ITEMS)
                return [self.value(name, schema.get("items", {}), depth + 1) for _ in range(count)]
            case "null":
                return None
            case "integer" | "number" as kind:
                return _within(value_for(name, {"type": kind}, self._words), schema)
            case "boolean":
                return True
            case _:
                return self._text(name, schema)

    def _text(self, name: str, schema: dict[str, Any]) -> str:
        if (form := schema.get("format")) in _OF_FORMAT:
            return _OF_FORMAT[form]
        text = str(value_for(name, {}, self._words))
        return text.ljust(min(schema.get("minLength", 0), _MOST_CHARS), ".")[: schema.get("maxLength")]

    def _plain(self, schema: Any, depth: int) -> dict[str, Any]:
        """The schema with what it refers to, and the first of its alternatives, in it."""
        self._left -= 1
        if not isinstance(schema, dict) or depth > _DEEPEST or self._left <= 0:
            return {}
        parts = list(schema.get("allOf", ()))
        parts += [branches[0] for key in ("anyOf", "oneOf") if (branches := schema.get(key))]
        if (target := schema.get("$ref")) is not None:
            steps = str(target).removeprefix("#").strip("/").split("/")
            parts.append(reduce(lambda inner, step: inner.get(step, {}), filter(None, steps), self._root))
        plain = {key: value for key, value in schema.items() if key not in ("allOf", "anyOf", "oneOf", "$ref")}
        for part in parts:
            plain = _joined(plain, self._plain(part, depth + 1))
        return plain


def _joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both at once: their properties are put together, and so is what they require."""
    both = {**other, **one}
    if "properties" in one or "properties" in other:
        both["properties"] = {**other.get("properties", {}), **one.get("properties", {})}
    if "required" in one or "required" in other:
        both["required"] = [*dict.fromkeys([*one.get("required", ()), *other.get("required", ())])]
    return both


def _kind(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        return next((str(each) for each in kind if each != "null"), "null")
    return str(kind)


def _within(number: Any, schema: dict[str, Any]) -> Any:
    """The number, moved to the nearer bound where it is beyond one."""
    lowest = max(schema.get("minimum", -inf), schema.get("exclusiveMinimum", -inf) + 1)
    highest = min(schema.get("maximum", inf), schema.get("exclusiveMaximum", inf) - 1)
    return min(max(number, lowest), highest)
