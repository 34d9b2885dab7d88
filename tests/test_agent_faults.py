"""Any document that is nearly an agent's: it is one, or is refused with paths that lead somewhere in it."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.world import check_model
from tests.rules.test_faults import KNOWN, NINE
from voice_agent.agent import Fault, InvalidAgentError
from voice_agent.agent_document import validate_agent
from voice_agent.tools.outward import Guard

PARAMETERS = {
    "type": "object",
    "properties": {
        "a/b": {"type": "integer", "enum": [1, 2]},
        "list": {"type": "array", "items": {"$ref": "#/$defs/it"}},
    },
    "required": ["a/b"],
    "$defs": {"it": {"anyOf": [{"type": "string", "pattern": "^a"}, {"type": "null"}]}},
}
HOOK = {
    "type": "webhook", "name": "hook", "description": "h", "url": "https://example.com/", "secret": "KEY",
    "headers": {"X": "${KEY}"}, "parameters": PARAMETERS,
}  # fmt: skip
DOCUMENT: dict[str, Any] = {
    "id": "ann", "name": "Ann", "system": "s", "model": "simulated", "max_steps": 3, "context_window": 1000,
    "tools": [*KNOWN, HOOK, {"type": "client", "name": "show", "description": "s"}],
    "tool_rules": [
        *NINE, {"type": "children", "tool": "strict", "children": ["hook", "show"], "args": {"hook": {"a/b": 1}}}
    ],
    "secrets": {"KEY": "v"}, "blocks": [{"label": "x", "value": "y", "limit": 10}], "buffer": {"max": 10, "min": 5},
    "sleeptime": {"model": "simulated", "idle_after_s": 5}, "timezone": "UTC", "metadata": {"a": {"b": [1, None]}},
}  # fmt: skip
ODD: list[Any] = [
    None, 0, -1, 1e308, 10**25, True, "", "x", "***", "a/b", "look", "#", "\0", "far__*", float("nan"), [], [None], {},
    {"": {"": []}}, {"type": None}, {"type": "name"}, {"type": "webhook"}, {"$ref": "#"},
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to everything within."""
    within = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in within:
        yield (*path, step)
        yield from places(child, (*path, step))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """The document with a few things replaced, left out, doubled, or added."""
    document = copy.deepcopy(DOCUMENT)
    for _ in range(draw(st.integers(0, 4))):
        *path, last = draw(st.sampled_from(list(places(document))))
        at: Any = document
        for step in path:
            at = at[step]
        what = copy.deepcopy(draw(st.sampled_from(ODD)))
        match draw(st.sampled_from(["replace", "replace", "remove", "double", "add"])):
            case "remove":
                del at[last]
            case "double" if isinstance(at, list):
                at.append(copy.deepcopy(at[last]))
            case "add" if isinstance(at, dict):
                at[draw(st.sampled_from(["~/", "", "type", "tool"]))] = what
            case _:
                at[last] = what
        if not document:
            break
    return document


def leads_somewhere(pointer: str, document: Any) -> bool:
    """To a value, or to a field that is missing from an object that is there."""
    at, steps = document, pointer.split("/")[1:]
    for index, step in enumerate(steps):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(at, dict) and name not in at:
            return index == len(steps) - 1
        if isinstance(at, list) and not (name.isdecimal() and int(name) < len(at)):
            return False
        if not isinstance(at, dict | list):
            return False
        at = at[name] if isinstance(at, dict) else at[int(name)]
    return True


@settings(max_examples=300, deadline=None)
@given(documents())
def test_every_fault_leads_into_the_document(document: dict[str, Any]) -> None:
    """Nothing but faults is raised, each is told once, and no field has a fault that the document does not hold."""
    faults: tuple[Fault, ...] = ()
    try:
        validate_agent(document, KNOWN, check_model, Guard().fault, "simulated")
    except InvalidAgentError as error:
        faults = error.faults
    assert len(set(faults)) == len(faults)
    assert [fault for fault in faults if not leads_somewhere(fault.path, document)] == []
