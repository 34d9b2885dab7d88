"""Which messages Anthropic takes, block by block, and the same messages in the shape of Chat Completions."""

import hashlib
import re
from typing import Any

import msgspec

from voice_agent.llm.simulated.request import demand, is_name

_ID = re.compile(r"[a-zA-Z0-9_-]+")
_MARK = "cache_control"
_BLOCK_FIELDS = {
    "text": frozenset({"type", "text", _MARK, "citations"}),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
    "tool_use": frozenset({"type", "id", "name", "input", _MARK, "caller"}),
    "tool_result": frozenset({"type", "tool_use_id", "content", "is_error", _MARK}),
}
_OF_ROLE = {
    "user": frozenset({"text", "tool_result"}),
    "assistant": frozenset({"text", "thinking", "redacted_thinking", "tool_use"}),
}

Turn = dict[str, Any]


def signature_of(thinking: str) -> str:
    """What the simulated model signs a thought with: one that was changed is found out."""
    return hashlib.sha256(f"signed {thinking}".encode()).hexdigest()


def demand_keys(fields: dict[str, Any], known: frozenset[str], where: str) -> None:
    """Refuse fields that the API does not know; `where` is the path before them, with its dot."""
    for name in fields:
        demand(name in known, f"{where}{name}: Extra inputs are not permitted", f"{where}{name}")
    mark = fields.get(_MARK)
    sound = mark is None or (
        isinstance(mark, dict) and mark.get("type") == "ephemeral" and set(mark) <= {"type", "ttl"}
    )
    demand(sound, f"{where}{_MARK}: Input should be ephemeral", f"{where}{_MARK}")


def demand_text(text: Any, where: str) -> None:
    """Refuse a text block that says nothing."""
    demand(isinstance(text, str) and bool(text), f"{where}: text content blocks must be non-empty", where)
    demand(bool(text.strip()), f"{where}: text content blocks must contain non-whitespace text", where)


def read_turns(messages: Any) -> list[Turn]:
    """The messages, neighbours of one role joined as the API joins them. Raises Refused."""
    some = isinstance(messages, list) and bool(messages)
    demand(some, "messages: at least one message is required", "messages")
    turns: list[Turn] = []
    for position, message in enumerate(messages):
        where = f"messages.{position}"
        demand(isinstance(message, dict), f"{where}: Input should be an object", where)
        demand_keys(message, frozenset({"role", "content"}), f"{where}.")
        role = message.get("role")
        demand(role in _OF_ROLE, f'messages: Unexpected role "{role}"', f"{where}.role")
        blocks = _blocks(message, where)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    demand(turns[0]["role"] == "user", 'messages: first message must use the "user" role', "messages.0")
    prefill = "This model does not support assistant message prefill. The conversation must end with a user message."
    demand(turns[-1]["role"] == "user", prefill, f"messages.{len(messages) - 1}")
    _pairs(turns)
    return turns


def _blocks(message: Turn, where: str) -> list[dict[str, Any]]:
    content: Any = message.get("content")
    role = message["role"]
    if isinstance(content, str):
        demand(bool(content.strip()), f"{where}: {role} messages must have non-empty content", where)
        return [{"type": "text", "text": content}]
    demand(isinstance(content, list), f"{where}.content: Input should be a valid list", f"{where}.content")
    demand(bool(content), f"{where}: {role} messages must have non-empty content", where)
    for place, block in enumerate(content):
        at = f"{where}.content.{place}"
        kind = block.get("type") if isinstance(block, dict) else None
        demand(kind in _OF_ROLE[role], f"{at}: a message of role {role} cannot hold {kind!r}", at)
        demand_keys(block, _BLOCK_FIELDS[str(kind)], f"{at}.{kind}.")
        _block(block, at)
    last = content[-1]["type"]
    demand("thinking" not in last, f"{where}: The final block in an assistant message cannot be `{last}`.", where)
    return list(content)


def _block(block: dict[str, Any], at: str) -> None:
    match block["type"]:
        case "text":
            demand_text(block.get("text"), at)
        case "thinking":
            demand("signature" in block, f"{at}.thinking.signature: Field required", f"{at}.signature")
            signed = block["signature"] == signature_of(str(block.get("thinking")))
            demand(signed, f"{at}: Invalid `signature` in `thinking` block", f"{at}.signature")
        case "redacted_thinking":
            data = block.get("data")
            demand(isinstance(data, str) and len(data) == 64, f"{at}: Invalid `data` in `redacted_thinking` block", at)
        case "tool_use":
            call_id = block.get("id")
            sound = isinstance(call_id, str) and _ID.fullmatch(call_id) is not None
            demand(sound, f"{at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'", f"{at}.id")
            demand(is_name(block.get("name")), f"{at}.tool_use.name: String should match pattern", f"{at}.name")
            is_object = isinstance(block.get("input"), dict)
            demand(is_object, f"{at}.tool_use.input: Input should be a valid dictionary", f"{at}.input")
        case _:
            demand(isinstance(block.get("tool_use_id"), str), f"{at}.tool_use_id: Field required", f"{at}.tool_use_id")
            demand(isinstance(block.get("is_error", False), bool), f"{at}.is_error: no boolean", f"{at}.is_error")
            for place, part in enumerate(_parts(block.get("content"))):
                demand_text(part, f"{at}.content.{place}")


def _pairs(turns: list[Turn]) -> None:
    """Every call has its one result at the head of the next message, and every id is given once."""
    seen: set[str] = set()
    waiting: list[str] = []
    for position, turn in enumerate(turns):
        where = f"messages.{position}"
        head: list[str] = []
        for place, block in enumerate(turn["content"]):
            if block["type"] == "tool_result":
                call_id = block["tool_use_id"]
                expected = call_id in waiting and place == len(head)
                told = f"unexpected `tool_use_id` found in `tool_result` blocks: {call_id}"
                demand(expected, f"{where}.content.{place}: {told}", f"{where}.content.{place}")
                demand(call_id not in head, f"{where}: multiple `tool_result` blocks with id {call_id}", where)
                head.append(call_id)
        missing = ", ".join(call_id for call_id in waiting if call_id not in head)
        told = f"`tool_use` ids were found without `tool_result` blocks immediately after: {missing}"
        demand(not missing, f"messages.{position - 1}: {told}", f"messages.{position - 1}")
        waiting = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
        demand(len(set(waiting) - seen) == len(waiting), "messages: `tool_use` ids must be unique", where)
        seen.update(waiting)


def chat_messages(turns: list[Turn]) -> tuple[dict[str, Any], ...]:
    """The messages in the shape of Chat Completions; thoughts are left out."""
    messages: list[dict[str, Any]] = []
    for turn in turns:
        if turn["role"] == "assistant":
            messages.append(_assistant(turn["content"]))
            continue
        for block in turn["content"]:
            if block["type"] == "text":
                messages.append({"role": "user", "content": block["text"]})
            else:
                content = "".join(_parts(block.get("content")))
                messages.append({"role": "tool", "tool_call_id": block["tool_use_id"], "content": content})
    return tuple(messages)


def _assistant(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    calls = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": msgspec.json.encode(block["input"]).decode()},
        }
        for block in blocks
        if block["type"] == "tool_use"
    ]
    message = {"role": "assistant", "content": text or None}
    return {**message, "tool_calls": calls} if calls else message


def _parts(content: Any) -> list[str]:
    """The texts of a result: none, one, or a list of text blocks."""
    if content is None:
        return []
    if isinstance(content, str):
        return [content]
    return [part.get("text", "") if isinstance(part, dict) else "" for part in content]
