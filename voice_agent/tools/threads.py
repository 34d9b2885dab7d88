"""Threads for functions that block: bounded, and never waited for, by the loop or by the interpreter's exit."""

import contextvars
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Lock, Thread

_Job = tuple["Future[str]", Callable[[], str]]


class Threads:
    """Runs at most `limit` functions at a time; others wait their turn, and can still be cancelled while they do.

    Beside them run at most `most_left` that nobody waits for any more. The standard executors join their threads at
    exit, so that one stuck tool would keep the process alive.
    """

    def __init__(self, limit: int = 32, most_left: int = 256) -> None:
        self._limit = limit
        self._most_left = most_left
        self._lock = Lock()
        self._waiting: deque[_Job] = deque()
        self._running = 0
        self._left: set[Future[str]] = set()

    def submit(self, work: Callable[[], str]) -> "Future[str]":
        """Run `work` in the caller's context variables. The future's `cancel()` is True if it never began.

        Raises RuntimeError if the system has no more threads.
        """
        future: Future[str] = Future()
        context = contextvars.copy_context()
        with self._lock:
            self._waiting.append((future, lambda: context.run(work)))
            try:
                self._grow()
            except RuntimeError:
                if not self._running:
                    self._waiting.pop()
                    raise
        return future

    def leave(self, future: "Future[str]") -> None:
        """Nobody waits for it any more: another may run in its place, if there are not too many such already."""
        with self._lock:
            if future.running() and future not in self._left and len(self._left) < self._most_left:
                self._left.add(future)
                self._running -= 1
                with suppress(RuntimeError):
                    self._grow()

    def _grow(self) -> None:
        if self._waiting and self._running < self._limit:
            Thread(target=self._serve, name="tool", daemon=True).start()
            self._running += 1

    def _serve(self) -> None:
        while job := self._next():
            future, work = job
            if future.set_running_or_notify_cancel():
                _settle(future, work)
            with self._lock:
                if future in self._left:
                    self._left.remove(future)
                    return
            # A thread that waits for its next job must not keep the last one's result alive.
            del job, future, work

    def _next(self) -> _Job | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._running -= 1
            return None


def _settle(future: "Future[str]", work: Callable[[], str]) -> None:
    try:
        future.set_result(work())
    except StopIteration as fault:
        # No future can carry it (PEP 479): the one who waits would never wake.
        future.set_exception(RuntimeError("StopIteration").with_traceback(fault.__traceback__))
    except Exception as fault:  # noqa: BLE001 - it is handed to the one who waits
        future.set_exception(fault)
    except BaseException as fault:  # noqa: BLE001 - SystemExit and the like end a tool here, not the process
        told = RuntimeError(f"{type(fault).__name__}: {fault}")
        future.set_exception(told.with_traceback(fault.__traceback__))
