"""The warden: starts a worker, and sees to it that nothing the worker ever started outlives it, or the gateway.

Run as a script by the gateway, which holds the write end of its standard input: at the end of file, however it came,
and when the worker ends, every process below the warden is killed. It exits as the worker did, 128 and the signal's
number if that was killed. It does no more, so that nothing a tool does can bring it down.
"""

import ctypes
import json
import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(channel: int, paths: list[str]) -> None:
    """Start the worker on its channel, with `paths` to find modules in, and wait for its end or the gateway's."""
    _control(_PR_SET_CHILD_SUBREAPER, 1)
    worker = os.fork()
    if worker == 0:
        _work(channel, paths)
    os.close(channel)
    status = _watch(worker)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(worker, signal.SIGKILL)
    if status is None:
        _, status = os.waitpid(worker, 0)
    _kill_the_rest()
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _work(channel: int, paths: list[str]) -> None:
    os.setsid()
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
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


def _watch(worker: int) -> int | None:
    """Until the worker has ended, whose status is returned, or the gateway has gone."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    while True:
        ended, status = os.waitpid(worker, os.WNOHANG)
        if ended:
            return status
        ready, _, _ = select.select([0, woken], [], [])
        if 0 in ready and not os.read(0, 64):
            return None
        if woken in ready:
            os.read(woken, 4096)


def _kill_the_rest() -> None:
    """Those that left the worker's process group: they become children of this process as their parents die."""
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
    main(int(sys.argv[1]), json.loads(sys.argv[2]))
