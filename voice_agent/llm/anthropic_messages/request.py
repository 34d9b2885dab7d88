"""A `ModelRequest` as the fields of an Anthropic Messages request (facts/providers.md, sections 2.1 to 2.5)."""

from typing import Any

from voice_agent.llm.anthropic_messages.conversation import Block, conversation
from voice_agent.llm.capabilities import Capability
from voice_agent.llm.response_format import in_words, is_closed
from voice_agent.llm.transcript import Kept
from voice_agent.messages import ModelRequest, ToolChoice, ToolSchema

_ANSWER_TOKENS = 8192
_THINKING_TOKENS = 16_384
_EFFORTS = {"minimal": "low"}  # OpenAI's lowest has no name here


def messages_fields(
    request: ModelRequest, wire_model: str, maker: str, capability: Capability, kept: Kept | None = None
) -> dict[str, Any]:
    """The request's fields, ready for JSON.

    Linear in the history, or in what is new of it with what was `kept` of the request before. Marks for the prefix
    cache stand where requests of a session begin to differ: behind the tools, the system text, the history and the
    live turn, which are the four that are allowed.
    """
    schema = request.response_format
    if schema is not None and (capability.refused & {"format", "output_config"} or not is_closed(schema)):
        # A schema that is not closed is refused here, not only taken less strictly.
        request = in_words(request)
    messages, borders, called = conversation(request, maker, kept or Kept())
    tools = _tools(request, called, capability)
    system: list[Block] = [{"type": "text", "text": request.system}] if request.system.strip() else []
    if "cache_control" not in capability.refused:
        for block in (*tools[-1:], *system, *borders):
            block["cache_control"] = {"type": "ephemeral"}
    reasoning, thinks = _reasoning(request.reasoning, capability)
    fields = {
        "model": wire_model,
        "max_tokens": _max_tokens(request, capability, thinks=thinks),
        "messages": messages,
        "stream": True,
        **reasoning,
    }
    if request.response_format is not None:
        format_ = {"type": "json_schema", "schema": request.response_format}
        fields["output_config"] = {**reasoning.get("output_config", {}), "format": format_}
    if system:
        fields["system"] = system
    if tools:
        fields["tools"] = tools
        choice = request.tool_choice if request.tools else "none"
        fields["tool_choice"] = _choice(capability.tool_choice(choice, thinks=thinks))
    if capability.sampling and request.temperature is not None:
        fields["temperature"] = min(request.temperature, 1.0)  # where others go to 2
    return {name: value for name, value in fields.items() if name not in capability.refused}


def _tools(request: ModelRequest, called: tuple[str, ...], capability: Capability) -> list[dict[str, Any]]:
    """The tools; where none are offered, those that were called before, without which their calls are refused."""
    tools = request.tools
    if not tools:
        tools = tuple(ToolSchema(name, "", {"type": "object", "properties": {}}) for name in called)
    # Unasked, arguments are held back until each value is complete.
    eager = {} if "eager_input_streaming" in capability.refused else {"eager_input_streaming": True}
    return [
        {"name": tool.name, "description": tool.description, "input_schema": tool.parameters, **eager} for tool in tools
    ]


def _reasoning(effort: str | None, capability: Capability) -> tuple[dict[str, Any], bool]:
    """The fields that say how much to think, and whether the model thinks in this request at all."""
    off = capability.thinking_off
    thinks_untold = off != "omit"
    obeys = "thinking" not in capability.refused
    if effort is None:
        return {}, thinks_untold
    if effort == "none":
        match off:
            case "omit":
                return {}, False
            case "impossible":
                return {"output_config": {"effort": "low"}}, True
            case "disabled" | "between_tools":
                return {"thinking": {"type": off}}, not obeys
    fields: dict[str, Any] = {"output_config": {"effort": _EFFORTS.get(effort, effort)}}
    if off in ("omit", "disabled"):
        fields["thinking"] = {"type": "adaptive"}
    return fields, thinks_untold or obeys


def _max_tokens(request: ModelRequest, capability: Capability, *, thinks: bool) -> int:
    """The limit, which has to be given. Thinking counts inside it, so that it needs room beside the answer."""
    wanted = request.max_output_tokens or _ANSWER_TOKENS + (_THINKING_TOKENS if thinks else 0)
    return min(wanted, capability.max_output or wanted)


def _choice(choice: ToolChoice) -> dict[str, Any]:
    words = {"auto": "auto", "none": "none", "required": "any"}
    return {"type": words[choice]} if choice in words else {"type": "tool", "name": choice}
