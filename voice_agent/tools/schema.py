"""JSON Schemas of tools that are no Python functions: read once, then arguments are checked in microseconds.

Whoever writes a schema gets nothing fetched by it, and no pattern that takes forever; it may refer to itself.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import jsonschema_rs
from jsonschema_rs import ValidationError, ValidationErrorKind

from voice_agent.agent import MISSING, Fault, describe, pointer
from voice_agent.tools.parameters import in_one_line
from voice_agent.tools.schema_work import RECURSIVE, objects_in, work_by_level

# In place of the value: arguments may hold what no log should.
_IT = "it"
_STEPS_OF_A_PATTERN = 10_000
# The library recurses on the machine's stack, once for each of these keywords that applies to a value, and for each
# level of the value; past the stack's end (above 20,000 in 8 MB) is the end of the process.
_DEEPEST = 10_000
_MOST_RECURSIVE = 1000
_MOST_LEVELS = 100
# A step takes about 50 ns, and where all faults are told 10 µs and 2 kB.
_MOST_STEPS = 1_000_000
_MOST_STEPS_TOLD = 50_000
_MOST_OBJECTS = 5000
# Each takes up to 15 ms to read.
MOST_PATTERNS = 50
_LARGEST_PATTERN = 1_000_000
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
    recursive = sum(len(RECURSIVE & each.keys()) for each in objects_in(schema))
    for found, most, what in (
        (recursive, _MOST_RECURSIVE, "alternatives and references"),
        (sum(1 for _ in objects_in(schema)), _MOST_OBJECTS, "parts"),
        (patterns_in(schema), MOST_PATTERNS, "patterns"),
    ):
        if found > most:
            raise SchemaError((Fault("", f"it has more than {most} {what}"),))
    validator = _read(schema)
    most_levels = min(_MOST_LEVELS, _DEEPEST // (1 + recursive))
    work = work_by_level(schema, most_levels)
    if work[0] > _MOST_STEPS:
        raise SchemaError((Fault("", "its references lead too many ways"),))

    def check(arguments: dict[str, Any]) -> str | None:
        deep = ends = 0
        for level in _levels(arguments):
            deep += 1
            ends += sum(not (each and isinstance(each, dict | list)) for each in level)
            if deep > most_levels:
                return "arguments: they are nested too deep"
        steps = ends * work[min(deep, len(work)) - 1]
        if steps > _MOST_STEPS:
            return "arguments: there is too much in them, or it is nested too deep"
        try:
            if validator.is_valid(arguments):
                return None
            if steps > _MOST_STEPS_TOLD:
                return "arguments: they do not fit the schema"
            faults = list(islice(_faults(validator.iter_errors(arguments)), _MOST_FAULTS))
        except ValueError:  # no JSON
            return "arguments: they cannot be checked"
        return in_one_line(faults)

    return check


def patterns_in(schema: dict[str, Any]) -> int:
    """How many regular expressions a schema holds."""
    by_name = (each.get("patternProperties") for each in objects_in(schema))
    alone = sum("pattern" in each for each in objects_in(schema))
    return alone + sum(len(each) for each in by_name if isinstance(each, dict))


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
                pattern_options=jsonschema_rs.FancyRegexOptions(
                    backtrack_limit=_STEPS_OF_A_PATTERN, size_limit=_LARGEST_PATTERN
                ),
            )
    except ValidationError as error:
        faults = tuple(_faults([error]))
    except ValueError as fault:
        faults = (Fault("", str(fault)),)
    raise SchemaError(faults)


def _faults(errors: Iterable[ValidationError]) -> Iterator[Fault]:
    for error in errors:
        path = pointer(error.instance_path)
        match error.kind:
            case ValidationErrorKind.Required(property=name):
                yield Fault(path + pointer([name]), MISSING)
            case (
                ValidationErrorKind.AdditionalProperties(unexpected=names)
                | ValidationErrorKind.UnevaluatedProperties(unexpected=names)
            ):
                yield from (Fault(path + pointer([name]), "there is no such field") for name in names)
            case ValidationErrorKind.AnyOf(context=branches) | ValidationErrorKind.OneOfNotValid(context=branches):
                reasons = dict.fromkeys(branch[0].message for branch in branches if branch)
                yield Fault(path, _short(f"none of its forms fits: {', or '.join(reasons)}"))
            case _:
                yield Fault(path, _short(error.message))


def _short(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[: _LONGEST_MESSAGE - 1]}…"
