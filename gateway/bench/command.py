"""The command `voice-gateway bench`: its options, and where the figures go."""

import asyncio
import signal
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from voice_agent.config import ConfigError

if TYPE_CHECKING:
    from gateway.bench.outcomes import Outcome, ScenarioName
    from gateway.bench.plan import Plan
    from gateway.bench.report import Notes

URL_WORDS = "Say one short sentence about the sea."
Url = Annotated[str | None, typer.Option(help="The gateway to load.", show_default=False)]
Self = Annotated[bool, typer.Option("--self", help="Start the product with a simulated provider, and load that.")]
Json = Annotated[str | None, typer.Option("--json", help="Write the figures to this file; `-`: to standard output.")]
FirstToken = Annotated[
    float | None, typer.Option(help="--self: delay of the provider's first token.", show_default="100")
]
Scenario = Annotated[
    Literal["stalls", "speculation", "bargein"] | None,
    typer.Option(help="Start the product, and play this with its provider.", show_default=False),
]
Say = Annotated[str | None, typer.Option(help="--url: what the callers say.", show_default=URL_WORDS)]


def bench(  # noqa: PLR0913, PLR0917 - one for each option
    url: Url = None,
    itself: Self = False,
    scenario: Scenario = None,
    agent: Annotated[str | None, typer.Option(help="--url: the agent to talk to.", show_default="demo")] = None,
    sessions: Annotated[int, typer.Option(help="Sessions at the same time.")] = 50,
    turns: Annotated[int, typer.Option(help="Turns of each session that are measured.")] = 10,
    interval: Annotated[float, typer.Option(help="Seconds from one turn of a session to the next.")] = 2.0,
    warm_up: Annotated[int, typer.Option(help="Turns of each session before, which count for nothing.")] = 2,
    history: Annotated[int, typer.Option(help="Messages that every second session has behind it.")] = 0,
    say: Say = None,
    protocol: Annotated[Literal["native", "chat"], typer.Option(help="voice.v1 or Chat Completions.")] = "native",
    key: Annotated[str | None, typer.Option(help="--url: an API key (VOICE_API_KEY).", show_default=False)] = None,
    first_token_ms: FirstToken = None,
    token_ms: Annotated[float | None, typer.Option(help="--self: delay between its tokens.", show_default="10")] = None,
    tokens: Annotated[int | None, typer.Option(help="--self: tokens of a reply.", show_default="40")] = None,
    awake: Annotated[bool, typer.Option(help="--self: keep the gateway's core from sleeping.")] = True,
    json: Json = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the first tokens' latencies into this PNG.")] = None,
) -> None:
    """Measure a gateway under load: what it adds to a provider's latency, barge-in, CPU and memory."""
    from gateway.bench.plan import OWN_AGENT, Pace, Plan
    from voice_agent.config import read_settings

    if scenario is not None:
        given: dict[str, object] = {
            "--url": url,
            "--agent": agent,
            "--key": key,
            "--say": say,
            "--first-token-ms": first_token_ms,
        }
        given |= {
            "--token-ms": token_ms,
            "--tokens": tokens,
            "--plot": plot and str(plot),
            "--history": history or None,
        }
        _ignored("--scenario", given | {"--protocol": None if protocol == "native" else protocol})
        itself = True
    _one_target(url, itself)
    if itself:
        _ignored("--self", {"--agent": agent, "--key": key, "--say": say})
    else:
        _ignored("--url", {"--first-token-ms": first_token_ms, "--token-ms": token_ms, "--tokens": tokens})
    count = 40 if tokens is None else tokens
    after, each = 100 if first_token_ms is None else first_token_ms, 10 if token_ms is None else token_ms
    plan = Plan(
        url=url,
        agent=OWN_AGENT if itself else agent or "demo",
        protocol=protocol,
        sessions=sessions,
        turns=turns,
        interval_s=interval,
        warm_up=warm_up,
        history=history,
        say=(f"!stamps {count}" if itself else URL_WORDS) if say is None else say,
        pace=Pace(after, each, count) if itself else None,
        awake=awake,
    )
    _check(plan, json, plot)
    if scenario is not None:
        raise typer.Exit(_tell_outcome(_play(scenario, plan), json))
    notes = _run(plan, key or (None if itself else read_settings().api_key))
    raise typer.Exit(_tell(plan, notes, json, plot))


