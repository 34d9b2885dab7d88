"""`voice-gateway bench` as real processes: what it writes, its exit codes, and that nothing of it stays behind.

A busy machine may make the generator late: a run that is otherwise good then ends with code 3.
"""

import asyncio
import json
import os
import signal
import struct
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.commands import Ended, environment, run, started
from tests.processes import PATIENCE_S, all_gone, children, command, eventually, none_names, served, simulated
from tests.scripted import Line, scripted

_MEASURED = (0, 3)
_SMALL = ("--sessions", "4", "--turns", "2", "--warm-up", "1", "--interval", "0.4")
_QUICK = ("--first-token-ms", "4", "--token-ms", "2", "--tokens", "8")


async def _bench(*arguments: str, **settings: str) -> Ended:
    return await run("gateway", "bench", *arguments, **settings)


def _clean(told: Ended) -> None:
    """Whatever went wrong, it is told in one line, after those of the phases, and no traceback."""
    *phases, last = told.err.splitlines()
    assert [line for line in phases if not line.startswith("bench: ")] == []
    assert last.startswith("voice-gateway: ")


async def test_itself_is_measured_whole(tmp_path: Path) -> None:
    """Table, JSON and picture of one run; every turn is in the figures, and no process or file is left."""
    plot, figures = tmp_path / "out.png", tmp_path / "out.json"
    (tmp_path / "temporary").mkdir()
    told = await _bench(
        "--self", *_SMALL, *_QUICK, "--json", str(figures), "--plot", str(plot), TMPDIR=str(tmp_path / "temporary")
    )
    assert told.code in _MEASURED, told.err
    made = json.loads(figures.read_bytes())
    assert made["complete"] is True
    # Two phases of two turns: one measured, one of interrupts.
    assert made["turns"] == {"planned": 16, "ended": 16, "lost": 0, "failed": 0, "overdue": 0, "errors": {}}
    for who in ("gateway", "direct"):
        assert made[who]["added_first_token_ms"]["n"] == made[who]["first_reply_ms"]["n"] == 8
        assert made[who]["added_token_ms"]["n"] == 64
    assert made["commit"]["ms"]["n"] == 8
    assert (made["barge_in"]["ms"] or {"n": 0})["n"] + made["barge_in"]["missed"] == 4
    assert set(made["over_direct"]) == {"first_token_ms", "token_ms"}
    assert {"cpu", "cores", "kernel", "python", "voice-agent-gateway", "uvloop", "store"} <= set(made["machine"])
    assert [made[name] for name in ("with_history", "history_cost_ms", "history_cost_over_direct_ms")] == [None] * 3
    _shows(told.out, "4 sessions, a turn every 0.4 s, 8 tokens at 2 ms after 4 ms", "direct client", "turn commit")
    _shows(told.out, "16 of 16 ended", "4 turns before these", "machine", "placement")
    head = plot.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    assert min(struct.unpack(">II", head[16:])) > 500
    assert list((tmp_path / "temporary").glob("voice-bench-*")) == []
    await eventually(lambda: none_names(str(tmp_path)), "its processes are gone")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
async def test_on_linux_cpu_and_memory_are_told_for_each_process() -> None:
    """Behind a history the sessions have figures of their own, and JSON on standard output is JSON alone."""
    told = await _bench("--self", *_SMALL, *_QUICK, "--history", "4", "--json", "-")
    assert told.code in _MEASURED, told.err
    made = json.loads(told.out)
    assert set(made["cpu"]["ms_per_turn"]) == {"gateway", "store", "worker", "together"}
    assert made["cpu"]["ms_per_turn"]["gateway"] > 0
    assert set(made["cpu"]["core_percent"]) == {"load", "simulator", "gateway", "store", "worker"}
    assert set(made["cpu"]["waited_percent"]) <= set(made["cpu"]["core_percent"])
    assert "core 0" in made["stolen_percent"]
    assert made["memory"]["idle_sessions"] == 200
    assert made["memory"]["kib_per_session"] > 1
    assert (made["gateway"]["first_reply_ms"]["n"], made["with_history"]["first_reply_ms"]["n"]) == (4, 4)
    first, behind = (made[who]["added_first_token_ms"]["p50"] for who in ("gateway", "with_history"))
    assert made["history_cost_ms"] == pytest.approx(behind - first)
    assert made["history_cost_over_direct_ms"] is not None
    _shows(
        told.err,
        "the same, behind 4 messages",
        "4 messages cost ",
        "CPU per turn",
        "stolen by the host",
        "idle session",
    )


