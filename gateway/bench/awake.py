"""`python -m gateway.bench.awake --core N --lifeline FD`: keeps a core from sleeping, in time that nobody else wants.

To wake a sleeping core takes a virtual machine's hypervisor as long as the work for which it is woken, and the guest
counts that as the work's. Linux only: the loop is of the scheduler's idle class, so that whatever comes runs at once.
"""

import argparse
import contextlib
import os
from pathlib import Path

from voice_agent.lifeline import follow


def main() -> None:
    """Until the other end of the lifeline is closed, or a signal comes."""
    words = argparse.ArgumentParser()
    words.add_argument("--core", type=int, required=True)
    words.add_argument("--lifeline", type=int, required=True)
    given = words.parse_args()
    follow(given.lifeline)
    os.sched_setaffinity(0, {given.core})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError):  # where sessions share the cores evenly, whatever their classes (sched(7))
        Path("/proc/self/autogroup").write_text("19")
    while True:
        pass


if __name__ == "__main__":
    main()
