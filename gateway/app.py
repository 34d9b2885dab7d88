"""The gateway process: every object is built here and nowhere else, and every task has its owner here."""

import asyncio
import gc
import logging
import os
import secrets
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from socket import gethostname, socket
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry
from starlette.routing import Route, Router, WebSocketRoute
from starlette.types import ASGIApp

from gateway import console
from gateway.address import listen
from gateway.agent_files import AgentFiles
from gateway.api.http import Services, build_api
from gateway.auth import Doors, is_loopback, refuse_open_door
from gateway.connection import SessionSocket
from gateway.equipment import Collaborators
from gateway.orders import Orders
from gateway.runs import Runs
from gateway.sessions import Sessions
from gateway.websocket import Protocol
from voice_agent.agent import Agent, InvalidAgentError
from voice_agent.agent_document import size_faults, validate_agent
from voice_agent.agent_parts import Voice
from voice_agent.clock import Clock, SystemClock
from voice_agent.config import ConfigError, Settings
from voice_agent.conversations import Conversations
from voice_agent.llm.catalogue import Catalogue
from voice_agent.llm.wire import Http
from voice_agent.memory.archives import Archives
from voice_agent.recovery import close_orphans
from voice_agent.retention import keep_to_retention
from voice_agent.store.attach import attached
from voice_agent.store.base import Owner, StoreError
from voice_agent.store.connection import Connection
from voice_agent.store.directory import RedisDirectory
from voice_agent.store.redis import RedisConversations
from voice_agent.store.redis_memory import RedisMemory
from voice_agent.store.redis_runs import RedisRuns
from voice_agent.telemetry import Telemetry
from voice_agent.tools.call import end_call, send_digits, transfer_call
from voice_agent.tools.demo import get_time, set_reminder
from voice_agent.tools.function import ToolFunction
from voice_agent.tools.mcp.definitions import read_definitions
from voice_agent.tools.mcp.servers import McpServers
from voice_agent.tools.memory import search_tool
from voice_agent.tools.modules import load_tools
from voice_agent.tools.outward import Guard
from voice_agent.tools.registry import ToolRegistry

log = logging.getLogger(__name__)
# Young objects are looked through in lots that take a few milliseconds; all of them, which takes a tenth of a second in
# a busy process, hardly ever: turns leave no cycles behind (`tests/test_garbage.py`).
_GC_THRESHOLDS = (5_000, 5, 1_000)

DEMO = Agent(
    id="demo",
    name="Demo",
    system=(
        "You are a friendly voice agent that people try out. You are heard, not read: answer in one or two short "
        "sentences, without lists or markup. When the caller says goodbye, end the call."
    ),
    tools=("search_memory", "get_time", "set_reminder", "end_call"),
    voice=Voice(idle_reminder_s=60),  # whoever tries it out types, which takes longer than to speak
)


async def serve(settings: Settings, again: bool = False) -> None:
    """Serve until SIGINT or SIGTERM. Raises ConfigError and StoreError at the start, naming what is wrong.

    `again`: this process takes the place of one that started well and has ended.
    """
    tools = load_tools(settings.tools, os.getcwd())
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with listen(settings.host, settings.port) as bound:
        async with attached(settings) as connection, Http() as http:
            # With the machine's name: on a shared store, the same port on two machines is two places.
            place = f"{gethostname()}/{settings.host}:{bound.getsockname()[1]}"
            gateway = Gateway(settings, connection, http, Owner(place, secrets.token_hex(8)), SystemClock(), tools)
            await gateway.prepare(again)
            # What is alive now lives as long as the process: a full collection need not walk it again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*_GC_THRESHOLDS)
            server = build_server(settings, gateway.app)
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(gateway.run())
                serving = tasks.create_task(_serve_when_ready(server, gateway, bound))
                await stop.wait()
                await gateway.close()
                server.should_exit = True
                if not server.started:
                    serving.cancel()
                await asyncio.wait((serving, running))


async def _serve_when_ready(server: uvicorn.Server, gateway: "Gateway", bound: socket) -> None:
    await gateway.ready()
    await server.serve(sockets=[bound])


