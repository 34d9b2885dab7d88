"""Tools that do what no tool should: in the loop, in a thread, and isolated in a process of their own."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from voice_agent.tools.base import ToolContext, ToolFault
from voice_agent.tools.registry import tool

FOREVER_S = 300


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no")


def _raises() -> object:
    raise ValueError("no such street")


def _faults() -> object:
    raise ToolFault("nobody is at home", "denied")


def _faults_badly() -> object:
    raise ToolFault("nobody is at \ud83d", "denied")


def _exits() -> object:
    sys.exit(3)


def _kills_its_keeper() -> object:
    os.kill(os.getppid(), signal.SIGKILL)
    while True:
        time.sleep(FOREVER_S)


def _eats_memory() -> object:
    return len(bytearray(4_000_000_000))


def _burns() -> object:
    while True:
        pass


def _forks() -> object:
    """Both copies come back from here with an answer, the parent later."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return "the parent's" if child else "the copy's"


def _floods() -> object:
    print("x" * 1_000_000)  # noqa: T201 - what a careless tool does
    sys.stderr.write("y" * 1_000_000)
    os.write(1, b"\xff" * 100_000)
    return "said"


def _scribbles() -> object:
    """Writes into every file that the process has open."""
    for number in range(3, 30):
        try:
            os.write(number, b"\xff" * 64)
        except OSError:
            continue
    return "done"


WAYS: dict[str, Callable[[], object]] = {
    "answers": lambda: "fine",
    "raises": _raises,
    "faults": _faults,
    "faults with half a letter": _faults_badly,
    "exits": _exits,
    "returns 10 MB": lambda: "é" * 10_000_000,
    "returns bytes": lambda: b"gr\xfc\xdfe",
    "returns what is no data": Mute,
    "returns a lone surrogate": lambda: {"half": "\ud83d"},
    # These would take the process along, so that only an isolated tool may.
    "exits at once": lambda: os._exit(4),
    "kills itself": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "kills its keeper": _kills_its_keeper,
    "eats memory": _eats_memory,
    "burns": _burns,
    "forks": _forks,
    "floods": _floods,
    "scribbles": _scribbles,
}


@tool(name="in_loop", return_char_limit=1000)
async def in_loop(how: str) -> object:
    """Misbehave."""
    return WAYS[how]()


@tool(name="in_thread", return_char_limit=1000)
def in_thread(how: str) -> object:
    """Misbehave."""
    return WAYS[how]()


@tool(name="isolated", return_char_limit=1000, isolate=True, cpu_s=1)
def isolated(how: str) -> object:
    """Misbehave."""
    return WAYS[how]()


@tool(timeout_s=0.2)
async def loop_hangs() -> None:
    """Hang."""
    await asyncio.Event().wait()


@tool(timeout_s=0.2)
def thread_hangs() -> None:
    """Hang, for as long as a test may take."""
    time.sleep(5)


@tool(timeout_s=0.2, isolate=True)
def isolated_hangs() -> None:
    """Hang."""
    time.sleep(FOREVER_S)


@tool(isolate=True)
def tell(context: ToolContext) -> dict[str, Any]:
    """Tell what the process sees."""
    seen = dict(os.environ)  # noqa: TID251 - it is the tool's own
    return {"environment": seen, "call_id": context.call_id, "pid": os.getpid(), "parent": os.getppid()}


@tool(isolate=True)
async def tell_later(number: int) -> int:
    """Tell twice the number, after a while."""
    await asyncio.sleep(0)
    return 2 * number


@tool(isolate=True)
def leave() -> list[int]:
    """Leave a process behind, and one whose parent has ended; tell both."""
    sleep = f"import time; time.sleep({FOREVER_S})"
    born = subprocess.Popen((sys.executable, "-c", sleep), stdout=subprocess.DEVNULL)
    shell = f'"{sys.executable}" -c "{sleep}" > /dev/null & echo $!'
    orphan = subprocess.run(("sh", "-c", shell), stdout=subprocess.PIPE, check=True)
    return [born.pid, int(orphan.stdout)]


@tool(isolate=True)
def halt(where: str) -> None:
    """Start a process, stop the one that would end it all, write them down; then hang."""
    born = subprocess.Popen((sys.executable, "-c", f"import time; time.sleep({FOREVER_S})"), start_new_session=True)
    os.kill(os.getppid(), signal.SIGSTOP)
    _write(where, (os.getpid(), os.getppid(), born.pid))


@tool(isolate=True)
def breed(where: str) -> None:
    """Start a process, and one that has a session of its own; write down all three; then hang."""
    words = (sys.executable, "-c", f"import time; time.sleep({FOREVER_S})")
    born = [subprocess.Popen(words).pid, subprocess.Popen(words, start_new_session=True).pid]
    _write(where, (os.getpid(), os.getppid(), *born))


def _write(where: str, pids: tuple[int, ...]) -> None:
    Path(where).with_suffix(".new").write_text(" ".join(map(str, pids)))
    Path(where).with_suffix(".new").rename(where)
    time.sleep(FOREVER_S)
