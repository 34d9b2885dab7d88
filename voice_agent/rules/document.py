"""Rules as they stand in an agent's document: every fault in them, each with the path to its field."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from voice_agent.rules.book import Rulebook, fixed_by
from voice_agent.rules.faults import RuleError
from voice_agent.rules.kinds import MOST_RULES, ToolRule

_RULE = TypeAdapter[ToolRule](ToolRule)


def faults_in(
    rules: object,
    names: Collection[str],
    checks: Mapping[str, Callable[[dict[str, Any]], str | None]],
    exits: Collection[str],
) -> list[tuple[str, str]]:
    """What is wrong with the rules that can be read, over the tools of these names: JSON pointers and messages.

    `checks` are the tools that the gateway knows, as `ToolSpec.check`; `exits` those of them that end a turn.
    """
    numbered = _readable(rules)
    read = tuple(numbered.values())
    found: list[tuple[str, str]] = []
    try:
        Rulebook(read, names, [name for name in names if name in exits])
    except RuleError as error:
        found += [(fault.path, fault.message) for fault in error.faults]
    for (_, tool), fixed in fixed_by(read):
        wrong = fixed.blamed(checks[tool](fixed.args) or "") if tool in checks else None
        found += [(fixed.path, f"{tool} does not take this: {wrong}")] if wrong else []
    places = list(numbered)
    return [(re.sub(r"^/([0-9]+)", lambda at: f"/{places[int(at[1])]}", path), message) for path, message in found]


def _readable(rules: object) -> dict[int, ToolRule]:
    """By their place in the document. Too long a list is not read at all."""
    read = {}
    for index, rule in enumerate(rules if isinstance(rules, list | tuple) and len(rules) <= MOST_RULES else ()):
        try:
            read[index] = _RULE.validate_json(msgspec.json.encode(rule), strict=True)
        except ValidationError:
            continue
    return read


def untagged(error: ErrorDetails) -> ErrorDetails:
    """A fault with the path that the field has in the document: pydantic puts a rule's type into it."""
    path = error["loc"]
    if path[:1] != ("tool_rules",):
        return error
    if error["type"] in ("union_tag_not_found", "union_tag_invalid"):
        kinds = error.get("ctx", {}).get("expected_tags")
        message = f"there is no such type of rule; there are {kinds}" if kinds else "this field is required"
        return {**error, "loc": (*path, "type"), "msg": message}
    return {**error, "loc": (*path[:2], *path[3:])}