async def test_a_gateway_elsewhere_is_measured_from_outside(tmp_path: Path) -> None:
    """Over either protocol's address; CPU and memory are not told, for they are another's."""
    async with (
        simulated() as provider,
        served(tmp_path / "data", **provider, VOICE_MODEL="openai/simulated") as product,
    ):
        told = await _bench("--url", product.url, *_SMALL, "--say", "!stamps 12", "--json", "-")
        stranger = await _bench("--url", product.url, *_SMALL, "--agent", "nobody")
    assert told.code in _MEASURED, told.err
    made = json.loads(told.out)
    assert made["turns"] == {"planned": 16, "ended": 16, "lost": 0, "failed": 0, "overdue": 0, "errors": {}}
    assert made["gateway"]["added_first_token_ms"]["n"] == 8
    assert [made[name] for name in ("direct", "over_direct", "memory", "placement")] == [None] * 4
    assert stranger.code == 1
    _clean(stranger)
    assert "refused (404)" in stranger.err
    assert "--agent names the agent" in stranger.err


async def test_chat_completions_are_measured_at_any_server_of_them() -> None:
    """Of which the simulated model is one; a key it takes is sent."""
    async with simulated() as provider:
        url = provider["OPENAI_BASE_URL"]
        told = await _bench(
            "--url", url, "--protocol", "chat", *_SMALL, "--history", "6", "--say", "!stamps 5", "--json", "-"
        )
    assert told.code in _MEASURED, told.err
    made = json.loads(told.out)
    assert made["turns"] == {"planned": 8, "ended": 8, "lost": 0, "failed": 0, "overdue": 0, "errors": {}}
    assert made["gateway"]["added_token_ms"]["n"] == made["with_history"]["added_token_ms"]["n"] == 20
    assert made["barge_in"] is None
    assert made["commit"] == {"ms": None, "store_ms": None}


async def test_a_refused_key_is_told(tmp_path: Path) -> None:
    """Before anything is measured, over both protocols."""
    async with served(tmp_path / "data", VOICE_API_KEY="the-right-key", VOICE_MODEL="simulated") as product:
        wrong = await _bench("--url", product.url, *_SMALL, "--key", "the-wrong-key")
        right = await _bench("--url", product.url, *_SMALL, "--say", "hello", VOICE_API_KEY="the-right-key")
    assert wrong.code == 1
    _clean(wrong)
    assert "refused (401)" in wrong.err
    assert "wrong-key" not in wrong.err
    assert right.code in _MEASURED, right.err


async def test_a_gateway_that_dies_leaves_partial_figures(tmp_path: Path) -> None:
    """Killed while turns run: what happened after how many turns, the figures marked, exit code 1."""
    figures = tmp_path / "out.json"
    plan = ("--sessions", "4", "--turns", "500", "--warm-up", "0", "--interval", "0.2", "--say", "!stamps 5")
    async with (
        simulated() as provider,
        served(tmp_path / "data", **provider, VOICE_MODEL="openai/simulated") as product,
        started("gateway", "bench", "--url", product.url, *plan, "--json", str(figures)) as bench,
    ):
        await _asked(provider["OPENAI_BASE_URL"], 12)
        gateway = product.gateway()
        assert gateway is not None
        os.kill(gateway, signal.SIGKILL)
        told = await _end(bench)
    assert told.code == 1
    _clean(told)
    assert "the gateway closed a connection" in told.err
    assert "of 2000 turns of the measured turns" in told.err
    _shows(told.out, "PARTIAL, it broke off: 4 sessions")
    made = json.loads(figures.read_bytes())
    assert made["complete"] is False
    assert 0 < made["turns"]["ended"] < made["turns"]["planned"] == 2000
    assert made["turns"]["ended"] + made["turns"]["lost"] == 2000


async def test_turns_that_fail_are_no_success() -> None:
    """A gateway that answers errors: counted, told, exit code 1."""

    async def fails(line: Line) -> None:
        await line.ready()
        while True:
            turn = (await line.frame())["turn_id"]
            await line.event("error", code="provider", message="no", retryable=True, turn_id=turn)
            await line.event("turn.ended", turn_id=turn, reason="llm_api_error", latency=None)

    async with scripted(fails) as url:
        told = await _bench("--url", url, "--sessions", "2", "--turns", "2", "--warm-up", "0", "--interval", "0.1")
    assert told.code == 1
    _clean(told)
    assert "0 turns were lost and 8 failed; errors: provider (8)" in told.err


