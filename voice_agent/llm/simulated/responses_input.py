"""The input of a Responses request: which items OpenAI refuses, and what they are as messages of Chat Completions."""

import hashlib
from collections.abc import Iterable
from typing import Any

from voice_agent.llm.simulated.request import demand, is_name, is_object

_FIELDS = {
    "message": frozenset({"type", "id", "role", "content", "status", "phase"}),
    "reasoning": frozenset({"type", "id", "summary", "content", "encrypted_content", "status"}),
    "function_call": frozenset(
        {"type", "id", "call_id", "name", "arguments", "status", "namespace", "caller", "async"}
    ),
    "function_call_output": frozenset({"type", "id", "call_id", "output", "status", "name", "namespace", "caller"}),
}


def seal(item_id: str, text: str, after: dict[str, Any] | None) -> str:
    """The encrypted content of a reasoning item: made of what it holds, and of the item after it."""
    led_to = after and (after.get("type", "message"), after.get("name"))
    return hashlib.sha256(f"{item_id} {text} {led_to}".encode()).hexdigest()


def demand_known(given: dict[str, Any], known: Iterable[str], where: str) -> None:
    """Raise Refused if a name is not known; `where` is the path of the object that holds it."""
    for name in given:
        path = f"{where}.{name}" if where else name
        demand(name in known, f"Unknown parameter: '{path}'.", path)


def chat_messages(items: list[Any]) -> list[dict[str, Any]]:
    """A flat list of items as messages of Chat Completions. Raises Refused."""
    messages: list[dict[str, Any]] = []
    waiting: set[str] = set()
    for position, item in enumerate(items):
        where = f"input[{position}]"
        demand(isinstance(item, dict), f"{where} has to be an object", where)
        kind = item.get("type", "message" if "role" in item else None)
        demand(isinstance(kind, str) and kind in _FIELDS, f"Invalid value: {kind!r}.", f"{where}.type")
        demand_known(item, _FIELDS[kind], where)
        match kind:
            case "message":
                _message(item, where, messages)
            case "reasoning":
                after = items[position + 1] if position + 1 < len(items) else None
                _reasoning(item, where, after)
            case "function_call":
                _unknown_id(item, where)
                waiting.add(_call(item, where, waiting, messages))
            case _:
                _unknown_id(item, where)
                _output(item, where, waiting, messages)
    missing = ", ".join(sorted(waiting))
    demand(not waiting, f"No tool output found for function call {missing}.", "input")
    return messages


def _unknown_id(item: dict[str, Any], where: str) -> None:
    """Nothing is stored here, as with `store: false`: no id is known."""
    demand("id" not in item, f"Item with id '{item.get('id')}' not found: items are not persisted.", f"{where}.id")


def _message(item: dict[str, Any], where: str, messages: list[dict[str, Any]]) -> None:
    _unknown_id(item, where)
    role = item.get("role")
    demand(role in ("user", "system", "developer", "assistant"), f"Invalid value: {role!r}.", f"{where}.role")
    phase = item.get("phase")
    sound = phase is None or (role == "assistant" and phase in ("commentary", "final_answer"))
    demand(sound, f"Invalid value: {phase!r}.", f"{where}.phase")
    text = _text(item.get("content"), "output_text" if role == "assistant" else "input_text", f"{where}.content")
    if role == "assistant":
        assistant = _assistant(messages)
        assistant["content"] = (assistant["content"] or "") + text
    else:
        messages.append({"role": role, "content": text})


def _text(content: Any, kind: str, where: str) -> str:
    if isinstance(content, str):
        demand(bool(content), f"{where} is empty", where)
        return content
    demand(isinstance(content, list) and bool(content), f"{where} has to be text or a list of parts", where)
    texts = []
    for number, part in enumerate(content):
        path = f"{where}[{number}]"
        found = part.get("type") if isinstance(part, dict) else None
        demand(found == kind, f"Invalid value: {found!r}. Supported values are: {kind!r}.", path)
        demand(isinstance(part.get("text"), str) and bool(part["text"]), f"{path} has no text", f"{path}.text")
        texts.append(part["text"])
    return "".join(texts)


def _reasoning(item: dict[str, Any], where: str, after: Any) -> None:
    """It has to come back as it was, and before the item that it led to."""
    name = f"Item '{item.get('id')}' of type 'reasoning'"
    demand(isinstance(item.get("id"), str), "Missing required parameter: 'id'.", f"{where}.id")
    demand(isinstance(item.get("summary"), list), "Missing required parameter: 'summary'.", f"{where}.summary")
    sealed = item.get("encrypted_content")
    demand(isinstance(sealed, str), f"Item with id '{item['id']}' not found: items are not persisted.", where)
    led_to = isinstance(after, dict) and after.get("type") in ("reasoning", "function_call")
    follows = led_to or (isinstance(after, dict) and after.get("role") == "assistant")
    demand(follows, f"{name} was provided without its required following item.", "input")
    text = "".join(str(part.get("text")) for part in item["summary"] if isinstance(part, dict))
    same = sealed == seal(item["id"], text, after)
    demand(same, f"The encrypted content for item {item['id']} could not be verified.", where)


def _call(item: dict[str, Any], where: str, waiting: set[str], messages: list[dict[str, Any]]) -> str:
    """The id of the call."""
    call_id, name, arguments = item.get("call_id"), item.get("name"), item.get("arguments")
    demand(isinstance(call_id, str) and 1 <= len(call_id) <= 64, f"{where}: bad call_id", f"{where}.call_id")
    demand(call_id not in waiting, f"Duplicate call_id {call_id}.", f"{where}.call_id")
    demand(is_name(name), f"{where}: bad function name", f"{where}.name")
    demand(is_object(arguments), f"{where}: bad arguments", f"{where}.arguments")
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    _assistant(messages).setdefault("tool_calls", []).append(call)
    return str(call_id)


def _output(item: dict[str, Any], where: str, waiting: set[str], messages: list[dict[str, Any]]) -> None:
    call_id = item.get("call_id")
    known = isinstance(call_id, str) and call_id in waiting
    demand(known, f"No tool call found for function call output with call_id {call_id}.", "input")
    waiting.discard(str(call_id))
    text = _text(item.get("output"), "input_text", f"{where}.output")
    messages.append({"role": "tool", "tool_call_id": call_id, "content": text})


def _assistant(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The assistant's message under way: its items in a row are one message to Chat Completions."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    return messages[-1]
