"""Sequence numbers, and the frames kept so that a client that comes back gets every one once."""

from collections import deque
from collections.abc import Callable

from gateway.errors import Gone, InvalidRequest
from voice_agent.agent import Fault
from voice_agent.events import TurnEvent

KEPT_FRAMES = 4096
KEPT_CHARS = 512 * 1024


class Replay:
    """Frames of one session, numbered 1, 2, 3 …; the oldest are dropped beyond 4,096 frames or 512 Ki characters."""

    def __init__(self, encode: Callable[[TurnEvent, int], str]) -> None:
        self._encode = encode
        self._frames: deque[str] = deque()
        self._size = 0
        self._last = 0

    def record(self, event: TurnEvent) -> str:
        """Number an event that is about to be sent, and keep its frame."""
        self._last += 1
        frame = self._encode(event, self._last)
        self._frames.append(frame)
        self._size += len(frame)
        while len(self._frames) > KEPT_FRAMES or (self._size > KEPT_CHARS and len(self._frames) > 1):
            self._size -= len(self._frames.popleft())
        return frame

    def after(self, seq: int) -> list[str]:
        """Every frame numbered above `seq`. Raises Gone if some of them are no longer kept."""
        if seq > self._last:
            raise InvalidRequest(Fault("/query/last_seq", f"no event {seq} was sent, the last one was {self._last}"))
        first = self._last - len(self._frames) + 1
        if seq + 1 < first:
            raise Gone(f"events after {seq} are no longer kept, the oldest is {first}")
        return list(self._frames)[seq + 1 - first :]
