"""An event loop whose clock jumps to the next timer when nothing else is left to do: no test waits, none is late."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
WALL_AT_START = 1_800_000_000.0


class _InstantSelector(selectors.DefaultSelector):
    """Never sleeps: the time the loop would have waited is added to its clock instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("the test hangs: nothing is ready and no timer is set")
        self.now += timeout
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        self._instant = _InstantSelector()
        super().__init__(self._instant)

    def time(self) -> float:
        return self._instant.now

    def skip(self, seconds: float) -> None:
        """So much later it is now."""
        self._instant.now += seconds


class VirtualClock:
    """The clock of the running virtual loop; its wall time starts at a fixed date."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return WALL_AT_START + self.now()


def block(seconds: float) -> None:
    """Keep the running loop's thread for so long: nothing else happens meanwhile."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.skip(seconds)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
