"""Where figures come from: the machine, the versions of what takes part, and what Linux says of processes: the CPU time
they took and the memory they hold. None where there is no /proc."""

import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("voice-agent-gateway", "uvloop", "uvicorn", "starlette", "websockets", "httptools", "msgspec")
_WAITED = 1  # field of /proc/PID/task/TID/schedstat, in nanoseconds
_STEAL = 7  # field of a core's line in /proc/stat, counted after its name
_UTIME, _STIME, _CUTIME, _CSTIME = 11, 12, 13, 14  # fields of /proc/PID/stat, counted after the command's name

Ticks = Mapping[str, tuple[int, int]]


def describe() -> dict[str, str]:
    """Names and what they are, in the order in which to tell them."""
    system = {
        "cpu": _cpu(),
        "cores": f"{os.cpu_count()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            system[package] = version(package)
    return system


def _cpu() -> str:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()


def cpu_ticks(stat: str) -> int:
    """The ticks in a /proc/PID/stat: user and system time, that of children it waited for included."""
    fields = stat.rpartition(")")[2].split()
    return sum(int(fields[number]) for number in (_UTIME, _STIME, _CUTIME, _CSTIME))


def core_ticks(stat: str) -> dict[str, tuple[int, int]]:
    """For each core in a /proc/stat, by "core N": the ticks that the host of a virtual machine stole, and all."""
    found = {}
    for line in stat.splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name != "cpu":
            # Time in guests, which follows, is counted as user time already.
            counted = [int(tick) for tick in ticks[: _STEAL + 1]]
            found[f"core {name[3:]}"] = counted[_STEAL], sum(counted)
    return found


def stolen_percent(before: Ticks, after: Ticks) -> dict[str, float]:
    """What was stolen between two looks, in percent of each core's time."""
    shares = {}
    for core, (stolen, total) in after.items():
        if core in before and total > before[core][1]:
            shares[core] = round(100 * (stolen - before[core][0]) / (total - before[core][1]), 1)
    return shares


def cores() -> dict[str, tuple[int, int]]:
    """`core_ticks` of now; empty where the system does not tell."""
    with suppress(OSError):
        return core_ticks(Path("/proc/stat").read_text())
    return {}


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
