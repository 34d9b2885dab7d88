"""What the system says of processes: its texts as it writes them, and of this process."""

import os

import pytest

from gateway.bench import machine

_STAT = (
    "4711 (a (b) c) S 1 4711 4711 0 -1 4194560 9041 512 3 0 150 25 7 3 20 0 9 0 512345 301000000 15000 "
    "18446744073709551615 1 1 0 0 0 0 0 16781312 16898 0 0 0 17 1 0 0 0 0 0"
)
_ROLLUP = """55d0c0a00000-7ffd1c5fe000 ---p 00000000 00:00 0                          [rollup]
Rss:               71234 kB
Pss:               60321 kB
Pss_Dirty:         50000 kB
"""


def test_cpu_time_is_user_and_system_and_that_of_children() -> None:
    """Whatever the command calls itself."""
    assert machine.cpu_ticks(_STAT) == 150 + 25 + 7 + 3


def test_what_the_host_stole_is_told_of_each_core() -> None:
    """In percent of the time between two looks; guests' time is in the user's already, and not every core is new."""
    before = machine.core_ticks(
        "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 10 0 10 70 0 0 0 10 5 0\ncpu1 1 0 0 9 0 0 0 0 0 0\nintr 1 2\n"
    )
    after = machine.core_ticks("cpu0 60 0 20 90 0 0 0 30 50 0\ncpu1 1 0 0 9 0 0 0 0 0 0\ncpu2 1 0 0 9 0 0 0 5 0 0\n")
    assert before == {"core 0": (10, 100), "core 1": (0, 10)}
    assert machine.stolen_percent(before, after) == {"core 0": 20.0}


def test_memory_is_the_proportional_share() -> None:
    """And not a line that begins like it."""
    assert machine.pss_kib(_ROLLUP) == 60321


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="Linux")
def test_this_process_is_told_of() -> None:
    """CPU time only grows, and memory is held."""
    before = machine.cpu_s(os.getpid())
    assert before is not None
    sum(number * number for number in range(2_000_000))
    after = machine.cpu_s(os.getpid())
    assert after is not None
    assert after > before
    assert (machine.memory_kib(os.getpid()) or 0) > 1000
    assert (machine.waited_s(os.getpid()) or 0) > 0


def test_of_a_process_that_is_not_there_nothing_is_told() -> None:
    """None, not zero."""
    assert machine.cpu_s(2**22 + 1) is None
    assert machine.waited_s(2**22 + 1) is None
    assert machine.memory_kib(2**22 + 1) is None
