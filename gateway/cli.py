"""The command line, `voice-gateway`. An option stands over its VOICE_ setting; a fault is one line and an exit code."""

import asyncio
import errno
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gateway.bench.command import bench
from gateway.probe import health
from voice_agent import lifeline as lifelines
from voice_agent import logs
from voice_agent.clock import SystemClock
from voice_agent.config import ConfigError, read_settings
from voice_agent.store.base import StoreDown, StoreError

if TYPE_CHECKING:
    from gateway.auth import Keys
    from voice_agent.store.memory import DeadJob, MemoryStore

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="A real-time voice agent gateway."
)
keys_app = typer.Typer(no_args_is_help=True, help="API keys: who may come in.")
app.add_typer(keys_app, name="keys")
jobs_app = typer.Typer(no_args_is_help=True, help="Sleeptime jobs that were given up: look, try again, drop.")
app.add_typer(jobs_app, name="jobs")
app.command()(bench)
app.command()(health)

T = TypeVar("T")
Host = Annotated[str | None, typer.Option(help="Address to listen on (VOICE_HOST).", show_default="127.0.0.1")]
Port = Annotated[int | None, typer.Option(help="Port, 0 for a free one (VOICE_PORT).", show_default="8080")]
DataDir = Annotated[Path | None, typer.Option(help="Where the embedded store lives (VOICE_DATA).")]
JobId = Annotated[str, typer.Argument(help="As `jobs list` shows it.")]
Lifeline = Annotated[int | None, typer.Option("--lifeline", hidden=True)]


def main() -> None:
    """Run the command line. Every expected fault becomes one line on stderr: code 2 for configuration, 1 otherwise."""
    try:
        app()
    except Exception as fault:
        told = explain(fault)
        if told is None:
            raise
        line, code = told
        sys.stderr.write(f"voice-gateway: {line}\n")
        sys.exit(code)


def explain(fault: BaseException) -> tuple[str, int] | None:
    """What to say of a fault, and the exit code; None for one that is a bug and deserves its traceback."""
    from gateway.bench.plan import BenchError
    from gateway.chat import ChatError

    match fault:
        case BaseExceptionGroup():
            told = [explain(one) for one in fault.exceptions]
            return None if None in told else told[0]
        case ConfigError():
            return str(fault), 2
        case StoreDown() | ChatError() | BenchError():
            return str(fault), 1
        case StoreError():  # a data directory or a server that cannot be used will not become usable by trying again
            return str(fault), 2
        case BrokenPipeError():
            return "nobody reads the output", 1
        case OSError():
            where = f": {fault.filename}" if fault.filename else ""
            return f"{fault.strerror or fault}{where}", 2 if fault.errno == errno.EADDRINUSE else 1
        case _:
            return None


