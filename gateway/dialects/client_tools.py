"""Tools that a client brings along and runs itself, as its frames have them."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from pydantic import ValidationError

from gateway.dialects.base import FrameError
from voice_agent.agent import Fault, faults_of
from voice_agent.tool_definitions import ClientTool
from voice_agent.tools.defined import spec_of
from voice_agent.tools.schema import SchemaError

MOST_TOOLS = 64


class ClientTools(msgspec.Struct, frozen=True):
    """The tools that the client runs, from the next turn on: these and no others."""

    tools: tuple[ClientTool, ...]


def read_tools(
    given: Sequence[Any], taken: Callable[[str], bool] = lambda _: False
) -> tuple[tuple[ClientTool, ...], list[Fault]]:
    """The tools that these objects describe, of the shape that they have in an agent, and what is wrong with them.

    `taken`: whether a name is another tool's.
    """
    faults: list[Fault] = []
    tools: dict[str, ClientTool] = {}
    for index, each in enumerate(given):
        try:
            tool = ClientTool.model_validate_json(msgspec.json.encode(each), strict=True)
            spec_of(tool)
        except ValidationError as error:
            found = faults_of(error.errors(include_url=False))
            faults += [Fault(f"/{index}{fault.path}", fault.message) for fault in found]
        except SchemaError as error:
            faults += [Fault(f"/{index}/parameters{fault.path}", fault.message) for fault in error.faults]
        else:
            if taken(tool.name):
                faults.append(Fault(f"/{index}/name", f"there is a tool {tool.name!r} already"))
            if tools.setdefault(tool.name, tool) is not tool:
                faults.append(Fault(f"/{index}/name", f"{tool.name!r} is named twice"))
    return tuple(tools.values()), faults


def client_tools(given: Sequence[Any]) -> ClientTools:
    """The tools of a frame. Raises FrameError."""
    tools, faults = read_tools(given)
    if faults:
        fields = [_field(fault.path) for fault in faults]
        told = "; ".join(f"`{field}`: {fault.message}" for field, fault in zip(fields, faults, strict=True))
        raise FrameError("bad_field", told, fields[0])
    return ClientTools(tools)


def _field(pointer: str) -> str:
    """A JSON pointer into the list, as frames' fields are written."""
    path = re.sub(r"/(\d+)(?=/|$)", r"[\1]", pointer).replace("/", ".")
    return "client_tools" + path.replace("~1", "/").replace("~0", "~")
