"""The warden: starts a process, and sees to it that nothing which that ever started outlives it, or the gateway.

Run as a script by the gateway, which holds the write end of the pipe LIFELINE: at the end of file, however it came, and
when the process ends, every process below the warden is killed. It exits as the process did, 128 and the signal's
number if that was killed. It does no more, so that nothing a tool does can bring it down. Two kinds are known:

    warden.py LIFELINE worker CHANNEL PATHS     a worker for isolated tools, killed at once; PATHS as a JSON list
    warden.py LIFELINE command COMMAND ARGS...  a program that has stdin and stdout, given time to end by itself
"""

import ctypes
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

# After the gateway's end, and again after SIGTERM.
GRACE_S = 2.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(lifeline: int, start: Callable[[], None], theirs: tuple[int, ...], grace_s: float) -> None:
    """Start a process that keeps the files `theirs` for itself, and wait for its end or the gateway's."""
    _control(_PR_SET_CHILD_SUBREAPER, 1)
    os.set_inheritable(lifeline, False)
    child = os.fork()
    if child == 0:
        os.setsid()
        _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
        start()
    for each in theirs:
        os.close(each)
    wake = _alarm()
    status = _status(child, wake, [lifeline])
    if status is None and grace_s:
        status = _status(child, wake, [], grace_s)
    if status is None and grace_s:
        _signal_group(child, signal.SIGTERM)
        status = _status(child, wake, [], grace_s)
    _signal_group(child, signal.SIGKILL)
    if status is None:
        _, status = os.waitpid(child, 0)
    _kill_the_rest()
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _work(channel: int, paths: list[str]) -> None:
    # Whoever loses its parent becomes the worker's child, so that it knows of all that a call leaves behind.
    _control(_PR_SET_CHILD_SUBREAPER, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.closerange(3, channel)
    os.closerange(channel + 1, 4096)
    os.set_inheritable(channel, False)
    sys.path[:] = paths
    try:
        from voice_agent.tools.isolate.worker import serve

        serve(channel)
    finally:
        os._exit(0)


def _execute(command: list[str]) -> None:
    # Python ignores these, and what it ignores stays ignored.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as fault:
        os.write(2, f"it cannot be started: {fault.strerror}\n".encode())
    finally:
        os._exit(127)


def _alarm() -> int:
    """A file that can be read when a child has ended."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    return woken


def _status(child: int, wake: int, lifeline: list[int], seconds: float | None = None) -> int | None:
    """How the child ended; None if the lifeline does before that, or so many seconds go by."""
    deadline = time.monotonic() + (seconds or 0)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        left = None if seconds is None else max(0, deadline - time.monotonic())
        ready, _, _ = select.select([wake, *lifeline], [], [], left)
        if not ready or any(each in ready and not os.read(each, 64) for each in lifeline):
            return None
        if wake in ready:
            os.read(wake, 4096)


def _signal_group(leader: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _kill_the_rest() -> None:
    """Those that left the child's process group: they become children of this process as their parents die."""
    while True:
        for child in _children():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    found = []
    for name in os.listdir("/proc") if sys.platform == "linux" else ():
        with suppress(OSError, ValueError):
            stat = Path(f"/proc/{int(name)}/stat").read_text(errors="replace")
            if int(stat.rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(name))
    return found


def _control(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    _, _lifeline, _kind, *_words = sys.argv
    if _kind == "worker":
        _channel = int(_words[0])
        main(int(_lifeline), lambda: _work(_channel, json.loads(_words[1])), (_channel,), 0)
    else:
        main(int(_lifeline), lambda: _execute(_words), (0, 1), GRACE_S)
