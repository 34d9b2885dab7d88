"""Tools that an agent's definition brings along, as the loop knows tools; and what can be wrong with them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from voice_agent.agent import Fault, ToolSpec
from voice_agent.messages import ToolSchema
from voice_agent.prompt import UTTERANCE_FIELD
from voice_agent.tool_definitions import ClientTool, WebhookTool, is_header_value
from voice_agent.tools.base import ToolContext, ToolFault
from voice_agent.tools.schema import SchemaError, check_of


def spec_of(tool: WebhookTool | ClientTool) -> ToolSpec:
    """What the loop must know of it. Raises SchemaError, with paths into its `parameters`."""
    parameters = {**tool.parameters, "properties": tool.parameters.get("properties", {})}
    check = check_of(parameters)
    if parameters.get("type") != "object":
        raise SchemaError((Fault("/type", 'it has to be "object"'),))
    if UTTERANCE_FIELD in parameters["properties"]:
        path = f"/properties/{UTTERANCE_FIELD}"
        raise SchemaError((Fault(path, "this name is reserved for what is said before the call"),))
    return ToolSpec(
        schema=ToolSchema(tool.name, tool.description, parameters),
        check=check,
        say=tool.say,
        effects=tool.effects,
        parallel=tool.parallel,
        on_interrupt=tool.on_interrupt,
        duplicate=tool.duplicate,
        client_timeout_s=tool.timeout_s if isinstance(tool, ClientTool) else None,
        client_char_limit=tool.return_char_limit,
    )


class ClientSide:
    """A tool that the connected client runs. The turn asks the client, so that it is never run here."""

    def __init__(self, definition: ClientTool) -> None:
        """Raises SchemaError, which does not happen to a definition that was validated."""
        self.spec = spec_of(definition)
        self.timeout_s = definition.timeout_s
        self.return_char_limit = definition.return_char_limit

    async def run(self, arguments: dict[str, Any], context: ToolContext) -> object:  # noqa: ARG002 - see the class
        """Raises ToolFault."""
        raise ToolFault("there is no client that could run this tool")


def faults_of_webhook(
    tool: WebhookTool, secrets: Mapping[str, Any], check_url: Callable[[str], str | None]
) -> Iterator[Fault]:
    """What is wrong with where it leads and what it takes along, by paths into it.

    `secrets` are the agent's, by name; `check_url` says what keeps a URL from being used.
    """
    if reason := check_url(tool.url):
        yield Fault("/url", reason)
    for path, name in tool.secrets_used():
        if name not in secrets:
            yield Fault(path, f"the agent has no secret {name!r}")
        elif path != "/secret" and not is_header_value(str(secrets[name])):
            yield Fault(path, f"the secret {name!r} is not printable ASCII, as a header has to be")
