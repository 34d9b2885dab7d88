"""`voice-gateway serve`: holds the store open, keeps gateway and worker running, and says when all is ready."""

import asyncio
import logging
import os
import shutil
import signal
import sys
from importlib.metadata import version
from pathlib import Path

import aiohttp

from gateway.address import listen, url_of
from gateway.auth import Keys
from gateway.banner import Facts, show
from gateway.supervisor import Child, Supervisor
from voice_agent.clock import SystemClock
from voice_agent.config import ConfigError, Settings
from voice_agent.llm.catalogue import model_fault
from voice_agent.llm.providers import read_providers
from voice_agent.store.attach import attached
from voice_agent.store.base import StoreDown, StoreError
from voice_agent.store.connection import Connection
from voice_agent.store.directory import RedisDirectory
from voice_agent.store.server import read_health

PROGRAM = "voice-gateway"
GATEWAY_GRACE_S = 8.0
WORKER_MARGIN_S = 1.0
MIND_STORE_S = 1.0
POLL_S = 0.05
POLL_TIMEOUT_S = 2.0
log = logging.getLogger(__name__)


async def serve(settings: Settings) -> int:
    """Run the product until SIGINT or SIGTERM; returns the exit code. Raises ConfigError or StoreError at the start."""
    with listen(settings.host, settings.port) as bound:  # says at once what is wrong, and chooses the port if it is 0
        port: int = bound.getsockname()[1]
    if (fault := model_fault(settings.default_model, read_providers(settings), settings)) is not None:
        raise ConfigError(f"VOICE_MODEL: {fault}")
    supervisor = Supervisor(_children(settings, port), SystemClock())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.stop)
    async with attached(settings) as connection:
        facts = await _facts(settings, url_of(settings.host, port), connection)
        async with asyncio.TaskGroup() as group:
            beside = (group.create_task(_announce(facts)), group.create_task(_mind_store(settings, connection)))
            code = await supervisor.run()
            for task in beside:
                task.cancel()
    return code


def _children(settings: Settings, port: int) -> tuple[Child, ...]:
    python = (sys.executable, "-P", "-m")  # -P: a directory named gateway where the command is called is not ours
    where = ("--data-dir", str(settings.data_dir))
    agents = () if settings.agents is None else ("--agents", str(settings.agents))
    tools = (word for module in settings.tools for word in ("--tools", module))
    gateway = (*python, "gateway", "gateway", "--host", settings.host, "--port", str(port), *where, *agents, *tools)
    worker = (*python, "sleeptime", *where)  # it finds the agents in the store, and runs none of their tools
    return Child("gateway", gateway, GATEWAY_GRACE_S, ("--again",)), Child(
        "worker", worker, settings.sleeptime_grace_s + WORKER_MARGIN_S
    )


async def _facts(settings: Settings, url: str, connection: Connection) -> Facts:
    keys = await Keys(RedisDirectory(connection), SystemClock()).list()
    return Facts(
        command=_command(),
        url=url,
        data=str(settings.data_dir) if settings.redis_url is None else f"at {connection.where}",
        health=await read_health(connection),
        model=settings.default_model,
        base_url=_base_url(settings),
        locked=bool(keys) or settings.api_key is not None,
        version=version("voice-agent-gateway"),
    )


def _base_url(settings: Settings) -> str:
    """Where the default model's provider is; nothing for the simulated model."""
    provider = read_providers(settings).get(settings.default_model.partition("/")[0])
    return "" if provider is None else provider.url


def _command() -> str:
    """What to type to call this program again from this directory: it need not be on PATH."""
    called = Path(sys.argv[0])
    if called.name != PROGRAM:
        return f"{sys.executable} -m gateway"
    found = shutil.which(PROGRAM)
    return PROGRAM if found and Path(found).samefile(called) else os.path.relpath(called)


async def _mind_store(settings: Settings, connection: Connection) -> None:
    """A killed embedded server is restarted by its keeper; one killed with its keeper, by attaching anew, for all.

    A server of the user's own is theirs to restart.
    """
    while settings.redis_url is None:
        await asyncio.sleep(MIND_STORE_S)
        try:
            await connection.call("PING")
        except StoreDown:
            await _attach_again(settings)


async def _attach_again(settings: Settings) -> None:
    try:
        async with attached(settings):
            log.info("the store was away and answers again")
    except StoreError as fault:
        log.warning("the store is away: %s", fault)


async def _announce(facts: Facts) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=POLL_TIMEOUT_S)) as http:
        while True:
            if await _ready(http, facts.url):
                return show(facts)
            await asyncio.sleep(POLL_S)


async def _ready(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(f"{url}/readyz") as reply:
            return reply.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
