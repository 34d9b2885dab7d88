"""The keeper: a process of its own that starts the embedded server, restarts it, and stops it after the last user.

Run as a script, without site-packages, so that it is up in milliseconds and outlives whoever started it. Every process
that uses the server holds the write end of one FIFO; the kernel closes it however the process dies, and the keeper then
reads the end of file. It says on standard output what went wrong at the start; nothing means that the server answers.
"""

import errno
import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

POLL_S = 0.002
LOOK_S = 1.0
RETRY_S = 0.02
STOP_S = 10.0
STEADY_S = 10.0
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
OPTIONS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "always",
    # Without the RDB preamble other versions and Redis can read the file, so the directory can be moved to them.
    "aof-use-rdb-preamble": "no",
    "save": "",
    "maxmemory-policy": "noeviction",
}


class Keeper:
    """One server on one data directory. `life` is the lock that says that this keeper lives."""

    def __init__(self, data_dir: Path, socket_path: str, binary: str, life: int) -> None:
        self._data_dir = data_dir
        self._socket = socket_path
        self._binary = binary
        self._life = life
        self._door = os.open(data_dir, os.O_RDONLY)
        self._users = os.open(data_dir / "users", os.O_RDONLY | os.O_NONBLOCK)
        self._woken, waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self._told_to_stop = False
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop_soon)

    def run(self) -> None:
        """Keep the server until its last user has gone."""
        dismiss(self._socket)
        try:
            server = self._spawn()
        except OSError as fault:
            tell(f"{self._binary}: {fault.strerror}")
            return
        while not answers(self._socket):
            if server.poll() is not None:
                tell(last_line(self._data_dir))
                return
            time.sleep(POLL_S)
        silence()
        self._keep(server)

    def _keep(self, server: "subprocess.Popen[bytes]") -> None:
        started = due = time.monotonic()
        delay = 0.0
        while self._still_ours():
            if self._told_to_stop or self._deserted():
                if self._finish(server):
                    return
                # The end of file wakes a select at once, and whoever attaches needs a moment.
                time.sleep(RETRY_S)
            elif server.poll() is None:
                self._wait(LOOK_S)
                due = time.monotonic() + (delay if time.monotonic() - started < STEADY_S else 0)
            elif (left := due - time.monotonic()) > 0:
                self._wait(left)
            else:
                server, started = self._spawn(), time.monotonic()
                delay = min(max(FIRST_DELAY_S, delay * 2), LONGEST_DELAY_S)
        # A graceful stop would take the socket of a newer server with it, and there is nothing left to save.
        server.kill()
        server.wait()

    def _spawn(self) -> "subprocess.Popen[bytes]":
        options = [word for name, value in OPTIONS.items() for word in (f"--{name}", value)]
        with open(self._data_dir / "server.log", "ab") as log:
            return subprocess.Popen(
                [self._binary, *options, "--unixsocket", self._socket, "--dir", str(self._data_dir)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _finish(self, server: "subprocess.Popen[bytes]") -> bool:
        """Stop the server under the lock that users attach under; False if one is attaching, or just has."""
        try:
            fcntl.flock(self._door, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if not self._told_to_stop and not self._deserted():
            fcntl.flock(self._door, fcntl.LOCK_UN)
            return False
        server.terminate()
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        # In this order: whoever gets the door must find that no keeper lives.
        os.close(self._life)
        os.close(self._door)
        return True

    def _deserted(self) -> bool:
        try:
            return os.read(self._users, 1) == b""
        except BlockingIOError:
            return False

    def _still_ours(self) -> bool:
        """False once the data directory was deleted or emptied: what the server writes then goes nowhere."""
        try:
            return os.path.samestat(os.stat(self._data_dir / "users"), os.fstat(self._users))
        except OSError:
            return False

    def _wait(self, seconds: float) -> None:
        select.select([self._users, self._woken], [], [], seconds)
        with suppress(BlockingIOError):
            os.read(self._woken, 4096)

    def _stop_soon(self, *_: object) -> None:
        self._told_to_stop = True


def answers(socket_path: str) -> bool:
    """Whether a server answers there and has loaded its data."""
    try:
        with socket.socket(socket.AF_UNIX) as talk:
            talk.settimeout(STOP_S)
            talk.connect(socket_path)
            talk.sendall(b"PING\r\n")
            return talk.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def dismiss(socket_path: str) -> None:
    """Stop the server of a keeper that was killed; it has kept what it acknowledged."""
    try:
        with socket.socket(socket.AF_UNIX) as talk:
            talk.settimeout(STOP_S)
            talk.connect(socket_path)
            talk.sendall(b"SHUTDOWN NOSAVE\r\n")
            while talk.recv(4096):
                pass
    except TimeoutError:
        tell("a server without a keeper holds the directory and does not stop")
        sys.exit(1)
    except OSError as fault:
        if fault.errno not in {errno.ENOENT, errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE}:
            raise


def last_line(data_dir: Path) -> str:
    """What the server said last."""
    lines = (data_dir / "server.log").read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")


def tell(fault: str) -> None:
    """Say it to whoever started us."""
    os.write(1, fault.encode())


def silence() -> None:
    """Close standard output: whoever started us waits for that."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


if __name__ == "__main__":
    # The starter waits for its child: the keeper is a grandchild, so that nobody has to reap it.
    if os.fork():
        os._exit(0)
    Keeper(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])).run()
