"""`--self`: simulator, store, gateway and worker, each a process of its own, in a directory that goes with them.

Each child holds the read end of a pipe whose other end is ours: none outlives the benchmark, however that ends.
"""

import asyncio
import os
import re
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

from gateway.address import listen, url_of
from gateway.bench import machine
from gateway.bench.plan import OWN_AGENT, BenchError, Pace
from voice_agent.config import Settings, inherited, read_settings
from voice_agent.llm.wire import Endpoint, Http, Pool
from voice_agent.store.attach import attached
from voice_agent.store.server import read_server

HOST = "127.0.0.1"
START_S = 30.0
STOP_S = 5.0
POLL_S = 0.02
# A connection may be seen to end before the process at its other end is.
DEATH_LOOKS = 20
_PROVIDER = re.compile(r"OPENAI_BASE_URL=(\S+)\s")
_TOOLS = ["search_memory", "get_time", "set_reminder", "end_call"]
_SYSTEM = "You are a friendly voice agent. You are heard, not read: answer in one or two short sentences."


class Household(msgspec.Struct, frozen=True):
    """The running product. `provider`: the simulator's base URL; `engine`: the store's server; `placement`: who runs
    on which core; `died()`: which process has ended, and how, or None."""

    url: str
    provider: str
    pids: dict[str, int]
    engine: str
    placement: str
    died: Callable[[], Awaitable[str | None]]


class _Starter:
    """Starts processes that are bound to this one, and stops them."""

    def __init__(self, folder: Path, lifeline: int) -> None:
        self._folder = folder
        self._lifeline = lifeline
        self._running: dict[str, Process] = {}

    async def start(self, name: str, *words: str, **settings: str) -> Process:
        """`python -m WORDS`, what it prints in NAME.out and NAME.log."""
        command = (sys.executable, "-P", "-m", *words, "--lifeline", str(self._lifeline))
        with self._file(f"{name}.out") as out, self._file(f"{name}.log") as errors:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=DEVNULL, stdout=out, stderr=errors, pass_fds=(self._lifeline,), start_new_session=True,
                env=inherited(**settings),
            )  # fmt: skip
        self._running[name] = process
        return process

    async def died(self) -> str | None:
        """Which process has ended, with its last words; None if none does so within a moment."""
        for _ in range(DEATH_LOOKS):
            told = self._dead()
            if told is not None:
                return told
            await asyncio.sleep(POLL_S)
        return None

    def _dead(self) -> str | None:
        for name, process in self._running.items():
            if process.returncode is not None:
                last = (self._folder / f"{name}.log").read_text(errors="replace").strip().rpartition("\n")[2]
                return f"the {name} process ended with code {process.returncode}" + (f": {last}" if last else "")
        return None

    async def until(self, holds: Callable[[], Awaitable[bool]], name: str) -> None:
        """Wait for a process's start. Raises BenchError if one ends in its place, or if it takes too long."""
        try:
            async with asyncio.timeout(START_S):
                while not await holds():
                    fault = self._dead()
                    if fault is not None:
                        raise BenchError(fault)
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise BenchError(f"the {name} process is not ready after {START_S:g} s") from None

    def pids(self) -> dict[str, int]:
        """The process ids by name."""
        return {name: process.pid for name, process in self._running.items()}

    async def stop(self) -> None:
        """Stop all at once, by force after a while."""
        running = [process for process in self._running.values() if process.returncode is None]
        for process in running:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                for process in running:
                    await process.wait()
        except TimeoutError:
            for process in running:
                if process.returncode is None:
                    process.kill()
                    await process.wait()

    def _file(self, name: str) -> IO[bytes]:
        return (self._folder / name).open("wb")


