"""A `ModelRequest` as the fields of a Responses request that keeps nothing at the provider."""

from collections.abc import Iterator
from typing import Any

import msgspec

from voice_agent.llm.capabilities import Capability
from voice_agent.llm.response_format import NAME, in_words, is_closed
from voice_agent.llm.transcript import Kept, Line, lines
from voice_agent.messages import ModelRequest, Opaque, ToolChoice, ToolSchema
from voice_agent.prompt import provider_arguments


def responses_fields(
    request: ModelRequest, wire_model: str, maker: str, capability: Capability, kept: Kept | None = None
) -> dict[str, Any]:
    """The request's fields, ready for JSON (facts/providers.md, section 1.7).

    Linear in the history, or in what is new of it with what was `kept` of the request before.

    No item has an id: with `store: false` the provider knows none. Reasoning comes and goes encrypted instead.
    """
    if "format" in capability.refused:
        request = in_words(request)
    items: list[dict[str, Any]] = [*(kept or Kept()).history(request.history, maker, list, _write)]
    for line in lines(request.turn, maker, is_live=True):
        _write(items, line)
    has_system = bool(request.system.strip())
    fields: dict[str, Any] = {"model": wire_model, "stream": True, "store": False}
    if items:
        fields |= {"instructions": request.system, "input": items} if has_system else {"input": items}
    else:
        # An empty input is refused: where nobody has spoken yet, the instructions are the input.
        fields["input"] = [_message("developer", request.system)] if has_system else []
    fields["include"] = ["reasoning.encrypted_content"]
    if request.tools:
        fields["tools"] = [_tool(tool) for tool in request.tools]
        fields["tool_choice"] = _choice(capability.tool_choice(request.tool_choice))
        fields["parallel_tool_calls"] = True
    # No model takes a temperature while it reasons.
    samples = capability.sampling and request.reasoning in (None, "none")
    optional = (
        ("reasoning", {"effort": request.reasoning} if request.reasoning else None),
        ("temperature", request.temperature if samples else None),
        ("max_output_tokens", request.max_output_tokens),
        ("text", _format(request.response_format)),
    )
    fields.update((name, value) for name, value in optional if value is not None)
    return {name: value for name, value in fields.items() if name not in capability.refused}


def _format(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    if schema is None:
        return None
    strict = is_closed(schema, all_required=True)
    return {"format": {"type": "json_schema", "name": NAME, "schema": schema, "strict": strict}}


def _tool(tool: ToolSchema) -> dict[str, Any]:
    """Not strict: `strict` would demand that every argument is required, and is the default here."""
    told = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", **told, "strict": False}


def _choice(choice: ToolChoice) -> ToolChoice | dict[str, Any]:
    return choice if choice in ("auto", "none", "required") else {"type": "function", "name": choice}


def _message(role: str, text: str) -> dict[str, Any]:
    """The one message shape that has no id in the provider's types: the text itself as content."""
    return {"type": "message", "role": role, "content": text}


def _write(items: list[dict[str, Any]], line: Line) -> None:
    items.extend(_items(line))


def _items(line: Line) -> Iterator[dict[str, Any]]:
    if line.message.role != "assistant":
        if line.text.strip():
            yield _message("user", line.text)
        return
    yield from _assistant(line)
    for result in line.results:
        yield {"type": "function_call_output", "call_id": result.call.id, "output": result.text}


def _assistant(line: Line) -> list[dict[str, Any]]:
    """What the assistant did, in its order; between two opaque parts, text before calls."""
    calls = [_call(result.call.id, result.call.name, provider_arguments(result.call)) for result in line.results]
    said = line.message.text if line.message.heard is None else line.message.heard
    items = _said(line.before, None)
    phase, chars, count = None, 0, 0
    for part in line.opaque:
        reasoning = _reasoning(part) if line.is_live else None
        # A phase whose words were all cut off, with what was not heard, is none of what is left.
        begins = part.kind == "phase" and part.after_text < max(1, len(said))
        if reasoning is None and not begins:
            continue
        upto = max(chars, part.after_text)
        items += _said(line.text[chars:upto], phase) + calls[count : part.after_calls]
        chars, count = upto, max(count, part.after_calls)
        if reasoning is None:
            phase = part.data
        else:
            items.append(reasoning)
    items += _said(line.text[chars:], phase) + calls[count:]
    while items and items[-1]["type"] == "reasoning":
        # Reasoning that led to nothing is refused.
        items.pop()
    return items


def _said(text: str, phase: str | None) -> list[dict[str, Any]]:
    if not text.strip():
        return []
    message = _message("assistant", text)
    return [message | {"phase": phase} if phase else message]


def _call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def _reasoning(part: Opaque) -> dict[str, Any] | None:
    """The item as it came; None for another part, and for one whose item did not come whole."""
    if part.kind != "reasoning":
        return None
    try:
        return msgspec.json.decode(part.data, type=dict[str, Any])
    except msgspec.DecodeError:
        return None
