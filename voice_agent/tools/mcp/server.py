"""One MCP server: connected, connected again when it died, and asked by whoever calls one of its tools."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
import mcp.types as wire
from mcp import Client, MCPError
from mcp.client.session import IncomingMessage
from mcp.client.subscriptions import SubscriptionLost
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from voice_agent.clock import Clock
from voice_agent.tools.base import ToolFault
from voice_agent.tools.mcp.definitions import Definition
from voice_agent.tools.mcp.offered import McpTool, tools_of
from voice_agent.tools.mcp.streams import streams
from voice_agent.tools.outcome import one_line

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_ANSWER_S = 30.0
_MOST_PAGES = 100

_log = logging.getLogger(__name__)


class McpServer:
    """A server. `tools` is what it listed last; `tried` is set once it was connected, or could not be.

    The client's own tasks belong to the task of `keep`; calls are made from any other.
    """

    def __init__(self, definition: Definition, clock: Clock) -> None:
        self.tools: Mapping[str, McpTool] = {}
        self.tried = asyncio.Event()
        self._definition = definition
        self._name = definition.name
        self._clock = clock
        self._listed: list[wire.Tool] = []
        self._client: Client | None = None
        self._fault = "it is still being connected"
        self._ended = False
        self._news = asyncio.Event()

    async def call(self, tool: str, arguments: dict[str, Any]) -> wire.CallToolResult:
        """The server's answer. Raises ToolFault if there is none; being cancelled is told to the server."""
        client = self._client
        if client is None:
            raise ToolFault(f"the MCP server {self._name} is not connected: {self._fault}")
        try:
            # The caller's own deadline comes first; this one only ends what nobody waits for.
            return await client.call_tool(tool, arguments, 2 * self._definition.timeout_s)
        except MCPError as fault:
            # The library tells its own error from the server's by nothing but the words.
            if fault.code == wire.CONNECTION_CLOSED and fault.message == "Connection closed" and client is self._client:
                self._end("the connection was lost")
            lost = "the connection was lost in the call, which may have had its effect"
            told = _words(fault) if client is self._client else lost
            raise ToolFault(f"the MCP server {self._name}: {told}") from fault
        except (ValidationError, RuntimeError) as fault:
            told = "its answer is not what the protocol or the tool's own output schema asks for"
            raise ToolFault(f"the MCP server {self._name}: {told}; the call may have had its effect") from fault

    async def keep(self) -> None:
        """Connect, and again after every loss, until cancelled."""
        pause_s = _FIRST_PAUSE_S
        while True:
            began = self._clock.now()
            if not await self._live("auto"):
                # Some servers end at a first message they do not know, and the newest protocol's is unknown to many.
                await self._live("legacy")
            if self._clock.now() - began >= _LONGEST_PAUSE_S:
                pause_s = _FIRST_PAUSE_S
            told = "the MCP server %s is not connected: %s; trying again in %g s"
            _log.warning(told, self._name, self._fault, pause_s)
            self.tried.set()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _live(self, mode: str) -> bool:
        """One connection from its beginning to its end. False: the server ended it before it was one."""
        self._ended = was_connected = closed = False
        self._news.clear()
        try:
            async with self._connected(mode) as client:
                was_connected = True
                await self._follow(client)
        except Exception as fault:  # noqa: BLE001 - whatever a foreign server or its transport does
            leaf = _leaf(fault)
            closed = isinstance(leaf, MCPError) and leaf.code == wire.CONNECTION_CLOSED
            self._end(_words(leaf))
        finally:
            self._client = None
        _raise_if_cancelled()
        return was_connected or not closed

    @asynccontextmanager
    async def _connected(self, mode: str) -> AsyncGenerator[Client]:
        async with Client(
            streams(self._definition, self._end),
            mode=mode,
            cache=None,
            read_timeout_seconds=_ANSWER_S,
            message_handler=self._notice,
        ) as client:
            await self._read_list(client)
            if not self._ended:
                self._client = client
            _log.info("the MCP server %s is connected and offers %d tools", self._name, len(self.tools))
            self.tried.set()
            yield client

    async def _follow(self, client: Client) -> None:
        """Read the list again whenever it changes, until the connection ends."""
        subscribes = _announces(client)
        while not self._ended:
            if subscribes:
                try:
                    async with client.listen(tools_list_changed=True) as changes:
                        # It may have changed before this began.
                        await self._read_list(client)
                        async for _ in changes:
                            await self._read_changed(client)
                except SubscriptionLost:
                    pass
                except (MCPError, TimeoutError):
                    subscribes = False
                await self._told_within(_FIRST_PAUSE_S)
            elif await self._told_within(None):
                await self._read_changed(client)

    async def _told_within(self, seconds: float | None) -> bool:
        """Wait for news of the list or of the connection's end; whether there is a list to be read again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()
        return not self._ended

    async def _read_changed(self, client: Client) -> None:
        """Twice a second at most, however often a server says that its list has changed."""
        await self._read_list(client)
        await asyncio.sleep(_FIRST_PAUSE_S)

    async def _read_list(self, client: Client) -> None:
        listed: list[wire.Tool] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            listed += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
        if listed != self._listed:
            self._listed = listed
            self.tools = tools_of(self._definition, listed, self.call, self.tools)

    async def _notice(self, message: IncomingMessage) -> None:
        match message:
            case wire.ToolListChangedNotification():
                self._news.set()
            case Exception():
                _log.debug("the MCP server %s wrote what is no message", self._name)
            case _:
                pass

    def _end(self, why: str) -> None:
        """From now on calls are refused; `keep` leaves the connection."""
        if not self._ended:
            self._client, self._fault, self._ended = None, why, True
            self._news.set()


def _announces(client: Client) -> bool:
    """Whether the server tells of changes only to those who subscribe to them."""
    tools = client.server_capabilities.tools
    return client.protocol_version in MODERN_PROTOCOL_VERSIONS and tools is not None and bool(tools.list_changed)


def _raise_if_cancelled() -> None:
    """A connection that breaks while we are cancelled may raise its own error in place of ours."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _leaf(fault: BaseException) -> BaseException:
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return fault


def _words(fault: BaseException) -> str:
    """Why a connection failed, without what a library may put into its words (a URL with a token, a header)."""
    match fault:
        case MCPError(code=wire.PARSE_ERROR):
            return "its answer is not what the protocol asks for"
        case MCPError():
            return one_line(fault.message)
        case OSError():
            return f"it cannot be started: {fault.strerror or type(fault).__name__}"
        case httpx2.TransportError():
            return f"it cannot be reached ({type(fault).__name__})"
        case ValidationError():
            return "its answer is not what the protocol asks for"
        case _:
            return type(fault).__name__
