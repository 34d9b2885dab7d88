"""Every place where a coroutine of ours can be suspended: counted, visited one by one, and none forgotten.

A task factory wraps each task's coroutine. Whenever it suspends, the lines at which its frames wait are noted, and at
the suspension with the chosen number something is done, before anything else can run.
"""

import ast
import asyncio
import inspect
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

Point = tuple[str, int]


def written(*modules: ModuleType) -> set[Point]:
    """All await points in the source of these modules: (file, line).

    Left out: `async with` over a deadline, which never suspends, and the wait for a thread, whose end comes in real
    time and not in the loop's.
    """
    points: set[Point] = set()
    for module in modules:
        path = inspect.getfile(module)
        for node in ast.walk(ast.parse(Path(path).read_text())):
            if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith) and _may_wait(node):
                points.add((path, node.lineno))
    return points


def _may_wait(node: ast.Await | ast.AsyncFor | ast.AsyncWith) -> bool:
    if isinstance(node, ast.AsyncWith):
        return not any(word in ast.unparse(node.items[0].context_expr) for word in ("timeout", "deadline"))
    return "wrap_future" not in ast.unparse(node)


class Watch:
    """Counts suspensions; at number `at` it calls `act` and notes where everything stood."""

    def __init__(self, at: int | None = None, act: Callable[[], None] = lambda: None) -> None:
        self.count = 0
        self.visited: set[Point] = set()
        self._at = at
        self._act = act

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch every task that is created from now on."""
        loop.set_task_factory(self._make)

    def _make(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(_Watched(coro, self), loop=loop, **options)

    def suspended(self, points: list[Point]) -> None:
        """A task has suspended, with its frames waiting at `points`."""
        self.count += 1
        if self.count == self._at:
            self.visited.update(points)
            asyncio.get_running_loop().call_soon(self._act)


class _Watched(Coroutine[Any, Any, Any]):
    def __init__(self, coro: Coroutine[Any, Any, Any], watch: Watch) -> None:
        self._coro = coro
        self._watch = watch

    def send(self, value: Any) -> Any:
        return self._seen(self._coro.send(value))

    def throw(self, *fault: Any) -> Any:
        return self._seen(self._coro.throw(*fault))

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coro.__await__()

    def _seen(self, yielded: Any) -> Any:
        self._watch.suspended(list(_waiting(self._coro)))
        return yielded


def _waiting(coro: Any) -> Generator[Point, None, None]:
    while inspect.iscoroutine(coro):
        code: CodeType = coro.cr_code
        if coro.cr_frame is not None:
            yield code.co_filename, coro.cr_frame.f_lineno
        coro = coro.cr_await
