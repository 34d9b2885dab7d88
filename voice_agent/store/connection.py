"""The way to a server: every reply and fault of redis-py passes here, and nothing of it gets further.

Nothing is retried: a client that repeats a command by itself would double it, so callers repeat verbs, which are
idempotent scripts.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha1
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from redis import exceptions as faults

from voice_agent.store.base import Fenced, StoreDown, StoreError
from voice_agent.store.keys import Keys
from voice_agent.store.lines import Argument, Lines

# Reads that wait have connections of their own, so as to hold no other command up, and end before those time out.
WAIT_MS = 2000
WAIT_TIMEOUT_S = 10.0
# Servers that answer these may take the same command in a moment: loading, full, out of disk, failing over.
_PASSING = (faults.OutOfMemoryError, faults.ReadOnlyError, faults.TryAgainError, faults.ClusterDownError)
# In the order in which their heads build on each other.
_SCRIPT_FILES = ("scripts.lua", "memory.lua", "jobs.lua", "runs.lua")
_NO_ENTRY = (faults.AuthenticationError, faults.AuthorizationError)
# The second one is what a waiting reader gets when the stream goes away under it.
_NO_GROUP_CODES = ("NOGROUP", "UNBLOCKED")
_PASSING_CODES = ("MISCONF", "BUSY", "NOREPLICAS")


class NoGroup(StoreError):
    """The stream's consumer group is not there: never made, or lost with everything else."""


class Script(msgspec.Struct, frozen=True):
    """One atomic change, with the digest that the server knows it by."""

    text: str
    digest: str


def read_scripts() -> dict[str, Script]:
    """The scripts by name, each with the heads of all files."""
    files = [Path(__file__).with_name(name).read_text(encoding="utf-8") for name in _SCRIPT_FILES]
    parts = [re.split(r"^-- script: (\w+)\n", text, flags=re.MULTILINE) for text in files]
    head = "".join(part[0] for part in parts)
    texts = {name: head + body for part in parts for name, body in zip(part[1::2], part[2::2], strict=True)}
    return {name: Script(body, sha1(body.encode(), usedforsecurity=False).hexdigest()) for name, body in texts.items()}


class Connection:
    """A server at `where` ("host:port" or a socket's path: what may be shown; the URL may hold a password)."""

    def __init__(self, url: str, shards: int) -> None:
        """Nothing is sent yet. Raises StoreError if the URL (redis://, rediss:// or unix://) is none."""
        self.where = _where(url)
        self.keys = Keys(shards)
        self._lines = Lines(url, self.where, WAIT_TIMEOUT_S)
        self._scripts = read_scripts()

    async def call(self, *command: Argument) -> Any:
        """One command that may be repeated; returns its reply."""
        with self._translated():
            return await self._lines.ask(*command)

    async def wait(self, *command: Argument) -> Any:
        """A command that blocks, for `WAIT_MS` at most; returns its reply."""
        with self._translated():
            return await self._lines.wait(*command)

    async def pipe(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        """Several commands that may be repeated, in one round trip; returns their replies."""
        with self._translated():
            return await self._lines.ask_all(commands)

    async def run(self, name: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """A script: one round trip, but for the first time a server sees it."""
        script = self._scripts[name]
        with self._translated():
            try:
                return await self._lines.ask("EVALSHA", script.digest, len(keys), *keys, *arguments)
            except faults.NoScriptError:
                return await self._lines.ask("EVAL", script.text, len(keys), *keys, *arguments)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._lines.aclose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
            # On Python 3.11 redis-py can swallow a cancellation (`wait_for` over something that is just done).
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError
        except (faults.ConnectionError, faults.TimeoutError, OSError) as fault:
            # While it connects, redis-py wraps what the server answered.
            if any(isinstance(seen, _NO_ENTRY) for seen in (fault, fault.__cause__)):
                raise StoreError(f"the store at {self.where} refuses the credentials: {fault}") from None
            raise StoreDown(f"the store at {self.where} cannot be reached: {fault}") from None
        except _PASSING as fault:
            raise StoreDown(f"the store at {self.where} takes no writes just now: {fault}") from None
        except faults.ResponseError as fault:
            code, _, told = str(fault).partition(" ")
            if code == "FENCED":
                raise Fenced(told) from None
            if code in _NO_GROUP_CODES:
                raise NoGroup(told) from None
            if code == "ABSENT":
                raise StoreError(told) from None
            if code in _PASSING_CODES:
                raise StoreDown(f"the store at {self.where} takes no writes just now: {fault}") from None
            raise StoreError(f"the store at {self.where} answered: {fault}") from fault
        except faults.RedisError as fault:
            raise StoreError(f"the store at {self.where} answered what cannot be read: {fault}") from fault


def _where(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "unix" and parts.path:
        return unquote(parts.path)
    try:
        if parts.scheme in {"redis", "rediss"} and parts.hostname:
            return f"{parts.hostname}:{parts.port or 6379}"
    except ValueError:
        pass
    raise StoreError("the store's URL must be redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH")
