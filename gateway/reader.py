"""The frames of one WebSocket: each is taken in the call that reads it, as long as they come slowly enough."""

import asyncio
from collections.abc import Callable
from typing import NoReturn

from starlette.websockets import WebSocket

from gateway import errors
from gateway.websocket import at_once
from voice_agent.clock import Clock
from voice_agent.config import Settings


class Closing(Exception):
    """The socket is to be closed with this code; None: it is closed already."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Reader:
    """Gives every text to `take`, and ends with whatever that raises."""

    def __init__(self, socket: WebSocket, take: Callable[[str], None], settings: Settings, clock: Clock) -> None:
        self._socket = socket
        self._take = take
        self._rate = settings.max_frames_per_s
        self._idle_s = settings.idle_s
        self._now = clock.now
        self._allowance = self._rate * 2
        self._last_at = clock.now()
        self._protocol = at_once(socket)
        self._fault: Exception | None = None

    async def run(self) -> NoReturn:
        """Until the socket is to be closed: raises Closing, or what `take` raised."""
        if self._protocol is not None:
            self._protocol.taker = self._on_text
        while self._fault is None:
            await self._wait()
        raise self._fault

    async def _wait(self) -> None:
        """What does not come at once: the end, frames that are no text, and those from before there was a reader."""
        try:
            async with asyncio.timeout(self._last_at + self._idle_s - self._now()):
                message = await self._socket.receive()
        except TimeoutError:
            if self._now() >= self._last_at + self._idle_s:
                self._fault = Closing(errors.CLOSE_IDLE, "idle too long")
            return
        if message["type"] == "websocket.disconnect":
            self._fault = self._fault or Closing(None)
        elif (text := message.get("text")) is None:
            self._fault = self._fault or Closing(errors.CLOSE_BINARY, "frames are text")
        else:
            self._on_text(text)

    def _on_text(self, text: str) -> None:
        if self._fault is not None:
            return
        now = self._now()
        self._allowance = min(self._rate * 2, self._allowance + (now - self._last_at) * self._rate) - 1
        self._last_at = now
        if self._allowance < 0:
            self._end(Closing(errors.CLOSE_TOO_MANY, f"more than {self._rate:g} messages a second"))
            return
        try:
            self._take(text)
        except Exception as fault:  # noqa: BLE001 - it is raised where somebody waits for the end
            self._end(fault)

    def _end(self, fault: Exception) -> None:
        self._fault = fault
        if self._protocol is not None:
            self._protocol.wake()
