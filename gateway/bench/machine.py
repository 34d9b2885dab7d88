"""Where figures come from: the machine, and the versions of what takes part."""

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("voice-agent-gateway", "uvloop", "uvicorn", "starlette", "websockets", "httptools", "msgspec")


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
