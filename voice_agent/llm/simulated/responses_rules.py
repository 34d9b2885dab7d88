"""What OpenAI refuses in a Responses request, so that the simulated model proves every history valid.

The items of the input are checked in `responses_input`.
"""

from typing import Any

from voice_agent.llm.simulated.request import SimulatedRequest, demand, is_name, read_object
from voice_agent.llm.simulated.responses_input import chat_messages, demand_known
from voice_agent.llm.simulated.structured import openai_format, strict_fault

_FIELDS = frozenset({
    "background", "context_management", "conversation", "include", "input", "instructions", "max_output_tokens",
    "max_tool_calls", "metadata", "model", "moderation", "parallel_tool_calls", "previous_response_id", "prompt",
    "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning", "safety_identifier",
    "service_tier", "store", "stream", "stream_options", "temperature", "text", "tool_choice", "tools", "top_logprobs",
    "top_p", "truncation", "user",
})  # fmt: skip
_TOOL_FIELDS = frozenset({
    "allowed_callers", "async", "defer_loading", "description", "name", "output_schema", "parameters", "strict", "type",
})  # fmt: skip
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_INCLUDABLE = ("reasoning.encrypted_content",)


def read_request(body: bytes) -> SimulatedRequest:
    """The request in a body. Raises Refused."""
    fields = read_object(body)
    demand_known(fields, _FIELDS, "")
    demand(isinstance(fields.get("model"), str) and bool(fields["model"]), "you must provide a model", "model")
    _scalars(fields)
    items: Any = fields.get("input")
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    demand(isinstance(items, list) and bool(items), "Missing required parameter: 'input'.", "input")
    tools = _tools(fields.get("tools", []))
    instructions = fields.get("instructions") or ""
    system = [{"role": "system", "content": instructions}] if instructions else []
    return SimulatedRequest(
        model=fields["model"],
        messages=(*system, *chat_messages(items)),
        tools=tools,
        tool_choice=_tool_choice(fields.get("tool_choice", "auto"), tools),
        stream=fields.get("stream") is True,
        include_usage=True,
        max_tokens=fields.get("max_output_tokens"),
        seals_reasoning=bool(fields.get("include")),
        response_format=_format(fields.get("text")),
    )


def _scalars(fields: dict[str, Any]) -> None:
    temperature = fields.get("temperature", 1)
    number = isinstance(temperature, int | float) and 0 <= temperature <= 2
    demand(number, "temperature has to be a number from 0 to 2", "temperature")
    limit = fields.get("max_output_tokens")
    counts = limit is None or (isinstance(limit, int) and limit >= 1)
    demand(counts, "max_output_tokens has to be an integer of at least 1", "max_output_tokens")
    for name in ("stream", "store", "parallel_tool_calls"):
        demand(isinstance(fields.get(name, True), bool), f"Invalid type for '{name}': expected a boolean.", name)
    demand(isinstance(fields.get("instructions", ""), str), "instructions has to be a text", "instructions")
    reasoning = fields.get("reasoning") or {}
    demand(isinstance(reasoning, dict), "reasoning has to be an object", "reasoning")
    demand_known(reasoning, ("context", "effort", "generate_summary", "mode", "summary"), "reasoning")
    demand((reasoning.get("effort") or "none") in _EFFORTS, "unsupported value: 'reasoning.effort'", "reasoning.effort")
    include = fields.get("include") or []
    demand(isinstance(include, list) and all(name in _INCLUDABLE for name in include), "bad include", "include")
    streams = fields.get("stream") is True
    demand("stream_options" not in fields or streams, "stream_options is only allowed with stream", "stream_options")


def _tools(tools: Any) -> dict[str, dict[str, Any]]:
    demand(isinstance(tools, list), "tools has to be a list", "tools")
    schemas = {}
    for number, tool in enumerate(tools):
        where = f"tools[{number}]"
        demand(isinstance(tool, dict) and tool.get("type") == "function", f"{where} is no function", f"{where}.type")
        demand(is_name(tool.get("name")), f"Missing required parameter: '{where}.name'.", f"{where}.name")
        demand_known(tool, _TOOL_FIELDS, where)
        name, parameters = tool["name"], tool.get("parameters") or {"type": "object", "properties": {}}
        sound = isinstance(parameters, dict) and parameters.get("type") == "object"
        demand(sound, f"Invalid schema for function '{name}': it is no object.", f"{where}.parameters")
        # A function is strict unless it says that it is not, and a strict one has no optional argument.
        fault = None if tool.get("strict", True) is False else strict_fault({"type": "object", **parameters})
        demand(fault is None, f"Invalid schema for function '{name}': {fault}.", f"{where}.strict")
        demand(name not in schemas, f"two tools are called {name}", "tools")
        schemas[name] = parameters
    return schemas


def _format(text: Any) -> dict[str, Any] | None:
    if text is None:
        return None
    demand(isinstance(text, dict), "text has to be an object", "text")
    demand_known(text, ("format", "verbosity"), "text")
    return openai_format(text.get("format"), "text.format", nested=False)


def _tool_choice(choice: Any, tools: dict[str, dict[str, Any]]) -> str:
    if isinstance(choice, dict):
        demand_known(choice, ("type", "name"), "tool_choice")
        name = str(choice.get("name"))
        demand(choice.get("type") == "function" and name in tools, f"there is no tool {name!r}", "tool_choice")
        return name
    demand(choice in ("none", "auto", "required"), f"Invalid value: {choice!r}.", "tool_choice")
    demand(choice != "required" or bool(tools), "tool_choice 'required' is only allowed with tools", "tool_choice")
    return str(choice)
