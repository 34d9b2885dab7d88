"""A reply that is to fit a JSON Schema: which schemas a provider keeps a model to, and what it is told otherwise."""

from collections.abc import Iterator
from typing import Any

import msgspec

from voice_agent.messages import ModelRequest

NAME = "answer"
_PLAIN = frozenset({
    "$defs", "$ref", "additionalProperties", "anyOf", "const", "description", "enum", "items", "properties", "required",
    "title", "type",
})  # fmt: skip
_TELLING = frozenset({"$ref", "anyOf", "const", "enum", "type"})
_MOST_LEVELS = 10
_IN_WORDS = "Answer with one JSON document, and nothing before or after it. It has to fit this JSON Schema:"


def is_closed(schema: dict[str, Any], *, all_required: bool = False) -> bool:
    """Whether a provider can keep a model to the schema word by word (facts/providers.md, section 1.4).

    Its objects list all of their properties, and require them where `all_required`; it holds no keyword beyond the few
    that every provider knows, no alternatives at its root, and no more than ten levels.
    """
    return "anyOf" not in schema and "$ref" not in schema and _is_closed(schema, all_required, _MOST_LEVELS)


def in_words(request: ModelRequest) -> ModelRequest:
    """The same request, its format told at the end of the system text: for who takes no schema, or not this one."""
    if request.response_format is None:
        return request
    told = f"{_IN_WORDS}\n{msgspec.json.encode(request.response_format).decode()}"
    system = f"{request.system}\n\n{told}" if request.system.strip() else told
    return msgspec.structs.replace(request, system=system, response_format=None)


def _is_closed(schema: Any, all_required: bool, levels: int) -> bool:
    if not levels or not isinstance(schema, dict) or not schema.keys() <= _PLAIN:
        return False
    if not schema.keys() & _TELLING:
        return False
    kinds = schema.get("type")
    if "properties" in schema or kinds == "object" or (isinstance(kinds, list) and "object" in kinds):
        if schema.get("additionalProperties") is not False:
            return False
        if all_required and not set(schema.get("properties", ())) <= set(schema.get("required", ())):
            return False
    return all(_is_closed(inner, all_required, levels - 1) for inner in _inner(schema))


def _inner(schema: dict[str, Any]) -> Iterator[Any]:
    for name in ("properties", "$defs"):
        yield from schema.get(name, {}).values()
    yield from schema.get("anyOf", ())
    if "items" in schema:
        yield schema["items"]
