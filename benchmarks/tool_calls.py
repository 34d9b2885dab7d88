"""`python -m benchmarks.tool_calls`: what the loop adds to tool calls, and an answer in one piece to a run.

A gateway and a simulated provider, each a process. The provider's replies hold the times at which their tokens leave
it, and at which the request before them arrived; exits 1 if a figure misses what it has to be.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from benchmarks.figures import Figure, machine, percentile, table
from benchmarks.timed import PAUSE_S
from tests.callers import Caller, calling
from tests.processes import served, simulated
from voice_agent.clock import SystemClock

TURNS, RUNS = 50, 200
_AT_ONCE = 8
_AT_FULL_SPEED = "!first_token_ms 0 !token_ms 0"
# The last token before the next request leaves when all calls have been written.
_PARALLEL = " ".join([
    *(f'!call pause {{"number":{number}}}' for number in range(_AT_ONCE)),
    f"!stamps 1 {_AT_FULL_SPEED} !then !stamps 1 {_AT_FULL_SPEED}",
])  # fmt: skip
# Three pieces at this pace, the last of which completes the call, and more that come after them.
_PACE_MS = 5
_EARLY = f"!stamps 1 !call mark !stamps 5 !first_token_ms 0 !token_ms {_PACE_MS}"
_RUN = f"!tokens 50 {_AT_FULL_SPEED}"
_AGENT = {
    "id": "bench",
    "name": "Bench",
    "model": "openai/simulated",
    "tools": ["pause", "mark"],
    "message_buffer_autoclear": True,
}
_STAMP = re.compile(r"\d{16}")


def main() -> int:
    """Measure everything, one thing after the other."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        figures = asyncio.run(measure(Path(folder), TURNS, RUNS))
    sys.stdout.write(f"{machine('a gateway and a provider on loopback')}\n{table(figures)}\n")
    return 0 if all(figure.holds for figure in figures) else 1


async def measure(folder: Path, turns: int, runs: int) -> list[Figure]:
    """So many turns of a call for each kind of tool call, and so many runs in each way."""
    async with (
        simulated() as provider,
        served(folder / "data", "--tools", "benchmarks.timed", VOICE_MAX_FRAMES_PER_S="100000", **provider) as product,
        aiohttp.ClientSession(product.url) as http,
    ):
        async with http.post("/v1/agents", json=_AGENT) as made:
            assert made.status == 201, await made.text()
        async with calling(product.url, "ada", "bench") as caller:
            parallel = [await _after_the_calls(caller, f"p{number}") for number in range(turns)]
            early = [await _to_the_start(caller, f"e{number}") for number in range(turns)]
        blocking, streamed = await _runs(http, runs)
    name = f"{_AT_ONCE} calls of {PAUSE_S * 1000:g} ms: added to the next request"
    start = "a call without effects starts, its reply going on"
    both = f"a run in one piece over a streamed one ({median(blocking):.1f} / {median(streamed):.1f} ms)"
    return [
        Figure(f"{name}, p50", median(parallel), "ms", 15),
        Figure(f"{name}, p95", percentile(parallel, 95), "ms", 15),
        Figure(f"{start}, p50", median(early), "ms", 2),
        Figure(f"{start}, p95", percentile(early, 95), "ms", 2),
        Figure(f"{both}, p50", median(blocking) / median(streamed), "", 1.05),
    ]


async def _after_the_calls(caller: Caller, turn_id: str) -> float:
    """Milliseconds from the last call's arguments to the next request, without the time that the calls take."""
    await caller.ask(_PARALLEL, turn_id)
    assert [event["status"] for event in caller.of("tool.finished")][-_AT_ONCE:] == ["ok"] * _AT_ONCE
    _, complete, arrived, _ = _stamps(caller, turn_id)
    return (arrived - complete) / 1000 - PAUSE_S * 1000


async def _to_the_start(caller: Caller, turn_id: str) -> float:
    """Milliseconds from a call's arguments to its start, with what the provider is late: from when they were due."""
    ended = await caller.ask(_EARLY, turn_id)
    started = int(ended["generated"].split()[-1])
    arrived, *_, last = _stamps(caller, turn_id)
    assert started < last, "the tool began when the reply was over"
    return (started - arrived) / 1000 - 2 * _PACE_MS


def _stamps(caller: Caller, turn_id: str) -> list[int]:
    said = "".join(event["text"] for event in caller.of("speech.delta", turn_id=turn_id))
    return [int(stamp) for stamp in _STAMP.findall(said)]


async def _runs(http: aiohttp.ClientSession, runs: int) -> tuple[list[float], list[float]]:
    """How long runs take that are answered in one piece, and as a stream; by turns. Milliseconds."""
    blocking, streamed = list[float](), list[float]()
    for _ in range(runs):
        blocking.append(await _timed(lambda: _run(http)))
        streamed.append(await _timed(lambda: _run(http, stream="tokens")))
    return blocking, streamed


async def _run(http: aiohttp.ClientSession, **fields: Any) -> None:
    body = {"messages": [{"role": "user", "text": _RUN}], **fields}
    async with http.post("/v1/agents/bench/messages?user=bob", json=body) as answer:
        assert answer.status == 200, await answer.text()
        assert b"completed" in await answer.read()


async def _timed(act: Callable[[], Awaitable[None]]) -> float:
    clock = SystemClock()
    began = clock.now()
    await act()
    return (clock.now() - began) * 1000


if __name__ == "__main__":
    sys.exit(main())