@asynccontextmanager
async def household(
    pace: Pace, keeps_history: bool, awake: bool, http: Http, options: tuple[str, ...] = ()
) -> AsyncIterator[Household]:
    """The product and its simulated provider, which takes `options`, ready for callers; all gone at the end.

    `awake`: the gateway's core is kept from sleeping. Raises BenchError, StoreError.
    """
    reading, writing = os.pipe()
    try:
        with tempfile.TemporaryDirectory(prefix="voice-bench-", ignore_cleanup_errors=True) as made:
            folder = Path(made)
            starter = _Starter(folder, reading)
            # The product's defaults, whatever is set for a gateway of the user's own.
            settings = Settings.model_construct(data=folder / "data", redis_bin=read_settings().redis_bin)
            async with attached(settings) as store:
                server = await read_server(store)
                pids = {"store": int((await store.call("INFO", "server"))["process_id"])}
                try:
                    provider = await _simulate(pace, options, starter, folder)
                    url = await _serve(starter, folder / "data", provider, http)
                    pids |= starter.pids()
                    await _make_agent(http, url, keeps_history)
                    engine = f"{server.engine} {server.version}"
                    placement = await _place(pids, starter if awake else None)
                    yield Household(url, provider, pids, engine, placement, starter.died)
                finally:
                    await starter.stop()
            await _gone(pids["store"])
    finally:
        os.close(writing)
        os.close(reading)


async def _simulate(pace: Pace, options: tuple[str, ...], starter: _Starter, folder: Path) -> str:
    words = ("--port", "0", "--first-token-ms", f"{pace.first_token_ms:g}", "--token-ms", f"{pace.token_ms:g}")
    await starter.start("simulator", "gateway", "simulate", *words, *options)

    async def speaks() -> bool:
        return _PROVIDER.search((folder / "simulator.out").read_text()) is not None

    await starter.until(speaks, "simulator")
    found = _PROVIDER.search((folder / "simulator.out").read_text())
    assert found is not None
    return found[1]


async def _serve(starter: _Starter, data: Path, provider: str, http: Http) -> str:
    with listen(HOST, 0) as bound:
        port = bound.getsockname()[1]
    settings = {
        "OPENAI_BASE_URL": provider,
        "OPENAI_API_KEY": "bench-key",
        "VOICE_MODEL": "openai/simulated",
        "VOICE_LOG_LEVEL": "warning",
    }
    words = ("--host", HOST, "--port", str(port), "--data-dir", str(data))
    await starter.start("gateway", "gateway", "gateway", *words, **settings)
    await starter.start("worker", "sleeptime", "--data-dir", str(data), **settings)
    url = url_of(HOST, port)
    door = Pool(http, Endpoint("gateway", url))

    async def is_ready() -> bool:
        return await door.get("/readyz") != b""

    await starter.until(is_ready, "gateway")
    return url


async def _make_agent(http: Http, url: str, keeps_history: bool) -> None:
    agent: dict[str, Any] = {"id": OWN_AGENT, "name": "Bench", "system": _SYSTEM, "tools": _TOOLS}
    agent["voice"] = {"fillers": [], "idle_reminder_s": None}  # what is measured are the model's words
    if keeps_history:  # a history of a given length is one from which nothing is taken away
        agent |= {"buffer": {"max": 1000, "min": 999}, "sleeptime": {"idle_after_s": 86_400}}
    async with Pool(http, Endpoint("gateway", url)).post("/v1/agents", msgspec.json.encode(agent)) as made:
        await made.read()
        if made.status != 201:
            raise BenchError(f"the benchmark's agent could not be made (status {made.status})")


async def _place(pids: Mapping[str, int], starter: _Starter | None) -> str:
    """Give the gateway a core of its own, which is kept awake if there is a starter, and another to the load's."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        return "wherever the system puts them: no process was bound to a core"
    for pid, core in ((pids["gateway"], cores[0]), (pids["simulator"], cores[1]), (os.getpid(), cores[1])):
        machine.pin(pid, {core})
    kept = ""
    if starter is not None:
        await starter.start("awake", "gateway.bench.awake", "--core", str(cores[0]))
        kept = ", which is kept awake"
    others = f"simulator and load on core {cores[1]}, store and worker wherever there is room"
    return f"gateway on core {cores[0]}{kept}, {others}"


async def _gone(pid: int) -> None:
    """Until the store's server has ended: it writes to its directory to the last."""
    for _ in range(int(STOP_S / POLL_S)):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        await asyncio.sleep(POLL_S)
