"""How soon a caller is told that the memory of turns that left the window was written, over the whole product."""

from pathlib import Path

from benchmarks.figures import Figure, percentile
from benchmarks.talk import AGENT, INSTANT, said
from tests.callers import Caller, calling, history
from tests.processes import served
from voice_agent.clock import SystemClock
from voice_agent.store.connection import Connection

SAMPLES = 200
_USER = "ada"
# A caller who never draws breath.
_UNBOUNDED = {"VOICE_MAX_FRAMES_PER_S": "100000"}


async def live(data: Path, _store: Connection, samples: int = SAMPLES) -> tuple[Figure, ...]:
    """Talk to a gateway with its worker, each a process; from the commit that raised a job to the frame it led to.

    The commit's time is in its log entry, in whole milliseconds cut down: the figure is too high by half of one.
    """
    clock = SystemClock()
    told: dict[str, float] = {}
    async with served(data, **INSTANT, **_UNBOUNDED) as product:
        async with calling(product.url, _USER, AGENT.id) as caller:
            number = 0
            while len(told) < samples:
                number += 1
                await caller.ask(said(number), f"t{number}")
                # The fourth turn is the first to overfill the window, of which the job it raises takes two turns away.
                if number >= 4 and number % 2 == 0:
                    await _updated(caller, len(told) + 1)
                    told[f"t{number}"] = clock.wall()
        items = await history(product.url, _USER, AGENT.id)
    committed = {item["turn_id"]: int(item["id"].partition("-")[0]) for item in items}
    took = [at * 1000 - committed[turn_id] for turn_id, at in told.items()]
    name = f"eviction to memory.updated, {samples} times"
    return Figure(f"{name}: p50", percentile(took, 50), "ms", 30), Figure(
        f"{name}: p99", percentile(took, 99), "ms", 250
    )


async def _updated(caller: Caller, times: int) -> None:
    while len(caller.of("memory.updated")) < times:
        await caller.hear()
