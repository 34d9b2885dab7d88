"""The worker processes of a gateway: started when one is needed, kept for the next call of the same kind, killed.

A worker serves one function for the secrets of one agent, so that no agent's calls find what another's left behind.
"""

import asyncio
import json
import logging
import signal
import socket
import sys
from contextlib import suppress
from typing import Self, cast

import msgspec

from voice_agent.config import tool_environment
from voice_agent.tools import warden
from voice_agent.tools.base import NotStarted
from voice_agent.tools.isolate.frames import LENGTH, Answer, Job, Place, packed, unpacked
from voice_agent.tools.outcome import one_line
from voice_agent.tools.secrets import Secrets

_MOST_WORKERS = 8
# A character takes six bytes at most (\u0000); the rest is for what is around the text.
_BYTES_PER_CHAR = 6
_BYTES_AROUND = 8192
_LONGEST_LINE = 8192
_ENDING_S = 2.0

_log = logging.getLogger(__name__)


class WorkerDied(Exception):
    """A worker ended, or spoke nonsense, instead of answering; the message says how."""


class Workers:
    """At most `most` processes at a time, working or waiting for work."""

    def __init__(self, most: int = _MOST_WORKERS) -> None:
        self._most = most
        self._free = asyncio.Semaphore(most)
        self._busy = 0
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()

    async def run(self, place: Place, job: Job) -> Answer:
        """The answer to a job. Raises WorkerDied; cancelling kills the worker with all that it has started."""
        try:
            await self._free.acquire()
        except asyncio.CancelledError:
            raise NotStarted("no worker process was free") from None
        self._busy += 1
        try:
            return await self._do(place, job)
        finally:
            self._busy -= 1
            self._free.release()

    async def close(self) -> None:
        """Kill them all, and wait until they have gone."""
        self._idle.clear()
        for worker in list(self._all):
            await self._end(worker)

    async def _do(self, place: Place, job: Job) -> Answer:
        frame = packed(job)
        worker = self._taken(place, job.context.secrets)
        if worker is None:
            worker = await _Worker.start(place, job.context.secrets)
            self._all.add(worker)
        spent = True
        try:
            answer = await worker.ask(frame, _BYTES_AROUND + _BYTES_PER_CHAR * job.return_char_limit)
            spent = answer.spent
            return answer
        finally:
            if spent:
                await self._end(worker)
            else:
                self._idle.append(worker)

    def _taken(self, place: Place, secrets: Secrets) -> "_Worker | None":
        """A worker that waits for such a job; if there is none, room is made for another."""
        self._idle = [worker for worker in self._idle if worker.alive]
        self._all = {worker for worker in self._all if worker.alive}
        for worker in self._idle:
            if worker.place == place and worker.secrets == secrets:
                self._idle.remove(worker)
                return worker
        if self._idle and len(self._idle) + self._busy > self._most:
            self._idle.pop(0).kill()
        return None

    async def _end(self, worker: "_Worker") -> None:
        await worker.end()
        self._all.discard(worker)


class _Worker:
    """A warden with its worker. It reads the channel, the process's own `_Output` all that the tool prints."""

    def __init__(
        self, place: Place, secrets: Secrets, output: "_Output", reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        self.place = place
        self.secrets = secrets
        self._output = output
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, place: Place, secrets: Secrets) -> Self:
        """A new one; it finds its function when it gets its first job."""
        ours, theirs = socket.socketpair()
        paths = json.dumps([path for path in sys.path if isinstance(path, str)])
        with theirs:
            try:
                _, output = await asyncio.get_running_loop().subprocess_exec(
                    lambda: _Output(place.name, secrets),
                    *(sys.executable, "-P", warden.__file__, "0", "worker", str(theirs.fileno()), paths),
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                    env=tool_environment(),
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(packed(place))
        return cls(place, secrets, output, reader, writer)

    @property
    def alive(self) -> bool:
        return not self._output.ended.is_set()

    async def ask(self, frame: bytes, most_bytes: int) -> Answer:
        """The answer, of at most so many bytes, to a job's frame. Raises WorkerDied."""
        try:
            self._writer.write(frame)
            await self._writer.drain()
            (size,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
            if size > most_bytes:
                raise WorkerDied("its process sent something that is no answer")
            return unpacked(await self._reader.readexactly(size), Answer)
        except msgspec.DecodeError:
            raise WorkerDied("its process sent something that is no answer") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            await self.end()
            raise WorkerDied(self._output.how_it_ended()) from None

    def kill(self) -> None:
        """The warden does it, whose standard input ends here."""
        self._writer.close()
        self._output.cut()

    async def end(self) -> None:
        """Kill it, and wait until it has gone, for as long as can be waited."""
        self.kill()
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENDING_S):
                await self._output.ended.wait()


class _Output(asyncio.SubprocessProtocol):
    """The warden as a process: what comes out of it goes to the log, line by line; `ended` is set at its exit."""

    def __init__(self, name: str, secrets: Secrets) -> None:
        self._name = name
        self._secrets = secrets
        self._transport: asyncio.SubprocessTransport | None = None
        self._rest = b""
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one, but not by inheritance.
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - the protocol's signature
        if not _log.isEnabledFor(logging.DEBUG):
            return
        lines = (self._rest + data).rpartition(b"\n")
        self._rest = lines[2][-_LONGEST_LINE:]
        for line in self._secrets.masked(lines[0].decode("utf-8", "replace")).splitlines():
            _log.debug("%s: %s", self._name, one_line(line))

    def process_exited(self) -> None:
        self.ended.set()
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """Let go of the warden's standard input, and have it run on if a tool has stopped it."""
        if self._transport is None:
            return
        if pipe := self._transport.get_pipe_transport(0):
            pipe.close()
        with suppress(ProcessLookupError):
            self._transport.send_signal(signal.SIGCONT)

    def how_it_ended(self) -> str:
        """In words, once it has."""
        code = self._transport.get_returncode() if self._transport else None
        if code is None:
            return "its process does not answer"
        # The warden's own end, by a signal that the tool has sent, is negative.
        number = -code if code < 0 else code - 128
        if number == signal.SIGXCPU:
            return "it used all the processor time that it may"
        with suppress(ValueError):
            return f"its process was ended by {signal.Signals(number).name}"
        return f"its process exited with code {code}"
