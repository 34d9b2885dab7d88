"""How much there is to do with a JSON Schema, worked out beforehand, so that no check of arguments takes forever.

References that fork double the work with each of them, and where they come back to a schema with each level of a value.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import msgspec

_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
# Schemas for the value itself; for its parts: to each one of the first applies, and all of the others.
_HERE = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"})
_ONE_BELOW = frozenset({"properties", "prefixItems", "items"})
_ALL_BELOW = frozenset({
    "patternProperties", "additionalProperties", "unevaluatedProperties", "propertyNames", "additionalItems",
    "unevaluatedItems", "contains",
})  # fmt: skip
_BY_NAME = frozenset({"dependentSchemas", "dependencies", "properties", "patternProperties"})
_ANCHORS = frozenset({"$id", "id", "$anchor", "$dynamicAnchor"})
RECURSIVE = _REFERENCES | _HERE
ENDLESS = 10_000_000


class _Node(msgspec.Struct, frozen=True):
    """A schema: the steps that it takes by itself, and the schemas (by `id`) that apply to the value and its parts."""

    alone: int
    here: tuple[int, ...]
    one: tuple[int, ...]
    rest: tuple[int, ...]


def work_by_level(schema: dict[str, Any], levels: int) -> list[int]:
    """The most steps that it takes along any one way into a value of 1, 2 … `levels` levels, at most ENDLESS.

    The last entry holds for all deeper values that the list does not reach.
    """
    nodes, circles = _in_order(schema)
    if circles > 1:  # within them the ways fork, too
        return [ENDLESS]
    below: dict[int, int] = dict.fromkeys(nodes, 0)
    found: list[int] = []
    for _ in range(levels):
        now: dict[int, int] = {}
        for key, node in nodes.items():
            steps = node.alone + sum(now.get(each, 0) for each in node.here)
            steps += max((below[each] for each in node.one), default=0) + sum(below[each] for each in node.rest)
            now[key] = min(ENDLESS, steps)
        found.append(now[id(schema)])
        if now == below or found[-1] == ENDLESS:
            break
        below = now
    return found


def _in_order(root: dict[str, Any]) -> tuple[dict[int, _Node], int]:
    """Every object, after those that apply to the same value with it; and how many ways there lead in a circle."""
    objects = {id(each): each for each in objects_in(root)}
    anchored = [each for each in objects.values() if each is root or _ANCHORS & each.keys()]
    read = {key: _read(each, root, anchored) for key, each in objects.items()}
    order: dict[int, _Node] = {}
    begun: set[int] = set()
    circles = 0
    for start in read:
        waiting = [(start, False)]
        while waiting:
            key, done = waiting.pop()
            if done:
                order[key] = read[key]
            elif key not in begun:
                begun.add(key)
                waiting += [(key, True), *((each, False) for each in read[key].here)]
            elif key not in order:
                circles += 1
    return order, circles


def _read(schema: dict[str, Any], root: dict[str, Any], anchored: list[dict[str, Any]]) -> _Node:
    lists = (schema.get(name) for name in ("enum", "required", "patternProperties"))
    here = [id(each) for each in _under(schema, _HERE)]
    for name in _REFERENCES & schema.keys():
        target = _pointed(root, schema[name])
        # Where it is not plain what is meant it may be any of those that can be.
        here += [id(each) for each in (anchored if target is None else (target,))]
    return _Node(
        alone=1 + sum(len(each) for each in lists if isinstance(each, list | dict)),
        here=tuple(here),
        one=tuple(id(each) for each in _under(schema, _ONE_BELOW)),
        rest=tuple(id(each) for each in _under(schema, _ALL_BELOW)),
    )


def _under(schema: dict[str, Any], keywords: frozenset[str]) -> Iterator[dict[str, Any]]:
    """The schemas that stand under these keywords."""
    for name in keywords & schema.keys():
        value = schema[name]
        if isinstance(value, dict):
            value = [*value.values()] if name in _BY_NAME else [value]
        yield from (each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()


def _pointed(root: dict[str, Any], reference: Any) -> dict[str, Any] | None:
    """What a reference within the root leads to by a JSON pointer; None if that is not plain."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    at: Any = root
    for step in unquote(reference).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(at, list) and name.isdecimal() and int(name) < len(at):
            at = at[int(name)]
        else:
            at = at.get(name) if isinstance(at, dict) else None
    return at if isinstance(at, dict) else None


def objects_in(root: Any) -> Iterator[dict[str, Any]]:
    """Every object in it, itself included."""
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
