"""A `ModelRequest` as the fields of a Chat Completions request, in a shape that every server accepts."""

from collections import defaultdict, deque
from typing import Any

from voice_agent.llm.capabilities import Capability
from voice_agent.messages import Message, ModelRequest, Opaque
from voice_agent.prompt import provider_arguments, provider_text

_NO_RESULT = "no result was recorded"
_EMPTY_RESULT = "(empty)"


def chat_fields(request: ModelRequest, wire_model: str, maker: str, capability: Capability) -> dict[str, Any]:
    """The request's fields, ready for JSON; linear in the history.

    `wire_model` is the model's name at the provider; `maker` is the name that `Opaque.model` has to be for an opaque
    part to go back (facts/providers.md, sections 1.2, 1.5 and 3).
    """
    fields: dict[str, Any] = {
        "model": wire_model,
        "messages": _messages(request, maker, capability),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    effort = request.reasoning
    if request.tools:
        # Servers refuse these without tools.
        fields["tools"] = [_tool(tool.name, tool.description, tool.parameters) for tool in request.tools]
        fields["tool_choice"] = request.tool_choice
        fields["parallel_tool_calls"] = True
        effort = capability.effort_with_tools or effort
    optional = (
        ("reasoning_effort", effort),
        ("temperature", request.temperature),
        ("max_completion_tokens", request.max_output_tokens),
    )
    fields.update((name, value) for name, value in optional if value is not None)
    return {name: value for name, value in fields.items() if name not in capability.refused}


def _tool(name: str, description: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def _messages(request: ModelRequest, maker: str, capability: Capability) -> list[dict[str, Any]]:
    results: defaultdict[str | None, deque[Message]] = defaultdict(deque)
    for message in (*request.history, *request.turn):
        if message.role == "tool":
            results[message.tool_call_id].append(message)
    encoded = [{"role": "system", "content": request.system}] if request.system.strip() else []
    for is_live, messages in ((False, request.history), (True, request.turn)):
        for message in messages:
            if message.role == "tool":
                # It went right behind its call: nothing may stand between the two.
                continue
            if message.role == "assistant":
                encoded += _assistant(message, _replayed(message, maker, is_live=is_live), capability)
                encoded += _results(message, results)
            else:
                text = provider_text(message)
                encoded += [{"role": "user", "content": text}] if text.strip() else []
    return encoded


def _assistant(message: Message, opaque: tuple[Opaque, ...], capability: Capability) -> list[dict[str, Any]]:
    text = provider_text(message)
    if not message.tool_calls:
        return [{"role": "assistant", "content": text}] if text.strip() else []
    calls: list[dict[str, Any]] = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": provider_arguments(call)},
        }
        for call in message.tool_calls
    ]
    encoded = {"role": "assistant", "content": text if text.strip() else None, "tool_calls": calls}
    if "reasoning_content" in capability.replay:
        # DeepSeek wants it on every message with calls, even empty.
        encoded["reasoning_content"] = "".join(part.data for part in opaque if part.kind == "reasoning_content")
    if "thought_signature" in capability.replay:
        for part in opaque:
            if part.kind == "thought_signature" and part.call is not None and part.call < len(calls):
                calls[part.call]["extra_content"] = {"google": {"thought_signature": part.data}}
    return [encoded]


def _results(message: Message, results: dict[str | None, deque[Message]]) -> list[dict[str, Any]]:
    """One result per call, in call order: a history with a gap would be refused in every turn to come."""
    encoded = []
    for call in message.tool_calls:
        waiting = results[call.id]
        text = (provider_text(waiting.popleft()) or _EMPTY_RESULT) if waiting else _NO_RESULT
        encoded.append({"role": "tool", "tool_call_id": call.id, "content": text})
    return encoded


def _replayed(message: Message, maker: str, *, is_live: bool) -> tuple[Opaque, ...]:
    return tuple(part for part in message.opaque if part.model == maker) if is_live else ()
