"""What an MCP server lists, as tools of ours: names that every provider takes, policies from hints, results as text."""

import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import mcp.types as wire
import msgspec

from voice_agent.agent import ToolSpec
from voice_agent.messages import ToolSchema
from voice_agent.prompt import UTTERANCE_FIELD
from voice_agent.tools.base import ToolContext, ToolFault
from voice_agent.tools.mcp.definitions import Definition
from voice_agent.tools.outcome import as_text
from voice_agent.tools.schema import check_of

Call = Callable[[str, dict[str, Any]], Awaitable[wire.CallToolResult]]

_LONGEST_NAME = 48
_LONGEST_DESCRIPTION = 1024  # OpenAI takes no more, and refuses the whole request.

_log = logging.getLogger(__name__)


class _Unusable(Exception):
    """Why no model can be offered a tool."""


class McpTool(msgspec.Struct, frozen=True):
    """A server's tool. `listed` is what the server says of it; `call` asks the server, by the server's own name."""

    spec: ToolSpec
    listed: wire.Tool
    call: Call
    timeout_s: float
    return_char_limit: int = 50_000

    async def run(self, arguments: dict[str, Any], context: ToolContext) -> str:  # noqa: ARG002 - MCP has no place for it
        """The result in words. Raises ToolFault if the server says that it is an error, or does not answer."""
        result = await self.call(self.listed.name, arguments)
        text = text_of(result)
        if result.is_error:
            raise ToolFault(text or "the tool failed and did not say why")
        return text


def tools_of(
    definition: Definition, listed: Iterable[wire.Tool], call: Call, before: Mapping[str, McpTool]
) -> dict[str, McpTool]:
    """The tools that are offered, by name. One that cannot be offered is left out, and the log says why.

    Those that are listed as they were `before` are taken over as they are: a schema is costly to prepare.
    """
    tools: dict[str, McpTool] = {}
    for each in listed:
        if definition.tools is not None and each.name not in definition.tools:
            continue
        name = name_of(definition.name, each.name)
        known = before.get(name)
        if name in tools:
            _refuse(definition, each, "it is listed twice")
            continue
        try:
            tools[name] = known if known is not None and known.listed == each else _tool(definition, name, each, call)
        except _Unusable as fault:
            _refuse(definition, each, str(fault))
    present = {tool.listed.name for tool in tools.values()}
    for missing in sorted({*(definition.tools or ()), *definition.effects, *definition.say} - present):
        _log.warning("the MCP server %s offers no tool %r, which its definition names", definition.name, missing)
    return tools


def name_of(server: str, tool: str) -> str:
    """`SERVER__TOOL`. A name that is too long or holds other characters is changed, and then ends in a hash of it.

    So it depends on nothing else that the server lists, and no two tools come to the same name.
    """
    plain = f"{server}__{tool}"
    if re.fullmatch(rf"[A-Za-z0-9_-]{{1,{_LONGEST_NAME}}}", plain):
        return plain
    digest = hashlib.sha256(tool.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', plain)[: _LONGEST_NAME - 9]}_{digest}"


def text_of(result: wire.CallToolResult) -> str:
    """Its texts, one below the other; its structured content as JSON if it has none; other contents are named."""
    parts = [_part(content) for content in result.content]
    has_text = any(isinstance(content, wire.TextContent) for content in result.content)
    if not has_text and result.structured_content is not None:
        parts.insert(0, as_text(result.structured_content))
    return "\n".join(parts)


def _part(content: wire.ContentBlock) -> str:
    match content:
        case wire.TextContent(text=text):
            return as_text(text)
        case wire.ImageContent(mime_type=kind) | wire.AudioContent(mime_type=kind):
            return f"[{content.type}, {kind}, {len(content.data) * 3 // 4} bytes: it cannot be shown]"
        case wire.ResourceLink(name=name, uri=uri):
            return f"[link to {name}: {uri}]"
        case wire.EmbeddedResource(resource=wire.TextResourceContents(text=text)):
            return as_text(text)
        case wire.EmbeddedResource(resource=resource):
            return f"[file {resource.uri}, {resource.mime_type or 'of unknown type'}: it cannot be shown]"


def _refuse(definition: Definition, listed: wire.Tool, why: str) -> None:
    _log.warning("the MCP server %s: its tool %r is not offered: %s", definition.name, listed.name, why)


def _tool(definition: Definition, name: str, listed: wire.Tool, call: Call) -> McpTool:
    """`readOnlyHint` makes it a read. `idempotentHint` changes nothing: no call is ever repeated for the model."""
    hints = listed.annotations or wire.ToolAnnotations()
    effects = definition.effects.get(listed.name, "none" if hints.read_only_hint else "irreversible")
    parameters, check = _arguments(listed.input_schema)
    spec = ToolSpec(
        schema=ToolSchema(name, _described(listed, hints), parameters),
        check=check,
        say=definition.say.get(listed.name, True),
        effects=effects,
        on_interrupt="cancel" if effects == "none" else "finish",
    )
    return McpTool(spec, listed, call, definition.timeout_s)


def _arguments(schema: dict[str, Any]) -> tuple[dict[str, Any], Callable[[dict[str, Any]], str | None]]:
    """The schema as a model is given it, and the check by it. Raises _Unusable."""
    properties = schema.get("properties", {})
    if schema.get("type") != "object" or not isinstance(properties, dict):
        raise _Unusable("its input schema is not of type object")
    if UTTERANCE_FIELD in properties:
        raise _Unusable(f"its parameter {UTTERANCE_FIELD!r} is reserved for what is said before the call")
    try:
        check = check_of(schema)
    except Exception as fault:
        raise _Unusable(f"its input schema cannot be used: {fault}") from fault
    return {key: value for key, value in schema.items() if key != "$schema"} | {"properties": properties}, check


def _described(listed: wire.Tool, hints: wire.ToolAnnotations) -> str:
    text = (listed.description or listed.title or hints.title or listed.name).strip()
    return text if len(text) <= _LONGEST_DESCRIPTION else f"{text[: _LONGEST_DESCRIPTION - 1]}…"
