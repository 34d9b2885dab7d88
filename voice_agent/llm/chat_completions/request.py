"""A `ModelRequest` as the fields of a Chat Completions request, in a shape that every server accepts."""

from typing import Any

from voice_agent.llm.capabilities import Capability
from voice_agent.llm.response_format import NAME, in_words, is_closed
from voice_agent.llm.transcript import Kept, Line, lines
from voice_agent.messages import ModelRequest, Opaque, ToolChoice
from voice_agent.prompt import provider_arguments


def chat_fields(
    request: ModelRequest, wire_model: str, maker: str, capability: Capability, kept: Kept | None = None
) -> dict[str, Any]:
    """The request's fields, ready for JSON (facts/providers.md, sections 1.2, 1.5 and 3).

    Linear in the history, or in what is new of it with what was `kept` of the request before.
    """
    if "response_format" in capability.refused:
        request = in_words(request)
    fields: dict[str, Any] = {
        "model": wire_model,
        "messages": _messages(request, maker, capability, kept or Kept()),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    effort = request.reasoning
    if request.tools:
        # Servers refuse these without tools.
        fields["tools"] = [_tool(tool.name, tool.description, tool.parameters) for tool in request.tools]
        fields["tool_choice"] = _choice(capability.tool_choice(request.tool_choice))
        fields["parallel_tool_calls"] = True
        effort = capability.effort_with_tools or effort
    optional = (
        ("reasoning_effort", effort),
        ("temperature", request.temperature if capability.sampling else None),
        (capability.max_tokens_field, request.max_output_tokens),
        ("response_format", _format(request.response_format)),
    )
    fields.update((name, value) for name, value in optional if value is not None)
    return {name: value for name, value in fields.items() if name not in capability.refused}


def _format(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    if schema is None:
        return None
    strict = is_closed(schema, all_required=True)
    return {"type": "json_schema", "json_schema": {"name": NAME, "schema": schema, "strict": strict}}


def _tool(name: str, description: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def _choice(choice: ToolChoice) -> ToolChoice | dict[str, Any]:
    words = ("auto", "none", "required")
    return choice if choice in words else {"type": "function", "function": {"name": choice}}


def _messages(request: ModelRequest, maker: str, capability: Capability, kept: Kept) -> list[dict[str, Any]]:
    def write(messages: list[dict[str, Any]], line: Line) -> None:
        messages += _line(line, capability)

    system = {"role": "system", "content": request.system}
    encoded: list[dict[str, Any]] = [system] if request.system.strip() else []
    settled = kept.history(request.history, maker, list[dict[str, Any]], write)
    encoded += settled
    for line in lines(request.turn, maker, is_live=True):
        write(encoded, line)
    return encoded


def _line(line: Line, capability: Capability) -> list[dict[str, Any]]:
    if line.results:
        results = [{"role": "tool", "tool_call_id": result.call.id, "content": result.text} for result in line.results]
        return [_calls(line, capability), *results]
    if (content := _content(line)) is None:
        return []
    return [{"role": "assistant" if line.message.role == "assistant" else "user", "content": content}]


def _content(line: Line) -> str | None:
    return " ".join(text for text in (line.before, line.text) if text.strip()) or None


def _calls(line: Line, capability: Capability) -> dict[str, Any]:
    """An assistant message that holds calls; its results follow it directly."""
    calls: list[dict[str, Any]] = [
        {
            "id": result.call.id,
            "type": "function",
            "function": {"name": result.call.name, "arguments": provider_arguments(result.call)},
        }
        for result in line.results
    ]
    encoded = {"role": "assistant", "content": _content(line), "tool_calls": calls}
    opaque: tuple[Opaque, ...] = line.opaque if line.is_live else ()
    if "reasoning_content" in capability.replay:
        # DeepSeek wants it on every message with calls, even empty.
        encoded["reasoning_content"] = "".join(part.data for part in opaque if part.kind == "reasoning_content")
    if "thought_signature" in capability.replay:
        for part in opaque:
            if part.kind == "thought_signature" and part.call is not None and part.call < len(calls):
                calls[part.call]["extra_content"] = {"google": {"thought_signature": part.data}}
    return encoded
