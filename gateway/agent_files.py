"""Agents out of a directory: each `*.toml` in it is one, brought into the store, and followed as it changes.

The files are looked at twice a second: that needs no library, costs microseconds for a stat each, and sees what
notifications of the system miss (network file systems, mounts into containers, links that are swapped).
"""

import asyncio
import logging
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from voice_agent.agent import Agent, Fault, InvalidAgentError
from voice_agent.config import ConfigError
from voice_agent.store.base import Directory, StoreError
from voice_agent.utterance import well_formed

LOOK_S = 0.5
log = logging.getLogger(__name__)
_LEFT = "not taken over, what was good before stays: %s"


class Stamp(msgspec.Struct, frozen=True):
    """What tells one state of a file from another. Times in nanoseconds."""

    written: int
    changed: int
    size: int
    inode: int


_UNREADABLE = Stamp(0, 0, 0, 0)


class AgentFiles:
    """The agents of a directory. `validate` makes an agent of a definition or raises InvalidAgentError."""

    def __init__(self, where: Path, directory: Directory, validate: Callable[[Mapping[str, Any]], Agent]) -> None:
        self._where = where
        self._directory = directory
        self._validate = validate
        self._seen: dict[Path, Stamp] = {}
        self._done: dict[Path, Stamp] = {}
        self._ids: dict[Path, str] = {}
        self._waiting: set[Path] = set()
        self._complaint = ""

    async def load(self, again: bool) -> None:
        """Bring in all of them. Raises ConfigError naming every fault of every file, before anything is written.

        `again`: it was done before and all was well; a file that was broken since is logged and keeps nobody out.
        """
        try:
            self._seen = await asyncio.to_thread(_stamps, self._where)
        except (OSError, RuntimeError) as fault:  # the last: `~` of nobody
            why = fault.strerror if isinstance(fault, OSError) else fault
            raise ConfigError(f"VOICE_AGENTS: {self._where} cannot be read: {why}") from None
        agents, faults = [], []
        for path in self._seen:
            try:
                agents.append(self._agent(path))
            except InvalidAgentError as fault:
                faults += list(_told(path, fault))
        if faults and not again:
            raise ConfigError(f"VOICE_AGENTS: {'; '.join(faults)}")
        if faults:
            log.warning(_LEFT, "; ".join(faults))
        for agent in agents:
            await self._write(agent)
        self._done = dict(self._seen)

    async def follow(self) -> None:
        """Bring in what changes, for as long as this runs."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
                self._complaint = ""
            except StoreError as fault:
                self._complain(f"changed agent files wait for the store: {fault}")
            except OSError as fault:
                self._complain(f"{self._where} cannot be read, its agents stay as they are: {fault.strerror}")

    def _complain(self, complaint: str) -> None:
        """Once, not twice a second."""
        if complaint != self._complaint:
            log.warning("%s", complaint)
        self._complaint = complaint

    async def look(self) -> None:
        """Bring in the files that changed, each once it is the same at two looks, so that none is half written.

        A faulty one is logged and leaves its agent as it was; so does one that has gone. Raises StoreError and OSError
        (the directory cannot be read), after which the next look tries again.
        """
        stamps = await asyncio.to_thread(_stamps, self._where)
        for path in self._done.keys() - stamps.keys():
            self._let_go(path)
        settled = [path for path, stamp in stamps.items() if self._seen.get(path) == stamp]
        self._seen = stamps
        for path in settled:
            if self._done.get(path) != stamps[path]:
                await self._take(path)
                self._done[path] = stamps[path]

    async def _take(self, path: Path) -> None:
        try:
            agent = self._agent(path)
        except InvalidAgentError as fault:
            log.warning(_LEFT, "; ".join(_told(path, fault)))
            return
        if await self._write(agent):
            log.info("agent %s is now as %s says", agent.id, path)

    def _let_go(self, path: Path) -> None:
        self._done.pop(path, None)
        if agent_id := self._free_id(path):
            log.info("%s has gone; agent %s stays until it is deleted over HTTP", path, agent_id)

    def _agent(self, path: Path) -> Agent:
        """The agent that a file describes, whose id is taken from then on. Raises InvalidAgentError."""
        agent = self._validate({"id": path.stem} | _document(path))
        if self._ids.get(path, agent.id) != agent.id:
            self._free_id(path)
        for other, agent_id in self._ids.items():
            if agent_id == agent.id and other != path:
                self._waiting.add(path)
                raise InvalidAgentError((Fault("/id", f"{agent.id!r} is the id of {other} already"),))
        self._ids[path] = agent.id
        return agent

    def _free_id(self, path: Path) -> str | None:
        """The id that a file had. The next look takes up those that were refused because theirs was another's."""
        for waiting in self._waiting:
            self._done.pop(waiting, None)
        self._waiting.clear()
        return self._ids.pop(path, None)

    async def _write(self, agent: Agent) -> bool:
        """Whether there was anything to write. What others write meanwhile is written over: the file was the change."""
        document = agent.document()
        while True:
            row = await self._directory.read_agent(agent.id)
            if row is not None and msgspec.json.decode(row.document) == msgspec.json.decode(document):
                return False
            if await self._directory.write_agent(agent.id, document, row.version if row else 0):
                return True


def _stamps(where: Path) -> dict[Path, Stamp]:
    """The files in a directory, in the order of their names. Hidden ones are editors' own. Raises OSError."""
    found = {}
    for path in sorted(where.expanduser().iterdir()):
        if path.suffix == ".toml" and not path.name.startswith("."):
            try:
                told = path.stat()
            except OSError as fault:
                if isinstance(fault, FileNotFoundError) and not path.is_symlink():
                    continue  # it went between the two calls
                found[path] = _UNREADABLE  # reading it will tell why
                continue
            if stat.S_ISREG(told.st_mode):
                found[path] = Stamp(told.st_mtime_ns, told.st_ctime_ns, told.st_size, told.st_ino)
    return found


def _document(path: Path) -> dict[str, Any]:
    """What a file holds, as JSON would hold it. Raises InvalidAgentError."""
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise InvalidAgentError((Fault("", "its name is not UTF-8"),)) from None
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(table))
    except OSError as fault:
        raise InvalidAgentError((Fault("", f"it cannot be read: {fault.strerror}"),)) from None
    except UnicodeDecodeError:
        raise InvalidAgentError((Fault("", "it is not UTF-8"),)) from None
    except (ValueError, OverflowError, RecursionError) as fault:
        raise InvalidAgentError((Fault("", f"it is no TOML that can be read: {fault}"),)) from None
    return document


def _told(path: Path, error: InvalidAgentError) -> Iterator[str]:
    """Each fault after its file."""
    for fault in error.faults:
        yield well_formed(f"{path}: {fault.path}: {fault.message}" if fault.path else f"{path}: {fault.message}")
