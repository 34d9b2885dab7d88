"""JSON Schemas of tools that are no Python functions: read once, then arguments are checked in microseconds.

Whoever writes a schema gets nothing fetched by it, and no pattern that takes forever; it may refer to itself.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import jsonschema_rs
from jsonschema_rs import ValidationError, ValidationErrorKind

from voice_agent.agent import Fault, describe
from voice_agent.tools.parameters import in_one_line

# In place of the value: arguments may hold what no log should.
_IT = "it"
_STEPS_OF_A_PATTERN = 10_000
# The library recurses on the machine's stack, once for each of these keywords that applies to a value, and for each
# level of the value; past the stack's end (above 20,000 in 8 MB) is the end of the process.
_RECURSIVE = frozenset({
    "$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas",
    "dependencies",
})  # fmt: skip
_DEEPEST = 10_000
_MOST_RECURSIVE = 1000
_MOST_LEVELS = 100
_LONGEST_MESSAGE = 300
_MOST_FAULTS = 100
_META_SCHEMA = jsonschema_rs.validator_for(
    {"$ref": "https://json-schema.org/draft/2020-12/schema"}, mask=_IT, offline=True, validate_formats=True
)


class SchemaError(ValueError):
    """A JSON Schema is none, or cannot be used; `faults` are all that is wrong with it, by paths into it."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(describe(faults))
        self.faults = faults


def check_of(schema: dict[str, Any]) -> Callable[[dict[str, Any]], str | None]:
    """A check of arguments by a schema (any draft; 2020-12 unless its `$schema` says so), as `ToolSpec.check` wants it.

    Formats that JSON Schema defines (`date`, `email` …) are checked too. Raises SchemaError.
    """
    recursive = sum(
        key in _RECURSIVE for level in _levels(schema) for each in level if isinstance(each, dict) for key in each
    )
    if recursive > _MOST_RECURSIVE:
        raise SchemaError((Fault("", f"it has more than {_MOST_RECURSIVE} alternatives and references"),))
    validator = _read(schema)
    most_levels = min(_MOST_LEVELS, _DEEPEST // (1 + recursive))

    def check(arguments: dict[str, Any]) -> str | None:
        if next(islice(_levels(arguments), most_levels, None), None):
            return "arguments: they are nested too deep"
        try:
            faults = list(islice(_faults(validator.iter_errors(arguments)), _MOST_FAULTS))
        except ValueError:  # no JSON
            return "arguments: they cannot be checked"
        return in_one_line(faults) if faults else None

    return check


def _levels(value: Any) -> Iterator[list[Any]]:
    """The values, from the outermost on, level by level."""
    level = [value]
    while level:
        yield level
        level = [
            child
            for each in level
            for child in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
        ]


def _read(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    try:
        faults = () if "$schema" in schema else tuple(dict.fromkeys(_faults(_META_SCHEMA.iter_errors(schema))))
        if not faults:
            return jsonschema_rs.validator_for(
                # Without `properties` the library does not say which further one it refuses.
                {**schema, "properties": schema.get("properties", {})},
                mask=_IT,
                offline=True,
                validate_formats=True,
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_STEPS_OF_A_PATTERN),
            )
    except ValidationError as error:
        faults = tuple(_faults([error]))
    except ValueError as fault:
        faults = (Fault("", str(fault)),)
    raise SchemaError(faults)


def _faults(errors: Iterable[ValidationError]) -> Iterator[Fault]:
    for error in errors:
        path = _pointer(error.instance_path)
        match error.kind:
            case ValidationErrorKind.Required(property=name):
                yield Fault(path + _pointer([name]), "this field is required")
            case (
                ValidationErrorKind.AdditionalProperties(unexpected=names)
                | ValidationErrorKind.UnevaluatedProperties(unexpected=names)
            ):
                yield from (Fault(path + _pointer([name]), "there is no such field") for name in names)
            case ValidationErrorKind.AnyOf(context=branches) | ValidationErrorKind.OneOfNotValid(context=branches):
                reasons = dict.fromkeys(branch[0].message for branch in branches if branch)
                yield Fault(path, _short(f"none of its forms fits: {', or '.join(reasons)}"))
            case _:
                yield Fault(path, _short(error.message))


def _pointer(steps: Iterable[str | int]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def _short(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[: _LONGEST_MESSAGE - 1]}…"
