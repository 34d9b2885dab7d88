"""Which formats of a reply a provider takes, and what it refuses in a schema that it is to keep a model to."""

from collections.abc import Iterator
from typing import Any

from voice_agent.llm.simulated.request import demand, is_name

_COMPOSED = frozenset({
    "allOf", "dependentRequired", "dependentSchemas", "else", "if", "not", "oneOf", "patternProperties", "then",
})  # fmt: skip
_BOUNDS = frozenset({
    "exclusiveMaximum", "exclusiveMinimum", "maxItems", "maxLength", "maximum", "minLength", "minimum", "multipleOf",
})  # fmt: skip
_ANY_OBJECT = {"type": "object"}


def openai_format(given: Any, path: str, *, nested: bool) -> dict[str, Any] | None:
    """The schema that OpenAI's format holds, if it is one of JSON (facts/providers.md, section 1.4). Raises Refused.

    `nested`: what there is about the schema stands in an object `json_schema`, as in Chat Completions.
    """
    if given is None:
        return None
    demand(isinstance(given, dict), f"Invalid type for '{path}': expected an object.", path)
    kind = given.get("type")
    demand(kind in ("text", "json_object", "json_schema"), f"Invalid value: {kind!r}.", f"{path}.type")
    if kind != "json_schema":
        return _ANY_OBJECT if kind == "json_object" else None
    where = f"{path}.json_schema" if nested else path
    fields = given.get("json_schema") if nested else {name: value for name, value in given.items() if name != "type"}
    demand(isinstance(fields, dict), f"Missing required parameter: '{where}'.", where)
    for name in fields:
        known = name in ("name", "schema", "strict", "description")
        demand(known, f"Unknown parameter: '{where}.{name}'.", f"{where}.{name}")
    demand(is_name(fields.get("name")), f"Missing required parameter: '{where}.name'.", f"{where}.name")
    schema: Any = fields.get("schema")
    demand(isinstance(schema, dict), f"Missing required parameter: '{where}.schema'.", f"{where}.schema")
    strict = fields.get("strict")
    demand(strict in (None, True, False), f"Invalid type for '{where}.strict': expected a boolean.", f"{where}.strict")
    fault = None if schema.get("type") == "object" else "schema must be a JSON Schema of 'type: \"object\"'"
    fault = fault or (strict_fault(schema) if strict else None)
    told = f"Invalid schema for response_format '{fields['name']}': {fault}."
    demand(fault is None, told, path if nested else f"{path}.schema")
    return dict(schema)


def anthropic_format(given: Any) -> dict[str, Any] | None:
    """The schema in `output_config.format`, which a model is always kept to word by word. Raises Refused."""
    if given is None:
        return None
    path = "output_config.format"
    known = isinstance(given, dict) and given.get("type") == "json_schema"
    demand(known, f"{path}.type: Input should be 'json_schema'", f"{path}.type")
    for name in given:
        demand(name in ("type", "schema"), f"{path}.{name}: Extra inputs are not permitted", f"{path}.{name}")
    schema: Any = given.get("schema")
    demand(isinstance(schema, dict), f"{path}.schema: Field required", f"{path}.schema")
    for inner in _schemas(schema):
        unknown = ", ".join(sorted(inner.keys() & (_COMPOSED | _BOUNDS)))
        demand(not unknown, f"{path}.schema: For '{inner.get('type')}', {unknown} is not supported", f"{path}.schema")
        told = f"{path}.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"
        demand(_is_shut(inner), told, f"{path}.schema")
    return dict(schema)


def strict_fault(schema: dict[str, Any]) -> str | None:
    """Why OpenAI cannot keep a model to this schema, or None."""
    if "anyOf" in schema:
        return "the root may not be 'anyOf'"
    for inner in _schemas(schema):
        if composed := sorted(inner.keys() & _COMPOSED):
            return f"'{composed[0]}' is not permitted"
        if not _is_shut(inner):
            return "'additionalProperties' is required to be supplied and to be false"
        missing = [name for name in inner.get("properties", ()) if name not in inner.get("required", ())]
        if missing:
            return f"'required' has to include every key in properties. Missing '{missing[0]}'"
    return None


def _is_shut(schema: dict[str, Any]) -> bool:
    is_object = schema.get("type") == "object" or "properties" in schema
    return not is_object or schema.get("additionalProperties") is False


def _schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema and those inside it."""
    if not isinstance(schema, dict):
        return
    yield schema
    for name in ("properties", "$defs", "definitions"):
        for inner in schema.get(name, {}).values():
            yield from _schemas(inner)
    for inner in (schema.get("items"), *schema.get("anyOf", ())):
        yield from _schemas(inner)
