"""The writes of one conversation, in order and behind the speech: each is repeated until the store has taken it.

All writes are idempotent, so repeating one whose answer was lost does no harm. A store that is away holds turns up, not
words: they wait here, bounded, and are written under their own keys when it is back.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from voice_agent.store.base import Fenced, StoreError

Then = Callable[[Exception | None], None]
log = logging.getLogger(__name__)
_FIRST_DELAY_S, _LAST_DELAY_S = 0.05, 1.0
# Of the loop: a session's task begins the turn, the turn's calls the model, and the model's sends the request.
_ROUNDS = 3


class Journal:
    """A queue of writes. Its conversation's owner alternates `flush` and `waiting` in one task.

    `refused`: the store did not take the write that is tried now, and it is tried again.
    """

    def __init__(self, max_held: int = 256) -> None:
        self._writes: deque[tuple[Callable[[], Awaitable[object]], Then | None]] = deque()
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._max_held = max_held
        self.refused = False

    @property
    def holds(self) -> int:
        """Writes that are not stored yet."""
        return len(self._writes)

    @property
    def full(self) -> bool:
        """Too much is held: nothing new may be begun."""
        return self.holds >= self._max_held

    def submit(self, write: Callable[[], Awaitable[object]], then: Then | None = None) -> None:
        """Write after all that was submitted before; `then` is told None when it is stored, or why it never will be."""
        self._writes.append((write, then))
        self._idle.clear()
        self._work.set()

    def wake(self) -> None:
        """Let `waiting` return, to look whether it is still needed."""
        self._work.set()

    async def waiting(self) -> None:
        """Until something was submitted, or `wake`."""
        await self._work.wait()
        self._work.clear()

    async def flush(self) -> None:
        """Write until nothing is held, but give way first: by then the turn whose words these are has sent its request.

        They are journalled beside it, and not before.
        """
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
        while self._writes:
            write, then = self._writes[0]
            fault = await self._insist(write)
            self.refused = False
            self._writes.popleft()
            if then is not None:
                then(fault)
        self._idle.set()

    async def drained(self) -> None:
        """Everything that was submitted is stored."""
        await self._idle.wait()

    async def _insist(self, write: Callable[[], Awaitable[object]]) -> Exception | None:
        delay = _FIRST_DELAY_S
        while True:
            try:
                await write()
            except Fenced as fault:
                log.warning("a write was refused: %s", fault)
                return fault
            except StoreError as fault:
                if delay == _FIRST_DELAY_S:
                    log.warning("holding turns until the store takes them: %s", fault)
                self.refused = True
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LAST_DELAY_S)
            except Exception as fault:  # one write that can never succeed must not hold up all that follow
                log.exception("a write was given up")
                return fault
            else:
                return None