class Gateway:
    """The objects of one gateway process."""

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        http: Http,
        owner: Owner,
        clock: Clock,
        tools: Iterable[ToolFunction] = (),
    ) -> None:
        """`tools` are known beside the product's own."""
        self._settings = settings
        self._clock = clock
        self._owner = owner
        self._store = RedisConversations(connection)
        self._directory = RedisDirectory(connection)
        self._doors = Doors(self._directory, clock, api_key=settings.api_key, loopback=is_loopback(settings.host))
        self._telemetry = Telemetry(CollectorRegistry())
        self._catalogue = Catalogue(settings, clock, http, self._telemetry.circuit)
        self._memory = RedisMemory(connection)
        self._archives = Archives(self._memory, clock)
        self._guard = Guard(settings.allowed_hosts)
        self._mcp = McpServers(read_definitions(settings.mcp_servers) if settings.mcp_servers else (), clock)
        self._tools = ToolRegistry(
            (search_tool(self._archives), get_time, set_reminder, end_call, transfer_call, send_digits, *tools),
            self._mcp,
        )
        self._conversations = Conversations(self._store, self._memory, self._archives.drop)
        parts = self._collaborators()
        self._sessions = Sessions(parts)
        orders = Orders(parts, settings.run_days, traced=settings.trace)
        self._runs = Runs(parts, RedisRuns(connection), orders)
        self._closing = asyncio.Event()
        self.app = self._build_app()
        self._files = AgentFiles(settings.agents, self._directory, self.validate) if settings.agents else None

    async def prepare(self, again: bool = False) -> None:
        """All that must hold before anybody is let in. `again`: as `serve` has it."""
        fault = self._catalogue.check(self._settings.default_model)
        if fault is not None:
            raise ConfigError(f"VOICE_MODEL: {fault}")
        refuse_open_door(self._settings.host, await self._doors.has_key())
        await self._store.beat(self._owner, self._settings.lease_ms)
        # What this place left open in its last life is closed now. Others get a lease's time to say that they live: a
        # store that was away has let all their leases run out.
        await close_orphans(self._store, self._conversations, self._clock.wall(), self._owner.slot)
        if not await self._directory.list_agents("", 1):
            await self._directory.write_agent(DEMO.id, DEMO.document(), 0)
        if self._files is not None:
            await self._files.load(again)

    async def run(self) -> None:
        """Until `close`."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sessions.run())
            tasks.create_task(self._runs.run())
            tasks.create_task(self._conversations.run())
            endless = [
                tasks.create_task(task) for task in (self._keep_alive(), self._conversations.follow(), self._mcp.run())
            ]
            keeping = keep_to_retention(self._directory, self._store, self._memory, self._clock)
            endless.append(tasks.create_task(keeping))
            if self._files is not None:
                endless.append(tasks.create_task(self._files.follow()))
            await self._closing.wait()
            for task in endless:
                task.cancel()

    async def ready(self) -> None:
        """While it runs: wait until tools from elsewhere are there, or are known to be away."""
        await self._mcp.ready()

    def validate(self, document: Mapping[str, Any]) -> Agent:
        """The agent that a definition describes. Raises InvalidAgentError with all faults at once."""
        known, default = self._tools.specs(self._tools.names()), self._settings.default_model
        agent = validate_agent(document, known, self._catalogue.check, self._guard.fault, default, self._tools.serves)
        # What its provider tells of a model counts as well.
        if faults := size_faults(agent, self._catalogue.context_window(agent.model or default)):
            raise InvalidAgentError(faults)
        return agent

    async def close(self) -> None:
        """End sessions and runs, wait until their last turns are stored, stop."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sessions.stop())
            tasks.create_task(self._runs.stop())
        await self._tools.close()
        self._conversations.stop()
        self._closing.set()

    async def _keep_alive(self) -> None:
        """Renew the lease, and close what other processes left open when theirs ran out."""
        lease_s = self._settings.lease_ms / 1000
        steady_since = self._clock.now()
        while True:
            await asyncio.sleep(lease_s / 3)
            try:
                await self._store.beat(self._owner, self._settings.lease_ms)
                if self._clock.now() - steady_since > lease_s:
                    await close_orphans(self._store, self._conversations, self._clock.wall())
            except StoreError as fault:
                steady_since = self._clock.now()
                log.warning("the lease was not renewed: %s", fault)

    def _collaborators(self) -> Collaborators:
        return Collaborators(
            store=self._store,
            directory=self._directory,
            conversations=self._conversations,
            catalogue=self._catalogue,
            tools=self._tools,
            guard=self._guard,
            archives=self._archives,
            telemetry=self._telemetry,
            clock=self._clock,
            owner=self._owner,
            default_model=self._settings.default_model,
            resume_s=self._settings.resume_s,
        )

    def _build_app(self) -> Router:
        services = Services(
            directory=self._directory,
            conversations=self._store,
            memory=self._memory,
            search=self._archives,
            runs=self._runs,
            clock=self._clock,
            doors=self._doors,
            validate=self.validate,
            render_metrics=self._telemetry.render,
            version=version("voice-agent-gateway"),
        )
        socket = SessionSocket(self._sessions, self._doors, self._settings, self._clock, self._telemetry)
        # Sockets go past the API: each of its layers would be on the stack of every call, for as long as it lasts.
        # The API has the last word on every path: a mount would let go those with a line break.
        return Router(
            [WebSocketRoute("/v1/agents/{agent_id}/session", socket), Route("/", console.page)],
            redirect_slashes=False,
            default=build_api(services),
        )


class _Server(uvicorn.Server):
    """The process has its own signal handlers, which end the sessions before the sockets."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def build_server(settings: Settings, app: ASGIApp) -> uvicorn.Server:
    """The server that answers for the process: its limits are the settings', and signals are not its business."""
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws=Protocol,
        ws_max_size=settings.max_frame_bytes,
        ws_per_message_deflate=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return _Server(config)
