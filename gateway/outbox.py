"""What waits to be sent to one client: in order, bounded, and with speech that can be taken back until it leaves."""

import asyncio
from collections import deque
from collections.abc import Callable

from voice_agent import events as ev

MOST_WAITING = 1024
Offer = Callable[[ev.TurnEvent | str], bool]


class Outbox:
    """A session's `Sink`. One reader, the connection's writer, takes events with `get`; with no client they wait.

    An event that comes while the reader waits is offered to it in the same call, so that it can leave at once.

    `observe` sees every event as it is emitted. `overflowing` is set when 1,024 events more wait than did when the
    client attached; whether the client reads too slowly shows in `taken`, the count of those that left.
    """

    def __init__(self, observe: Callable[[ev.TurnEvent], None]) -> None:
        self._events: deque[ev.TurnEvent | str] = deque()
        self._filled = asyncio.Event()
        self._observe = observe
        self.overflowing = asyncio.Event()
        self._most = MOST_WAITING
        self._offer: Offer | None = None
        self.taken = 0

    @property
    def waiting(self) -> int:
        """How many have not left yet."""
        return len(self._events)

    def attach(self) -> None:
        """A client is there from now on. What waited for it is not held against it; answers were for the one before."""
        self._events = deque(item for item in self._events if not isinstance(item, str))
        self.overflowing.clear()
        self._most = len(self._events) + MOST_WAITING

    def emit(self, event: ev.TurnEvent) -> None:
        """Send after what was emitted before."""
        self._observe(event)
        self._put(event)

    def answer(self, frame: str) -> None:
        """Send a frame as it is: one that is no event of the session's and bears no number."""
        self._put(frame)

    def recall(self, turn_id: str) -> int:
        """Take back the turn's unsent speech; returns its length in code points."""
        kept: deque[ev.TurnEvent | str] = deque()
        recalled = 0
        for event in self._events:
            if isinstance(event, ev.Spoke) and event.turn_id == turn_id:
                recalled += len(event.text)
            elif not (isinstance(event, ev.Flushed) and event.turn_id == turn_id):
                kept.append(event)
        self._events = kept
        return recalled

    async def get(self, offer: Offer = lambda _: False) -> ev.TurnEvent | str:
        """The next event or answer that `offer` does not take; nothing is lost if this is cancelled.

        While nothing waits, each that comes is given to `offer`, which says whether it has sent it.
        """
        while not self._events:
            self._filled.clear()
            self._offer = offer
            try:
                await self._filled.wait()
            finally:
                self._offer = None
        self.taken += 1
        return self._events.popleft()

    def _put(self, item: ev.TurnEvent | str) -> None:
        # Once something waits, all that comes after it does, until the reader has taken it.
        if self._offer is not None and not self._events and self._offer(item):
            self.taken += 1
            return
        self._events.append(item)
        self._filled.set()
        if len(self._events) > self._most:
            self.overflowing.set()
