"""All MCP servers of a gateway: started with it, ended with it, and the tools they offer just now."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from voice_agent.clock import Clock
from voice_agent.tools.base import Tool
from voice_agent.tools.mcp.definitions import Definition

if TYPE_CHECKING:
    from voice_agent.tools.mcp.server import McpServer

_READY_S = 10.0


class McpServers:
    """The servers of these definitions; without any, it costs nothing."""

    def __init__(self, definitions: Sequence[Definition], clock: Clock) -> None:
        self._servers = _servers(definitions, clock) if definitions else {}

    async def run(self) -> None:
        """Own all connections and processes; they have ended when this has. Runs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for server in self._servers.values():
                tasks.create_task(server.keep())

    async def ready(self) -> None:
        """Wait until each server is connected, or could not be at the first try; at most ten seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_READY_S):
                for server in self._servers.values():
                    await server.tried.wait()

    def tools(self) -> Mapping[str, Tool]:
        """What is offered now, by name; of a server that is away, what it offered last."""
        return {name: tool for server in self._servers.values() for name, tool in server.tools.items()}

    def serves(self, name: str) -> bool:
        """Whether an entry of an agent's `tools` is of one of these servers, offered by it just now or not."""
        return name.partition("__")[0] in self._servers and "__" in name

    def expand(self, name: str) -> tuple[str, ...]:
        """The tools that such an entry stands for now: itself, or for `SERVER__*` all that the server offers."""
        if not name.endswith("__*"):
            return (name,) if name in self.tools() else ()
        server = self._servers.get(name.removesuffix("__*"))
        return tuple(server.tools) if server is not None else ()


def _servers(definitions: Sequence[Definition], clock: Clock) -> dict[str, "McpServer"]:
    # The library costs most of a second and 25 MB, which a gateway without such servers need not pay.
    from voice_agent.tools.mcp.server import McpServer

    return {each.name: McpServer(each, clock) for each in definitions}
