"""What OpenAI refuses in a Chat Completions request, so that the simulated model proves every history valid."""

from typing import Any

from voice_agent.llm.simulated.request import Refused, SimulatedRequest, demand, is_name, is_object, read_object
from voice_agent.llm.simulated.structured import openai_format

_FIELDS = frozenset({
    "frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens", "messages", "metadata",
    "model", "n", "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_options",
    "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
    "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity",
})  # fmt: skip
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def read_request(body: bytes) -> SimulatedRequest:
    """The request in a body. Raises Refused."""
    fields = read_object(body)
    for name in fields:
        demand(name in _FIELDS, f"Unrecognized request argument supplied: {name}", name)
    demand(isinstance(fields.get("model"), str) and bool(fields["model"]), "you must provide a model", "model")
    _scalars(fields)
    _messages(fields.get("messages"))
    tools = _tools(fields)
    return SimulatedRequest(
        model=fields["model"],
        messages=tuple(fields["messages"]),
        tools=tools,
        tool_choice=_tool_choice(fields, tools),
        stream=fields.get("stream") is True,
        include_usage=bool((fields.get("stream_options") or {}).get("include_usage")),
        max_tokens=fields.get("max_completion_tokens") or fields.get("max_tokens"),
        response_format=openai_format(fields.get("response_format"), "response_format", nested=True),
    )


def _scalars(fields: dict[str, Any]) -> None:
    temperature = fields.get("temperature", 1)
    number = isinstance(temperature, int | float) and 0 <= temperature <= 2
    demand(number, "temperature has to be a number from 0 to 2", "temperature")
    demand(fields.get("reasoning_effort", "none") in _EFFORTS, "unsupported value", "reasoning_effort")
    for name in ("max_completion_tokens", "max_tokens"):
        limit = fields.get(name, 1)
        demand(isinstance(limit, int) and limit >= 1, f"{name} has to be an integer of at least 1", name)
    streams = fields.get("stream") is True
    options = fields.get("stream_options")
    demand(options is None or streams, "stream_options is only allowed with stream", "stream_options")
    demand(options is None or isinstance(options, dict), "stream_options has to be an object", "stream_options")


def _messages(messages: Any) -> None:
    demand(isinstance(messages, list) and bool(messages), "messages has to be a list that is not empty", "messages")
    waiting: set[str] = set()
    for position, message in enumerate(messages):
        where = f"messages[{position}]"
        demand(isinstance(message, dict), f"{where} has to be an object", where)
        role = message.get("role")
        if role == "tool":
            call_id = message.get("tool_call_id")
            demand(
                isinstance(call_id, str) and call_id in waiting,
                f"{where}: messages with role 'tool' must follow their tool_calls",
                where,
            )
            waiting.discard(call_id)
            demand(_has_text(message.get("content")), f"{where}: empty content", f"{where}.content")
            continue
        missing = ", ".join(sorted(waiting))
        demand(not waiting, f"{where}: these tool_call_ids did not have response messages: {missing}", where)
        if role == "assistant":
            waiting = _assistant(message, where)
        else:
            demand(role in ("system", "developer", "user"), f"{where}: unknown role {role!r}", f"{where}.role")
            demand(_has_text(message.get("content")), f"{where}: empty content", f"{where}.content")
    demand(not waiting, "the last tool_calls did not have response messages", "messages")


def _assistant(message: dict[str, Any], where: str) -> set[str]:
    """The ids of its calls."""
    content, calls = message.get("content"), message.get("tool_calls")
    if content is not None or calls is None:
        demand(_has_text(content), f"{where}: content may only be null beside tool_calls", f"{where}.content")
    if calls is None:
        return set()
    demand(isinstance(calls, list) and bool(calls), f"{where}: empty tool_calls", f"{where}.tool_calls")
    for call in calls:
        function = _function(call, f"{where}.tool_calls")
        call_id = call.get("id")
        demand(isinstance(call_id, str) and 1 <= len(call_id) <= 40, f"{where}: bad id", f"{where}.tool_calls.id")
        demand(is_name(function.get("name")), f"{where}: bad function name", f"{where}.tool_calls.name")
        demand(is_object(function.get("arguments")), f"{where}: bad arguments", f"{where}.tool_calls.arguments")
    ids = {call["id"] for call in calls}
    demand(len(ids) == len(calls), f"{where}: two tool calls of one id", f"{where}.tool_calls")
    return ids


def _tools(fields: dict[str, Any]) -> dict[str, dict[str, Any]]:
    tools = fields.get("tools")
    if tools is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            demand(name not in fields, f"{name} is only allowed when tools are specified", name)
        return {}
    demand(isinstance(tools, list) and bool(tools), "tools is empty", "tools")
    schemas = {}
    for tool in tools:
        function = _function(tool, "tools")
        demand(is_name(function.get("name")), "a tool has no valid name", "tools")
        parameters = function.get("parameters", {"type": "object", "properties": {}})
        sound = isinstance(parameters, dict) and parameters.get("type") == "object"
        demand(sound, f"the parameters of {function['name']} are no object schema", "tools")
        demand(function["name"] not in schemas, f"two tools are called {function['name']}", "tools")
        schemas[function["name"]] = parameters
    return schemas


def _tool_choice(fields: dict[str, Any], tools: dict[str, dict[str, Any]]) -> str:
    choice = fields.get("tool_choice", "auto")
    if isinstance(choice, dict):
        name = str(_function(choice, "tool_choice").get("name"))
        demand(name in tools, f"tool_choice names {name!r}, which is not in tools", "tool_choice")
        return name
    demand(choice in ("none", "auto", "required"), f"unknown tool_choice {choice!r}", "tool_choice")
    return str(choice)


def _function(holder: Any, where: str) -> dict[str, Any]:
    function = holder.get("function") if isinstance(holder, dict) and holder.get("type") == "function" else None
    if not isinstance(function, dict):
        raise Refused(f"{where} holds something that is no function", where)
    return function


def _has_text(content: Any) -> bool:
    if isinstance(content, list):
        return bool(content) and all(isinstance(part, dict) and _has_text(part.get("text")) for part in content)
    return isinstance(content, str) and bool(content)
