"""The command line, `voice-gateway`. An option stands over its VOICE_ setting; a fault is one line and an exit code."""

import asyncio
import errno
import os
import sys
from contextlib import suppress
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Annotated

import typer

from gateway.bench.command import bench
from gateway.probe import health
from gateway.stored import DataDir, jobs_app, keys_app
from voice_agent import lifeline as lifelines
from voice_agent import logs
from voice_agent.config import ConfigError, read_settings
from voice_agent.store.base import StoreDown, StoreError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="A real-time voice agent gateway."
)
app.add_typer(keys_app, name="keys")
app.add_typer(jobs_app, name="jobs")
app.command()(bench)
app.command()(health)

Host = Annotated[str | None, typer.Option(help="Address to listen on (VOICE_HOST).", show_default="127.0.0.1")]
Port = Annotated[int | None, typer.Option(help="Port, 0 for a free one (VOICE_PORT).", show_default="8080")]
Agents = Annotated[Path | None, typer.Option(help="A directory of agents, *.toml, which is watched (VOICE_AGENTS).")]
Tools = Annotated[list[str] | None, typer.Option(help="A Python module of tools; may be repeated (VOICE_TOOLS).")]
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
def serve(
    host: Host = None, port: Port = None, data_dir: DataDir = None, agents: Agents = None, tools: Tools = None
) -> None:
    """Run everything: the store, the gateway and the worker. This is what `make run` calls."""
    from gateway.serving import serve as run

    settings = read_settings(host=host, port=port, data=data_dir, agents=agents, tools=tools or None)
    logs.configure("supervisor", settings.log_level)
    raise typer.Exit(asyncio.run(run(settings)))


@app.command()
def gateway(  # noqa: PLR0913 - a command's arguments are its options
    *,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    agents: Agents = None,
    tools: Tools = None,
    again: Annotated[bool, typer.Option("--again", hidden=True)] = False,
    lifeline: Lifeline = None,
) -> None:
    """Run the gateway process alone."""
    import uvloop

    from gateway.app import serve as run

    settings = read_settings(host=host, port=port, data=data_dir, agents=agents, tools=tools or None)
    logs.configure("gateway", settings.log_level)
    if lifeline is not None:
        lifelines.follow(lifeline)
    uvloop.run(run(settings, again))


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
def simulate(  # noqa: PLR0913, PLR0917 - one for each option
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port, 0 for a free one.", min=0, max=65535)] = 8081,
    first_token_ms: Annotated[float | None, typer.Option(help="Delay of the first token.", min=0)] = None,
    token_ms: Annotated[float | None, typer.Option(help="Delay between tokens.", min=0)] = None,
    stall_share: Annotated[float, typer.Option(help="Share of requests that stall.", min=0, max=1)] = 0.0,
    stall_ms: Annotated[float, typer.Option(help="Delay of a stalled request's first token.", min=0)] = 8000,
    lifeline: Lifeline = None,
) -> None:
    """Serve the simulated model over HTTP: Chat Completions, Anthropic Messages and OpenAI Responses."""
    import uvicorn

    from gateway.address import listen, url_of
    from voice_agent.llm.simulated.server import Stalls, create_app

    settings = read_settings(simulated_first_token_ms=first_token_ms, simulated_token_ms=token_ms)
    logs.configure("simulate", settings.log_level)
    if lifeline is not None:
        lifelines.follow(lifeline)
    stalls = Stalls(stall_share, stall_ms) if stall_share else None
    model = create_app(settings.simulated_first_token_ms, settings.simulated_token_ms, stalls)
    with listen(host, port) as bound:
        where = url_of(host, bound.getsockname()[1])
        print(f"the simulated model answers at {where}/v1: OPENAI_BASE_URL={where}/v1 OPENAI_API_KEY=any")
        print(f"and in Anthropic's format: ANTHROPIC_BASE_URL={where} ANTHROPIC_API_KEY=any", flush=True)
        with suppress(KeyboardInterrupt):  # uvicorn stops by itself, then raises what it was stopped by
            uvicorn.Server(uvicorn.Config(model, log_config=None, timeout_graceful_shutdown=1)).run(sockets=[bound])