async def test_turns_that_queue_are_no_measurement() -> None:
    """A server that takes longer than the interval: counted as overdue, not as the generator's lateness; code 3."""

    async def slow(line: Line) -> None:
        await line.ready()
        while (frame := await line.frame())["type"] == "user.text":
            await asyncio.sleep(0.1)  # the slowness that is measured
            await line.answer(frame["turn_id"], "hello")

    async with scripted(slow) as url:
        plan = ("--sessions", "1", "--turns", "6", "--warm-up", "0", "--interval", "0.02")
        told = await _bench("--url", url, *plan, "--json", "-")
    assert told.code == 3, told.err
    assert json.loads(told.out)["turns"]["overdue"] == 10
    assert "10 of 12 turns were due before the turn before them had ended" in told.err
    assert "let --interval be longer" in told.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_stopped_while_it_measures_it_tells_what_it_has(number: signal.Signals, code: int) -> None:
    """The figures until then, marked; each phase was announced when it began."""
    answered = 0

    async def answers(line: Line) -> None:
        nonlocal answered
        await line.ready()
        while (frame := await line.frame())["type"] == "user.text":
            await line.answer(frame["turn_id"], "hello")
            answered += 1

    async def enough() -> bool:
        return answered >= 8

    plan = ("--sessions", "2", "--turns", "5000", "--warm-up", "1", "--interval", "0.1", "--json", "-")
    async with scripted(answers) as url, started("gateway", "bench", "--url", url, *plan) as bench:
        await eventually(enough, "turns were answered")
        bench.send_signal(number)
        told = await _end(bench)
    assert told.code == code
    _shows(told.err, "bench: connecting\n", "bench: warm-up: 1 turns", "bench: measured turns: 5000 turns")
    _shows(told.err, "PARTIAL, it broke off: 2 sessions", f"voice-gateway: stopped by {number.name}")
    assert "Traceback" not in told.err
    made = json.loads(told.out)
    assert (made["complete"], made["exit_code"]) == (False, code)
    assert 0 < made["turns"]["ended"] < made["turns"]["planned"] == 10_000


async def test_of_its_own_processes_it_says_which_one_died() -> None:
    """And how; what was started beside it is stopped."""
    async with started("gateway", "bench", "--self", "--turns", "500", *_QUICK) as bench:
        mine = await _household(bench)
        os.kill(next(pid for pid in mine if "simulate" in command(pid)), signal.SIGKILL)
        told = await _end(bench)
    assert told.code == 1
    _clean(told)
    assert "the simulator process ended with code -9" in told.err
    assert await all_gone(mine)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_stopped_in_the_middle_it_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C or SIGTERM: no process, no file, no traceback."""
    async with started("gateway", "bench", "--self", *_QUICK, TMPDIR=str(tmp_path)) as bench:
        mine = await _household(bench)
        bench.send_signal(number)
        told = await _end(bench)
    assert told.code == 128 + number
    _clean(told)
    assert "stopped before anything was measured" in told.err
    assert await all_gone(mine)
    assert list(tmp_path.glob("voice-bench-*")) == []


async def test_killed_it_takes_its_processes_with_it(tmp_path: Path) -> None:
    """There is nobody left to stop them: they see it themselves."""
    async with started("gateway", "bench", "--self", *_QUICK, TMPDIR=str(tmp_path)) as bench:
        mine = await _household(bench)
        bench.kill()
        await bench.wait()
        await eventually(lambda: all_gone(mine), "its processes are gone")
        await eventually(lambda: none_names(str(tmp_path)), "the store is gone")


async def test_more_sessions_than_descriptors_are_refused_before_the_run() -> None:
    """With the numbers, the hard limit's and those that are needed."""
    words = (sys.executable, "-m", "gateway", "bench", "--self", "--sessions", "500")
    limited = ("sh", "-c", 'ulimit -n 1000 && exec "$@"', "sh", *words)
    process = await asyncio.create_subprocess_exec(*limited, stdout=PIPE, stderr=PIPE, env=environment())
    told = await _end(process)
    assert told.code == 2
    _clean(told)
    assert "--sessions: 500 sessions need 1320 open files in one process, and this system allows 1000" in told.err


