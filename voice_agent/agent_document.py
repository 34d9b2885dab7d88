"""An agent's document as users write it: validated whole, every fault in one answer, and changed by merge patches."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from voice_agent.agent import MISSING, MOST_TOOLS, Agent, Fault, InvalidAgentError, ToolSpec, faults_of
from voice_agent.overflow import tokens_in
from voice_agent.rules.document import faults_in, untagged
from voice_agent.tool_definitions import MASK, ClientTool, Entry, WebhookTool, tool_name
from voice_agent.tools.defined import faults_of_webhook, spec_of
from voice_agent.tools.schema import MOST_PATTERNS, SchemaError, patterns_in

_ENTRY = TypeAdapter[str | WebhookTool | ClientTool](Entry)


def validate_agent(
    document: Mapping[str, Any],
    tools: Mapping[str, ToolSpec],
    check_model: Callable[[str], str | None],
    check_url: Callable[[str], str | None],
    default_model: str,
    serves: Callable[[str], bool] = lambda _: False,
) -> Agent:
    """The agent that a definition describes.

    `tools` are those known to the gateway, which `serves` further names, too, of tools that come and go; an entry
    `SERVER__*` stands for all of one server. `check_model` and `check_url` say what keeps a model, or the URL of a
    webhook, from being used, or None; `default_model` is what an agent without a model gets. Raises InvalidAgentError
    with all faults at once.
    """
    faults: tuple[Fault, ...] = ()
    agent = None
    try:
        agent = Agent.model_validate_json(msgspec.json.encode(document), strict=True)
    except ValidationError as error:
        faults = faults_of(_in_place(each) for each in error.errors(include_url=False))
    # These read the document and not the agent, so that they speak up even where pydantic found other faults.
    brought, found = _brought_tools(document, check_url)
    faults += tuple(found)
    faults += _tool_faults(document.get("tools"), tools, serves)
    faults += _rule_faults(document, {**tools, **brought})
    faults += _size_faults(document.get("system"), document.get("context_window"))
    for path, model in _models(document, default_model):
        reason = None if any(fault.path == path for fault in faults) else check_model(model)
        faults += (Fault(path, reason),) if reason else ()
    if agent is None or faults:
        raise InvalidAgentError(faults)
    return agent


def size_faults(agent: Agent, window: int | None) -> tuple[Fault, ...]:
    """What is wrong with a system text that leaves no room for what is said; `window`: tokens that the model takes."""
    return _size_faults(agent.system, window)


def merge_patch(target: Any, patch: Any) -> Any:
    """`target` with a JSON merge patch applied (RFC 7396): null removes, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def change_document(stored: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """A stored document with a merge patch applied; a secret that the patch gives as `***` keeps its value."""
    merged: dict[str, Any] = merge_patch(stored, patch)
    kept, secrets = stored.get("secrets", {}), merged.get("secrets")
    if not isinstance(secrets, dict):
        return merged
    return {**merged, "secrets": {n: kept.get(n, v) if v == MASK else v for n, v in secrets.items()}}


def _size_faults(system: Any, window: Any) -> tuple[Fault, ...]:
    if not isinstance(system, str) or not isinstance(window, int) or (size := tokens_in(system)) < window:
        return ()
    return (Fault("/system", f"the text has about {size} tokens, the model takes {window} with all that is said"),)


def _models(document: Mapping[str, Any], default: str) -> Iterator[tuple[str, str]]:
    """The models that the document asks for, each after its JSON pointer."""
    sleeptime = document.get("sleeptime")
    idle = sleeptime.get("model") if isinstance(sleeptime, dict) else None
    others = document.get("fallback_models")
    named = enumerate(others if isinstance(others, list | tuple) else ())
    asked = (
        ("/model", document.get("model") or default),
        *((f"/fallback_models/{place}", name) for place, name in named),
        ("/sleeptime/model", idle),
    )
    yield from ((path, model) for path, model in asked if isinstance(model, str))


def _brought_tools(
    document: Mapping[str, Any], check_url: Callable[[str], str | None]
) -> tuple[dict[str, ToolSpec], list[Fault]]:
    """The tools that the document brings along, as far as they can be read, and what is wrong with them."""
    specs: dict[str, ToolSpec] = {}
    faults: list[Fault] = []
    patterns = 0
    given = document.get("secrets")
    secrets = given if isinstance(given, dict) else {}
    for path, entry in _entries(document.get("tools")):
        try:
            tool = _ENTRY.validate_json(msgspec.json.encode(entry), strict=True)
        except ValidationError:
            continue
        if isinstance(tool, str):
            continue
        patterns += patterns_in(tool.parameters)
        if patterns > MOST_PATTERNS:
            faults.append(Fault(f"{path}/parameters", f"the agent's tools have more than {MOST_PATTERNS} patterns"))
            continue
        try:
            specs[tool.name] = spec_of(tool)
        except SchemaError as error:
            faults += [Fault(f"{path}/parameters{fault.path}", fault.message) for fault in error.faults]
        if isinstance(tool, WebhookTool):
            found = faults_of_webhook(tool, secrets, check_url)
            faults += [Fault(path + fault.path, fault.message) for fault in found]
    return specs, faults


def _tool_faults(named: Any, known: Mapping[str, ToolSpec], serves: Callable[[str], bool]) -> tuple[Fault, ...]:
    listed = ", ".join(sorted(known)) or "none"
    faults = []
    for path, entry in _entries(named):
        name = tool_name(entry)
        if not isinstance(name, str) or (name in known or serves(name)) is isinstance(entry, str):
            continue
        if isinstance(entry, str):
            faults.append(Fault(path, f"there is no tool {name!r}; known: {listed}"))
        else:
            faults.append(Fault(f"{path}/name", f"the gateway has a tool {name!r} already"))
    return tuple(faults)


def _rule_faults(document: Mapping[str, Any], known: Mapping[str, ToolSpec]) -> tuple[Fault, ...]:
    checks, exits = {name: spec.check for name, spec in known.items()}, [n for n, s in known.items() if s.exits]
    rules, tools = document.get("tool_rules", ()), document.get("tools", ())
    if not _is_listed(tools):
        return ()
    given = (tool_name(entry) for entry in tools)
    names = [name for name in given if isinstance(name, str)]
    whole = tuple(name[:-1] for name in names if name.endswith("__*"))
    # What a server offers may not be known yet, and may change.
    theirs = [name for name in dict.fromkeys(_named_in(rules)) if whole and name.startswith(whole)]
    if len(theirs) > MOST_TOOLS:
        return (Fault("/tool_rules", f"they name more than {MOST_TOOLS} tools of servers"),)
    names += theirs
    found = faults_in(rules, names, checks, exits)
    return tuple(Fault(f"/tool_rules{path}", message) for path, message in found)


def _named_in(rules: Any) -> Iterator[str]:
    """Every text in a rule that may be the name of a tool."""
    for rule in rules if isinstance(rules, list | tuple) else ():
        for value in rule.values() if isinstance(rule, dict) else ():
            within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else (value,)
            yield from (each for each in within if isinstance(each, str))


def _entries(tools: Any) -> Iterator[tuple[str, Any]]:
    """The entries of a document's `tools`, each after its JSON pointer; none if that is no list, or too long a one."""
    for index, entry in enumerate(tools if _is_listed(tools) else ()):
        yield f"/tools/{index}", entry


def _is_listed(tools: Any) -> bool:
    return isinstance(tools, list | tuple) and len(tools) <= MOST_TOOLS


def _in_place(error: ErrorDetails) -> ErrorDetails:
    """A fault with the path that its field has in the document, into which pydantic puts kinds of its own."""
    path = error["loc"]
    if path[-1:] == ("[key]",):
        return {**error, "loc": path[:-1]}
    if path[:1] != ("tools",) or len(path) < 2:
        return untagged(error)
    if error["type"] == "union_tag_invalid":
        missing = error.get("ctx", {}).get("tag") == "None"
        message = MISSING if missing else "there is no such type of tool; there are webhook and client"
        return {**error, "loc": (*path, "type"), "msg": message}
    return {**error, "loc": (*path[:2], *path[3:])}