def _one_target(url: str | None, itself: bool) -> None:
    if (url is not None) == itself:
        raise ConfigError("give either --url, the gateway to load, or --self")


def _ignored(mode: str, given: Mapping[str, object]) -> None:
    """Raise ConfigError for options that would change nothing."""
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise ConfigError(f"{', '.join(names)} cannot be given together with {mode}")


def _check(plan: "Plan", json: str | None, plot: Path | None) -> None:
    """Raise ConfigError for what would fail only at the end, or not say why."""
    from gateway.bench import picture
    from gateway.bench.plan import faults
    from gateway.bench.where import Address

    if plan.pace is not None and plan.protocol == "chat":
        raise ConfigError("--self measures voice.v1; --protocol chat goes with --url")
    found = faults(plan)
    if plan.url is not None and (fault := Address(plan.url, plan.agent, None).fault()):
        found.append(fault)
    for option, file in (("--json", None if json in (None, "-") else Path(json or "")), ("--plot", plot)):
        if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
            found.append(f"{option}: {file} cannot be written, as {_missing(file)}")
    if plot is not None and (fault := picture.missing()):
        found.append(fault)
    if found:
        raise ConfigError("; ".join(found))
    _make_room(plan)


def _missing(file: Path) -> str:
    return "it is a directory" if file.is_dir() else f"there is no directory {file.parent}"


def _make_room(plan: "Plan") -> None:
    """Take the descriptors that are needed as far as the system grants them; children inherit that."""
    import resource  # not on every system

    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY or plan.descriptors <= allowed:
        return
    if most != resource.RLIM_INFINITY and plan.descriptors > most:
        raise ConfigError(
            f"--sessions: {plan.sessions} sessions need {plan.descriptors} open files in one process, and this system "
            f"allows {most} (ulimit -Hn)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (plan.descriptors, most))


def _run(plan: "Plan", key: str | None) -> "Notes":
    from gateway.bench.report import Notes
    from gateway.bench.run import run

    notes = Notes()
    _until_stopped(run(plan, key, notes, _say), notes)
    return notes


def _play(scenario: "ScenarioName", plan: "Plan") -> "Outcome":
    from gateway.bench.report import Notes
    from gateway.bench.scenarios import play_scenario

    made: list[Outcome] = []

    async def play() -> None:
        made.append(await play_scenario(scenario, plan, _say))

    _until_stopped(play(), Notes())
    return made[0]


def _until_stopped(work: Coroutine[Any, Any, None], notes: "Notes") -> None:
    import uvloop

    async def until_stopped() -> None:
        task = asyncio.current_task()
        assert task is not None

        def stop(number: signal.Signals) -> None:
            notes.stopped, notes.fault = number, f"stopped by {number.name}; the figures are those until then"
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        await work

    try:
        uvloop.run(until_stopped())
    except asyncio.CancelledError:
        if not notes.measured:
            sys.stderr.write("voice-gateway: stopped before anything was measured\n")
            raise typer.Exit(128 + notes.stopped) from None


def _say(words: str) -> None:
    sys.stderr.write(f"bench: {words}\n")
    sys.stderr.flush()


def _tell_outcome(made: "Outcome", json: str | None) -> int:
    """As `_tell`."""
    from rich.console import Console

    from gateway.bench.report import document
    from gateway.bench.table import show_outcome

    show_outcome(made, Console(highlight=False, stderr=json == "-"))
    if json == "-":
        sys.stdout.write(document(made).decode())
    elif json is not None:
        Path(json).write_bytes(document(made))
    if made.said is not None:
        sys.stderr.write(f"voice-gateway: {made.said}\n")
    return made.exit_code


def _tell(plan: "Plan", notes: "Notes", json: str | None, plot: Path | None) -> int:
    """Write all that is asked for; returns the exit code."""
    from rich.console import Console

    from gateway.bench import figures, picture
    from gateway.bench.report import document, first_tokens, report
    from gateway.bench.table import show

    made = report(plan, notes)
    show(made, Console(highlight=False, stderr=json == "-"))
    if json == "-":
        sys.stdout.write(document(made).decode())
    elif json is not None:
        Path(json).write_bytes(document(made))
    if plot is not None:
        picture.draw(first_tokens(notes), made, plot)
    if robbed := figures.robbed(made.stolen_percent):
        _say(robbed)
    if made.said is not None:
        sys.stderr.write(f"voice-gateway: {made.said}\n")
    return made.exit_code
