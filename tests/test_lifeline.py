"""The lifeline, with real processes: a child follows the holder of the pipe's write end."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process

POLITE = """
import signal, sys
from voice_agent import lifeline
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
lifeline.follow(int(sys.argv[1]), grace_s=60)
print("up", flush=True)
signal.pause()
"""
DEAF = """
import signal, sys
from voice_agent import lifeline
signal.signal(signal.SIGTERM, signal.SIG_IGN)
lifeline.follow(int(sys.argv[1]), grace_s=0.05)
print("up", flush=True)
while True: signal.pause()
"""


async def _started(script: str, fd: int) -> Process:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(fd), stdout=PIPE, pass_fds=(fd,))
    assert child.stdout is not None
    assert await child.stdout.readline() == b"up\n"
    return child


async def test_a_child_stops_in_its_ordinary_way_when_the_pipe_ends() -> None:
    """EOF arrives as SIGTERM, which the child answers as it likes."""
    read, write = os.pipe()
    child = await _started(POLITE, read)
    os.close(read)
    assert child.returncode is None
    os.close(write)
    assert await child.wait() == 7


async def test_a_child_that_ignores_the_end_is_gone_after_its_grace() -> None:
    """A process that does not answer SIGTERM exits all the same, with code 1."""
    read, write = os.pipe()
    child = await _started(DEAF, read)
    os.close(read)
    os.close(write)
    assert await child.wait() == 1