async def test_the_soft_limit_is_raised_as_far_as_it_goes() -> None:
    """A shell's usual 256 or 1,024 is no fault of the person's: 100 sessions are had with a limit of 64."""

    async def answers(line: Line) -> None:
        await line.ready()
        while (frame := await line.frame())["type"] == "user.text":
            await line.answer(frame["turn_id"], "hello")

    async with scripted(answers) as url:
        plan = ("--sessions", "100", "--turns", "1", "--warm-up", "0", "--interval", "0.5")
        words = (sys.executable, "-m", "gateway", "bench", "--url", url, *plan)
        limited = ("sh", "-c", 'ulimit -Sn 64 && exec "$@"', "sh", *words)
        process = await asyncio.create_subprocess_exec(*limited, stdout=PIPE, stderr=PIPE, env=environment())
        told = await _end(process)
    assert told.code in _MEASURED, told.err
    _shows(told.out, "300 of 300 ended")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "give either --url, the gateway to load, or --self"),
        (("--self", "--url", "ws://127.0.0.1:1"), 2, "give either --url, the gateway to load, or --self"),
        (("--self", "--protocol", "chat"), 2, "--protocol chat goes with --url"),
        (("--self", "--sessions", "0", "--turns", "-1"), 2, "--sessions has to be at least 1 (given: 0); --turns has"),
        (("--self", "--interval", "0"), 2, "--interval has to be more than 0 seconds"),
        (("--self", "--plot", "/nowhere/at/all.png"), 2, "there is no directory /nowhere/at"),
        (("--self", "--json", "/"), 2, "--json: / cannot be written, as it is a directory"),
        (("--self", "--agent", "a", "--say", "hi"), 2, "--agent, --say cannot be given together with --self"),
        (("--self", "--key", "k"), 2, "--key cannot be given together with --self"),
        (("--url", "ws://h", "--tokens", "9"), 2, "--tokens cannot be given together with --url"),
        (("--url", "ws://h", "--first-token-ms", "0", "--token-ms", "0"), 2, "--first-token-ms, --token-ms cannot be"),
        (("--url", "ws://h/v1/agents/a/session"), 2, "give --url ws://h --agent a"),
        (("--url", "localhost"), 2, "--url: 'localhost' is no address of a gateway"),
        (("--url", "http://127.0.0.1:1"), 1, "nothing listens at 127.0.0.1:1; `voice-gateway serve` starts a gateway"),
        (("--url", "http://127.0.0.1:1", "--protocol", "chat"), 1, "no connection"),
    ],
)
async def test_what_cannot_be_run_is_said_at_once(arguments: tuple[str, ...], code: int, words: str) -> None:
    """One line, and the exit code of its kind."""
    told = await _bench(*arguments)
    assert told.code == code
    _clean(told)
    assert words in told.err


async def test_a_picture_without_matplotlib_says_what_to_install(tmp_path: Path) -> None:
    """Before the run; without --plot nothing misses it."""
    hidden = """
import sys
class Hides:
    def __init__(self, finder): self.finder = finder
    def find_spec(self, name, *rest): return None if name == "matplotlib" else self.finder.find_spec(name, *rest)
sys.meta_path = [Hides(finder) for finder in sys.meta_path]
from gateway.cli import main
main()
"""
    words = (sys.executable, "-c", hidden, "bench", "--self", "--plot", str(tmp_path / "out.png"))
    process = await asyncio.create_subprocess_exec(*words, stdout=PIPE, stderr=PIPE, env=environment())
    told = await _end(process)
    assert told.code == 2
    _clean(told)
    assert "pip install matplotlib" in told.err


# ---- helpers ----


def _shows(text: str, *wanted: str) -> None:
    for words in wanted:
        assert words in text


async def _end(process: Process) -> Ended:
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def _asked(provider: str, times: int) -> None:
    """The provider has been asked so often."""
    async with aiohttp.ClientSession() as http:

        async def enough() -> bool:
            async with http.get(f"{provider.removesuffix('/v1')}/stats") as reply:
                stats: dict[str, Any] = await reply.json()
            return int(stats["requests"]) >= times

        await eventually(enough, f"{times} requests")


async def _household(bench: Process) -> list[int]:
    """The processes that it has started, once it has started all."""

    async def complete() -> bool:
        return len(children(bench.pid)) >= 3

    await eventually(complete, "simulator, gateway and worker have been started")
    return children(bench.pid)
