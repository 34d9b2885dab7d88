"""The worker: one function in a process of its own, with its agent's secrets as its environment, called job by job."""

import asyncio
import importlib
import inspect
import math
import os
import resource
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

from voice_agent.tools.base import ToolContext, ToolFault
from voice_agent.tools.function import ToolFunction
from voice_agent.tools.isolate.frames import LENGTH, Answer, Job, Place, packed, unpacked
from voice_agent.tools.outcome import as_text, sentence
from voice_agent.tools.parameters import Parameters, read_parameters

T = TypeVar("T")
_MB = 1024 * 1024
# These would change what programs the tool runs do, and whoever may name a secret may not do that.
_NOT_TO_BE_SET = ("PATH", "HOME", "LANG", "PYTHON", "LD_", "DYLD_")


def serve(channel: int) -> None:
    """Do jobs until the gateway closes the channel."""
    with socket.socket(fileno=channel) as talk:
        place = _received(talk, Place)
        job = _received(talk, Job)
        if place is None or job is None:
            return
        worker = _Worker(place, job.context.secrets)
        while job is not None:
            talk.sendall(packed(worker.do(job)))
            job = _received(talk, Job)


class _Worker:
    def __init__(self, place: Place, secrets: Mapping[str, str]) -> None:
        self._place = place
        self._pid = os.getpid()
        os.environ.update({name: value for name, value in secrets.items() if not name.startswith(_NOT_TO_BE_SET)})  # noqa: TID251 - the tool's own
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        self._function: Callable[..., Any] | None = None

    def do(self, job: Job) -> Answer:
        answer = self._answer(job)
        if os.getpid() != self._pid:
            os._exit(0)  # a copy that the tool has forked: the answer is not its to give
        return answer

    def _answer(self, job: Job) -> Answer:
        name, secrets = self._place.name, job.context.secrets
        try:
            if self._function is None:
                self._function, self._parameters = _found(self._place)
                _limit_memory(self._place.memory_mb)
            _limit_processor(job.cpu_s)
            result = self._call(self._function, job.arguments, job.context)
            text = secrets.masked(as_text(result))
            return Answer(_fitting(text, job.return_char_limit), spent=_has_children())
        except MemoryError:
            return Answer(f"{name} failed: it needed more than {self._place.memory_mb} MB of memory.", "error", True)
        except ToolFault as fault:
            text = secrets.masked(as_text(str(fault))) or f"{name} failed."
            return Answer(_fitting(text, job.return_char_limit), fault.status, _has_children())
        except BaseException as fault:  # noqa: BLE001 - SystemExit and the like end a call here, not the process
            traceback.print_exception(fault)
            text = f"{name} failed: {sentence(fault, secrets)}"
            return Answer(_fitting(text, job.return_char_limit), "error", _has_children())

    def _call(self, function: Callable[..., Any], arguments: dict[str, Any], context: ToolContext) -> object:
        bound = self._parameters.bind(arguments, context)
        if not inspect.iscoroutinefunction(function):
            return function(**bound)
        return asyncio.run(function(**bound))


def _found(place: Place) -> tuple[Callable[..., Any], Parameters]:
    found = reduce(getattr, place.qualname.split("."), importlib.import_module(place.module))
    if isinstance(found, ToolFunction):
        return found.function, found.parameters
    if not callable(found):
        raise TypeError(f"{place.module}.{place.qualname} is no function")
    return found, read_parameters(found)


def _limit_memory(megabytes: int) -> None:
    """Let the process take this much more than it has now. Only Linux can."""
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text().splitlines()
        now = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
        limit = now + megabytes * _MB
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _limit_processor(seconds: int | None) -> None:
    """Let the process take this much more time; past it, the kernel ends it by SIGXCPU."""
    if seconds is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + seconds, most))


def _has_children() -> bool:
    """Whether the call has left processes behind."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return True
        except ChildProcessError:
            return False


def _fitting(text: str, limit: int) -> str:
    """`text`, cut within `limit`: it is not to be cut again, and what is missing is counted only here."""
    if len(text) <= limit:
        return text
    kept = max(0, limit - len(f"\n[cut: {len(text)} more characters]"))
    return f"{text[:kept]}\n[cut: {len(text) - kept} more characters]"


def _received(talk: socket.socket, kind: type[T]) -> T | None:
    """The next frame; None if there is none any more."""
    head = _exactly(talk, LENGTH.size)
    body = head and _exactly(talk, LENGTH.unpack(head)[0])
    return unpacked(body, kind) if body else None


def _exactly(talk: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = talk.recv(min(size - len(parts), 1 << 20))
        if not part:
            return b""
        parts += part
    return bytes(parts)
