"""Both ends of an MCP connection for tests: real servers, as processes and over HTTP, and a gateway's servers."""

import asyncio
import socket
import sys
import textwrap
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.processes import eventually
from voice_agent.clock import Clock, SystemClock
from voice_agent.tools.base import ToolContext, ToolFault
from voice_agent.tools.mcp.definitions import Definition, Http, Stdio
from voice_agent.tools.mcp.servers import McpServers

SERVER = str(Path(__file__).parent / "mcp_server.py")
ROOT = str(Path(__file__).parent.parent.parent)
# A server that ends at nothing but SIGKILL.
DEAF = f"""
    import runpy, signal, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.argv = [{SERVER!r}, "stdio"]
    runpy.run_path({SERVER!r}, run_name="__main__")
    while True:
        time.sleep(1)
"""
CONTEXT = ToolContext(agent_id="a1", user="u1", session_id="s1", turn_id="t1", call_id="c1", at=0.0)


def stdio(*words: str, **env: str) -> Definition:
    """The server as a process of ours, `test` by name."""
    return Definition("test", Stdio(sys.executable, (SERVER, "stdio", *words), env, None))


def script(source: str) -> Definition:
    """A server that is nothing but this."""
    return Definition("test", Stdio(sys.executable, ("-c", textwrap.dedent(source)), {}, None))


def handmade(answer: str, *, restless: bool = False) -> Definition:
    """A server of one tool, `act`, whose calls get this answer, where `lists` counts how often its list was asked for.

    A restless one tells after each list that it has changed.
    """
    return script(f"""
        import json, sys

        def say(**fields):
            print(json.dumps({{"jsonrpc": "2.0"}} | fields), flush=True)

        lists = 0
        for message in map(json.loads, sys.stdin):
            match message["method"]:
                case "initialize":
                    able = {{"capabilities": {{"tools": {{"listChanged": True}}}}, "protocolVersion": "2025-06-18"}}
                    say(id=message["id"], result={{"serverInfo": {{"name": "a", "version": "1"}}}} | able)
                case "tools/list":
                    lists += 1
                    say(id=message["id"], result={{"tools": [{{"name": "act", "inputSchema": {{"type": "object"}}}}]}})
                    if {restless}:
                        say(method="notifications/tools/list_changed")
                case "tools/call":
                    say(id=message["id"], {answer})
                case _ if "id" in message:
                    say(id=message["id"], error={{"code": -32601, "message": "unknown"}})
    """)


@asynccontextmanager
async def running(*definitions: Definition, clock: Clock | None = None) -> AsyncIterator[McpServers]:
    """The servers of a gateway, once each has been tried; ended with all they started."""
    servers = McpServers(definitions, clock or SystemClock())
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(servers.run())
        try:
            await servers.ready()
            yield servers
        finally:
            task.cancel()


@asynccontextmanager
async def listening(port: int, *words: str) -> AsyncIterator[Process]:
    """The server, listening on `port`; killed at the end."""
    command = (sys.executable, SERVER, str(port), *words)
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)

    async def accepts() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await eventually(accepts, "the server listens")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
    return port


def over_http(port: int) -> Definition:
    return Definition("test", Http(f"http://127.0.0.1:{port}/mcp", {}))


@asynccontextmanager
async def any_server(kind: str) -> AsyncIterator[McpServers]:
    """The gateway's end of a server: `stdio` or `http`, and `old` after it for the protocol of 2025."""
    way, *words = kind.split()
    if way == "stdio":
        async with running(stdio(*words)) as servers:
            yield servers
    else:
        port = free_port()
        async with listening(port, *words), running(over_http(port)) as servers:
            yield servers


async def call(servers: McpServers, tool: str, **arguments: Any) -> object:
    return await servers.tools()[f"test__{tool}"].run(arguments, CONTEXT)


async def fault(servers: McpServers, tool: str, **arguments: Any) -> str:
    with pytest.raises(ToolFault) as caught:
        await call(servers, tool, **arguments)
    assert caught.value.status == "error"
    return str(caught.value)


async def answers(servers: McpServers) -> bool:
    """Whether the server answers just now."""
    try:
        return await call(servers, "echo", text="a") == "a"
    except ToolFault:
        return False


async def told(servers: McpServers, text: str, tool: str, **arguments: Any) -> bool:
    """Whether a tool's answer is this."""
    return await call(servers, tool, **arguments) == text


async def offers(servers: McpServers, tool: str) -> bool:
    return f"test__{tool}" in servers.tools()
