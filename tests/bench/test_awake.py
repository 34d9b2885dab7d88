"""The loop that keeps the gateway's core awake: of the lowest class, on that core, and gone with the benchmark."""

import os
import sys

import pytest

from tests.bench.test_command import _QUICK
from tests.commands import started
from tests.processes import all_gone, children, command, eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux" or os.cpu_count() == 1, reason="two cores of Linux")


def awake(pid: int) -> list[int]:
    """The loops that a benchmark has started."""
    return [child for child in children(pid) if "gateway.bench.awake" in command(child)]


async def test_it_takes_only_what_nobody_wants() -> None:
    """It runs in the idle class, on the gateway's core alone, and is killed with the benchmark."""
    async with started("gateway", "bench", "--self", "--turns", "500", *_QUICK) as bench:

        async def is_set() -> bool:
            return any(os.sched_getscheduler(pid) == os.SCHED_IDLE for pid in awake(bench.pid))

        await eventually(is_set, "the loop is of the idle class")
        (pid,) = awake(bench.pid)
        (gateway,) = [child for child in children(bench.pid) if "--host" in command(child)]
        assert os.sched_getaffinity(pid) == os.sched_getaffinity(gateway)
        assert len(os.sched_getaffinity(pid)) == 1
        mine = children(bench.pid)
        bench.kill()
        await bench.wait()
        await eventually(lambda: all_gone(mine), "its processes are gone")


async def test_the_core_may_sleep() -> None:
    """Where that is asked for, no such process is started."""
    async with started("gateway", "bench", "--self", "--no-awake", "--turns", "500", *_QUICK) as bench:

        async def measures() -> bool:
            return any(os.sched_getaffinity(pid) != os.sched_getaffinity(0) for pid in children(bench.pid))

        await eventually(measures, "the gateway has its core")
        assert awake(bench.pid) == []
