"""An MCP server as others write them, for tests: `mcp_server.py stdio|PORT [old]`. An old one knows no discovery."""

import asyncio
import os
import subprocess
import sys
from typing import Any

from mcp import MCPError
from mcp.server.context import CallNext, ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import METHOD_NOT_FOUND, CallToolResult, ImageContent, TextContent, ToolAnnotations
from pydantic import BaseModel

server = MCPServer("test", log_level="ERROR")
events: list[str] = []


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
async def echo(text: str, times: int = 1) -> str:
    """Say it again."""
    return text * times


@server.tool()
async def fail() -> str:
    """Fail."""
    raise ValueError("the tank is empty")


@server.tool()
async def hang() -> str:
    """Never answer."""
    events.append("begun")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        events.append("cancelled")
        raise
    return "never"


@server.tool()
async def count(what: str) -> str:
    """Tell how many calls of `hang` have begun, or were cancelled."""
    return str(events.count(what))


@server.tool()
async def structured() -> CallToolResult:
    """Return no text."""
    return CallToolResult(content=[], structured_content={"temperature": 21, "unit": "°C"})


@server.tool()
async def picture() -> CallToolResult:
    """Return a picture."""
    image = ImageContent(data="AAAA", mime_type="image/png")
    return CallToolResult(content=[TextContent(text="a cat"), image], structured_content={"left": "out"})


@server.tool()
async def big() -> str:
    """Return ten megabytes."""
    return "x" * 10 * 1024 * 1024


@server.tool()
async def tell_pid() -> str:
    """Tell the server's process id."""
    return str(os.getpid())


@server.tool()
async def tell_secret(name: str, context: Context[Any]) -> str:
    """Tell a header of the request, or an environment variable."""
    given = os.environ if context.headers is None else context.headers  # noqa: TID251 - a process of its own
    return given.get(name, "unset")


@server.tool()
async def swap(context: Context[Any]) -> str:
    """Take one tool away and add another."""
    server.remove_tool("fail")
    server.add_tool(tell_pid, name="extra")
    # The second is how servers told of it before there were subscriptions.
    await context.notify_tools_changed()
    await context.session.send_tool_list_changed()
    return "swapped"


@server.tool()
async def too_big() -> str:
    """Return more than anybody reads."""
    return "x" * 40 * 1024 * 1024


@server.tool()
async def spawn() -> str:
    """Start a process that stays, in a session of its own, and tell its id."""
    sleep = (sys.executable, "-c", "import time; time.sleep(300)")
    return str(subprocess.Popen(sleep, start_new_session=True).pid)


@server.tool()
async def die() -> str:
    """End the process."""
    os._exit(3)


@server.tool(name="a.tool with/a name that is far too long for any provider of models")
async def named_badly() -> str:
    """Have a name that is no name."""
    return "found"


@server.tool()
async def talkative(pre_exec_msg: str) -> str:
    """Take an argument of a name that is reserved."""
    return pre_exec_msg


async def refuse_discovery(
    ctx: ServerRequestContext[Any, Any], call_next: CallNext
) -> BaseModel | dict[str, Any] | None:
    """Behave like a server that knows no protocol but that of 2025; some of those end at what they do not know."""
    if ctx.method == "server/discover":
        if where == "stdio":
            os._exit(4)
        raise MCPError(METHOD_NOT_FOUND, "Method not found")
    return await call_next(ctx)


if __name__ == "__main__":
    where, *rest = sys.argv[1:]
    if "old" in rest:
        server.middleware.append(refuse_discovery)
    if where == "stdio":
        server.run()
    else:
        server.run("streamable-http", port=int(where))