def _version(asked: bool) -> None:
    if asked:
        print(f"voice-gateway {version_of('voice-agent-gateway')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options that stand before every command; `--version` has done its work in the callback."""


@app.command()
def serve(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Run everything: the store, the gateway and the worker. This is what `make run` calls."""
    from gateway.serving import serve as run

    settings = read_settings(host=host, port=port, data=data_dir)
    logs.configure("supervisor", settings.log_level)
    raise typer.Exit(asyncio.run(run(settings)))


@app.command()
def gateway(host: Host = None, port: Port = None, data_dir: DataDir = None, lifeline: Lifeline = None) -> None:
    """Run the gateway process alone."""
    import uvloop

    from gateway.app import serve as run

    settings = read_settings(host=host, port=port, data=data_dir)
    logs.configure("gateway", settings.log_level)
    if lifeline is not None:
        lifelines.follow(lifeline)
    uvloop.run(run(settings))


@app.command()
def sleeptime(data_dir: DataDir = None) -> None:
    """Run the memory worker alone."""
    where = [] if data_dir is None else ["--data-dir", str(data_dir)]
    os.execv(sys.executable, [sys.executable, "-P", "-m", "sleeptime", *where])


@app.command()
def chat(
    agent: Annotated[str, typer.Option(help="The agent to talk to.")] = "demo",
    user: Annotated[str | None, typer.Option(help="Who you are: each user has a conversation of their own.")] = None,
    url: Annotated[str | None, typer.Option(help="The gateway.", show_default="http://VOICE_HOST:VOICE_PORT")] = None,
    key: Annotated[str | None, typer.Option(help="An API key (VOICE_API_KEY).", show_default=False)] = None,
) -> None:
    """Talk to an agent in the terminal. Ctrl-C interrupts it, once more leaves."""
    from gateway.address import url_of
    from gateway.chat import Target
    from gateway.chat import chat as run

    settings = read_settings()
    where = url or url_of(settings.host, settings.port)
    asyncio.run(run(Target(where, agent, user, key or settings.api_key)))


@app.command()
def simulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port, 0 for a free one.", min=0, max=65535)] = 8081,
    first_token_ms: Annotated[float | None, typer.Option(help="Delay of the first token.", min=0)] = None,
    token_ms: Annotated[float | None, typer.Option(help="Delay between tokens.", min=0)] = None,
    lifeline: Lifeline = None,
) -> None:
    """Serve the simulated model over HTTP: Chat Completions, Anthropic Messages and OpenAI Responses."""
    import uvicorn

    from gateway.address import listen, url_of
    from voice_agent.llm.simulated.server import create_app

    settings = read_settings(simulated_first_token_ms=first_token_ms, simulated_token_ms=token_ms)
    logs.configure("simulate", settings.log_level)
    if lifeline is not None:
        lifelines.follow(lifeline)
    model = create_app(settings.simulated_first_token_ms, settings.simulated_token_ms)
    with listen(host, port) as bound:
        where = url_of(host, bound.getsockname()[1])
        print(f"the simulated model answers at {where}/v1: OPENAI_BASE_URL={where}/v1 OPENAI_API_KEY=any")
        print(f"and in Anthropic's format: ANTHROPIC_BASE_URL={where} ANTHROPIC_API_KEY=any", flush=True)
        with suppress(KeyboardInterrupt):  # uvicorn stops by itself, then raises what it was stopped by
            uvicorn.Server(uvicorn.Config(model, log_config=None, timeout_graceful_shutdown=1)).run(sockets=[bound])


@asynccontextmanager
async def _keys(data_dir: Path | None) -> "AsyncIterator[Keys]":
    from gateway.auth import Keys
    from voice_agent.store.attach import attached
    from voice_agent.store.directory import RedisDirectory

    async with attached(read_settings(data=data_dir)) as connection:
        yield Keys(RedisDirectory(connection), SystemClock())


@keys_app.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="What the key is for.")] = "unnamed", data_dir: DataDir = None
) -> None:
    """Make an API key and show it, once. From the first key on, callers need one."""

    async def run() -> None:
        async with _keys(data_dir) as keys:
            made = await keys.create(name)
        print(made.key)
        sys.stderr.write(
            f"Key {made.id} ({name}). It is not shown again; `voice-gateway keys revoke {made.id}` ends it.\n"
        )

    asyncio.run(run())


@keys_app.command("list")
def keys_list(data_dir: DataDir = None) -> None:
    """List the API keys: id, when it was made, what it is for."""

    async def run() -> None:
        async with _keys(data_dir) as keys:
            for row in await keys.list():
                print(f"{row.id}  {_time(row.created_at)}  {row.name}")

    asyncio.run(run())


@keys_app.command("revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(help="As `keys list` shows it.")], data_dir: DataDir = None
) -> None:
    """Shut a key out, from the next request on."""

    async def run() -> bool:
        async with _keys(data_dir) as keys:
            revoked = await keys.revoke(key_id)
            if revoked and not await keys.list():
                sys.stderr.write("That was the last key: on loopback the gateway now lets everybody in.\n")
            return revoked

    if not asyncio.run(run()):
        sys.stderr.write(
            f"voice-gateway: there is no key with the id {key_id!r}; `voice-gateway keys list` shows them\n"
        )
        raise typer.Exit(1)


# As many dead letters as are listed and searched, newest first.
MOST_JOBS = 1000


def _on_memory(data_dir: Path | None, do: Callable[["MemoryStore"], Awaitable[T]]) -> T:
    async def run() -> T:
        from voice_agent.store.attach import attached
        from voice_agent.store.redis_memory import RedisMemory

        async with attached(read_settings(data=data_dir)) as connection:
            return await do(RedisMemory(connection))

    return asyncio.run(run())


def _dead_jobs(data_dir: Path | None) -> "tuple[DeadJob, ...]":
    return _on_memory(data_dir, lambda memory: memory.dead_jobs(MOST_JOBS))


def _no_such_job(job_id: str) -> typer.Exit:
    sys.stderr.write(f"voice-gateway: there is no dead letter {job_id!r}; `voice-gateway jobs list` shows them\n")
    return typer.Exit(1)


@jobs_app.command("list")
def jobs_list(data_dir: DataDir = None) -> None:
    """List the jobs that were given up, newest first: id, when, agent and user, why."""
    from gateway.talk import printable

    for job in _dead_jobs(data_dir):
        line = f"{job.id}  {_time(job.at)}  {job.pair.agent}/{job.pair.user}  {job.reason}"
        print(" ".join(printable(line).splitlines()))


@jobs_app.command("show")
def jobs_show(job_id: JobId, data_dir: DataDir = None) -> None:
    """Show why a job was given up, whose memory it was for, and how often it was tried."""
    from gateway.talk import printable

    for job in _dead_jobs(data_dir):
        if job.id == job_id:
            told = (
                ("id", job.id), ("agent", job.pair.agent), ("user", job.pair.user), ("deliveries", job.deliveries),
                ("given up", _time(job.at)), ("reason", job.reason),
            )  # fmt: skip
            for name, value in told:
                print(f"{name + ':':<12}{printable(str(value))}")
            return
    raise _no_such_job(job_id)


@jobs_app.command("retry")
def jobs_retry(job_id: JobId, data_dir: DataDir = None) -> None:
    """Raise the job again: a worker takes it up from where memory stood before."""
    if not _on_memory(data_dir, lambda memory: memory.retry_job(job_id)):
        raise _no_such_job(job_id)


@jobs_app.command("drop")
def jobs_drop(job_id: JobId, data_dir: DataDir = None) -> None:
    """Forget a dead letter. What was said stays in the log, and can be found."""
    if not _on_memory(data_dir, lambda memory: memory.drop_job(job_id)):
        raise _no_such_job(job_id)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
