"""A request as the simulated model sees it, whatever wire format it came in, and what a provider says to a bad one."""

import re
from typing import Any

import msgspec

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Refused(Exception):
    """The request breaks a rule; `param` names the field."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param


class SimulatedRequest(msgspec.Struct, frozen=True):
    """A request that keeps the rules of its API.

    `messages` have the shape of Chat Completions (`role`, `content`, `tool_calls`, `tool_call_id`). `tools` are
    parameter schemas by name; `tool_choice` may be a tool's name. `seals_reasoning`: reasoning is wanted in the
    encrypted form in which it can come back (Responses). `response_format` is the schema that the reply is to fit.
    """

    model: str
    messages: tuple[dict[str, Any], ...]
    tools: dict[str, dict[str, Any]]
    tool_choice: str
    stream: bool
    include_usage: bool
    max_tokens: int | None
    seals_reasoning: bool = False
    response_format: dict[str, Any] | None = None


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body holds. Raises Refused."""
    try:
        fields = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise Refused("we could not parse the JSON body of your request", "body") from None
    if not isinstance(fields, dict):
        raise Refused("the body has to be a JSON object", "body")
    return fields


def demand(holds: bool, message: str, param: str) -> None:
    """Raise Refused unless it holds."""
    if not holds:
        raise Refused(message, param)


def is_name(name: Any) -> bool:
    """Whether a tool may be called so."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def is_object(text: Any) -> bool:
    """Whether a text is one JSON object."""
    try:
        return isinstance(text, str) and isinstance(msgspec.json.decode(text), dict)
    except msgspec.DecodeError:
        return False
