"""What Anthropic refuses in a Messages request, so that the simulated model proves every history valid.

The messages themselves are checked in `messages_shape`; rules by model are those of facts/providers.md, section 2.3.
"""

import re
from typing import Any

from voice_agent.llm.simulated.messages_shape import chat_messages, demand_keys, demand_text, read_turns
from voice_agent.llm.simulated.request import SimulatedRequest, demand, is_name, read_object
from voice_agent.llm.simulated.structured import anthropic_format

_FIELDS = frozenset({
    "cache_control", "container", "diagnostics", "inference_geo", "max_tokens", "messages", "metadata", "model",
    "output_config", "service_tier", "speed", "stop_sequences", "stream", "system", "thinking", "tool_choice", "tools",
    "user_profile_id",
})  # fmt: skip
_TOOL_FIELDS = frozenset({
    "allowed_callers", "cache_control", "defer_loading", "description", "eager_input_streaming", "input_examples",
    "input_schema", "name", "strict", "type",
})  # fmt: skip
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_MAX_MARKS = 4
_MIN_BUDGET = 1024
_ALWAYS_THINKS = re.compile(r"opus-5-5|fable-5|mythos-5")
_THINKS_BETWEEN_TOOLS = re.compile(r"sonnet-5-5")
_THINKS_UNTOLD = re.compile(r"(?:opus|sonnet|haiku|fable|mythos)-5")


def read_request(body: bytes) -> SimulatedRequest:
    """The request in a body. Raises Refused, with the path of what is wrong."""
    fields = read_object(body)
    demand_keys(fields, _FIELDS, "")
    model = fields.get("model")
    demand(isinstance(model, str) and bool(model), "model: Field required", "model")
    limit: Any = fields.get("max_tokens")
    demand(isinstance(limit, int) and not isinstance(limit, bool), "max_tokens: Field required", "max_tokens")
    demand(limit >= 0, "max_tokens: Input should be greater than or equal to 0", "max_tokens")
    demand(fields.get("stream") in (None, True, False), "stream: Input should be a valid boolean", "stream")
    thinks = _thinking(fields)
    system = _system(fields.get("system"))
    tools = _tools(fields.get("tools", []))
    turns = read_turns(fields.get("messages"))
    blocks = [block for turn in turns for block in turn["content"]]
    with_tools = any(block["type"] in ("tool_use", "tool_result") for block in blocks)
    told = "Requests which have `tool_use` or `tool_result` blocks in `messages` must define tools"
    demand(bool(tools) or not with_tools, told, "tools")
    marked = [*_listed(fields.get("system")), *fields.get("tools", []), *blocks, fields]
    marks = sum("cache_control" in block for block in marked)
    too_many = f"A maximum of {_MAX_MARKS} blocks with cache_control may be provided. Found {marks}."
    demand(marks <= _MAX_MARKS, too_many, "cache_control")
    messages = ({"role": "system", "content": system}, *chat_messages(turns)) if system else chat_messages(turns)
    return SimulatedRequest(
        model=fields["model"],
        messages=tuple(messages),
        tools=tools,
        tool_choice=_tool_choice(fields, tools, thinks=thinks),
        stream=fields.get("stream") is True,
        include_usage=True,
        max_tokens=limit,
        response_format=anthropic_format(fields.get("output_config", {}).get("format")),
    )


def _thinking(fields: dict[str, Any]) -> bool:
    """Whether the model thinks in this request."""
    config = fields.get("output_config", {})
    demand(isinstance(config, dict), "output_config: Input should be an object", "output_config")
    demand_keys(config, frozenset({"effort", "format"}), "output_config.")
    effort = config.get("effort", "low")
    told = f"output_config.effort: Input should be one of {_EFFORTS}"
    demand(effort in _EFFORTS, told, "output_config.effort")
    thinking, model = fields.get("thinking"), fields["model"]
    if thinking is None:
        return _THINKS_UNTOLD.search(model) is not None
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    known = kind in ("adaptive", "between_tools", "disabled", "enabled")
    demand(known, "thinking.type: Input tag is not one of the expected ones", "thinking.type")
    demand_keys(thinking, frozenset({"type", "display", "budget_tokens"}), "thinking.")
    between = _THINKS_BETWEEN_TOOLS.search(model) is not None
    refused = kind in ("disabled", "between_tools") and _ALWAYS_THINKS.search(model) is not None
    refused = refused or (kind == "disabled" and between) or (kind == "between_tools" and not between)
    demand(not refused, f'"thinking.type.{kind}" is not supported for this model', "thinking.type")
    if kind == "enabled":
        budget = thinking.get("budget_tokens")
        sound = isinstance(budget, int) and _MIN_BUDGET <= budget < fields["max_tokens"]
        demand(sound, "thinking.budget_tokens: from 1024 to less than `max_tokens`", "thinking.budget_tokens")
    demand(kind != "disabled" or effort not in ("xhigh", "max"), "thinking is needed at this effort", "thinking.type")
    return kind in ("adaptive", "enabled")


def _system(system: Any) -> str:
    if system is None or isinstance(system, str):
        return system or ""
    demand(isinstance(system, list), "system: Input should be a valid list", "system")
    for position, block in enumerate(system):
        where = f"system.{position}"
        demand(isinstance(block, dict) and block.get("type") == "text", f"{where}: only text is taken", where)
        demand_keys(block, frozenset({"type", "text", "cache_control", "citations"}), f"{where}.")
        demand_text(block.get("text"), where)
    return "\n".join(block["text"] for block in system)


def _tools(tools: Any) -> dict[str, dict[str, Any]]:
    demand(isinstance(tools, list), "tools: Input should be a valid list", "tools")
    schemas: dict[str, dict[str, Any]] = {}
    for position, tool in enumerate(tools):
        where = f"tools.{position}.custom"
        demand(isinstance(tool, dict), f"{where}: Input should be an object", where)
        demand_keys(tool, _TOOL_FIELDS, f"{where}.")
        name, schema = tool.get("name"), tool.get("input_schema")
        demand(is_name(name), f"{where}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'", f"{where}.name")
        sound = isinstance(schema, dict) and schema.get("type") == "object"
        demand(sound, f"{where}.input_schema.type: Field required", f"{where}.input_schema")
        demand(name not in schemas, "tools: Tool names must be unique.", "tools")
        schemas[tool["name"]] = tool["input_schema"]
    return schemas


def _tool_choice(fields: dict[str, Any], tools: dict[str, dict[str, Any]], *, thinks: bool) -> str:
    choice = fields.get("tool_choice")
    if choice is None:
        return "auto"
    demand(bool(tools), "tool_choice: may only be specified while providing `tools`", "tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else None
    demand(kind in (*_CHOICES, "tool"), "tool_choice: Input tag is not one of the expected ones", "tool_choice")
    demand_keys(choice, frozenset({"type", "name", "disable_parallel_tool_use"}), "tool_choice.")
    if kind in ("any", "tool"):
        demand(not thinks, "Thinking may not be enabled when tool_choice forces tool use.", "tool_choice")
        never = _ALWAYS_THINKS.search(fields["model"]) or _THINKS_BETWEEN_TOOLS.search(fields["model"])
        demand(not never, f'"tool_choice.type.{kind}" is not supported for this model', "tool_choice")
    if kind == "tool":
        name = choice.get("name")
        demand(name in tools, f"tool_choice.name: tool {name!r} not found in provided tools", "tool_choice.name")
        return str(name)
    return _CHOICES[str(kind)]


def _listed(system: Any) -> list[dict[str, Any]]:
    return system if isinstance(system, list) else []
