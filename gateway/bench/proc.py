"""What Linux says of processes: the CPU time they took and the memory they hold. None where there is no /proc."""

import os
from contextlib import suppress
from pathlib import Path

_WAITED = 1  # field of /proc/PID/task/TID/schedstat, in nanoseconds
_UTIME, _STIME, _CUTIME, _CSTIME = 11, 12, 13, 14  # fields of /proc/PID/stat, counted after the command's name


def cpu_ticks(stat: str) -> int:
    """The ticks in a /proc/PID/stat: user and system time, that of children it waited for included."""
    fields = stat.rpartition(")")[2].split()
    return sum(int(fields[number]) for number in (_UTIME, _STIME, _CUTIME, _CSTIME))


def pss_kib(rollup: str) -> int:
    """The proportional set size in a /proc/PID/smaps_rollup."""
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


def cpu_s(pid: int) -> float | None:
    """Seconds of CPU that a process has taken."""
    with suppress(OSError):
        return cpu_ticks(Path(f"/proc/{pid}/stat").read_text()) / os.sysconf("SC_CLK_TCK")
    return None


def waited_s(pid: int) -> float | None:
    """Seconds that its threads could have run and had no core."""
    with suppress(OSError, IndexError):
        threads = Path(f"/proc/{pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[_WAITED]) for thread in threads) / 1e9
    return None


def memory_kib(pid: int) -> int | None:
    """KiB that a process holds, its share of what it shares included."""
    with suppress(OSError, StopIteration):
        return pss_kib(Path(f"/proc/{pid}/smaps_rollup").read_text())
    return None


def pin(pid: int, cores: set[int]) -> None:
    """Keep a process, with all its threads, on these cores, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        return
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), cores)
