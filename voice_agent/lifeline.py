"""A child's lifeline: the read end of a pipe whose write end only the supervisor holds, so that EOF means it is gone.

It works however the supervisor ended, SIGKILL included, and on systems that have no parent-death signal.
"""

import os
import signal
import threading

GRACE_S = 0.5


def follow(fd: int, grace_s: float = GRACE_S) -> None:
    """Bind this process to whoever holds the write end of the pipe that `fd` reads.

    At EOF the process gets SIGTERM, its ordinary way to stop; whatever is left of it after `grace_s` seconds exits
    with code 1. A thread does this, so that a busy event loop cannot outlive its supervisor. Raises OSError if `fd` is
    not open.
    """
    os.set_inheritable(fd, False)  # grandchildren answer to this process, not to its supervisor
    threading.Thread(target=_watch, args=(fd, grace_s), name="lifeline", daemon=True).start()


def _watch(fd: int, grace_s: float) -> None:
    while os.read(fd, 64):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(grace_s)
    os._exit(1)
