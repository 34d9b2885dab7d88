"""uvicorn's WebSocket with a second way to send and to receive: at once, in the call that has something to say.

ASGI's `send` and `receive` are coroutines, so that every token, and every word of a caller, would wait for a task to be
woken.
"""

from collections.abc import Callable
from typing import Any, cast

from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

_EXTENSION = "voice.send_at_once"


class Protocol(WebSocketsSansIOProtocol):
    """What uvicorn is given as its `ws`; the connection finds it by `at_once`.

    `taker` gets every text frame from then on, once those that came before are received, and must not raise.
    """

    taker: Callable[[str], None] | None = None

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.handshake_initiated and not self.handshake_complete:
            extensions = cast(dict[str, Any], self.scope["extensions"])
            extensions[_EXTENSION] = self

    def send_receive_event_to_app(self) -> None:
        if self.taker is None or self.curr_msg_data_type != "text" or self.close_sent or not self.queue.empty():
            super().send_receive_event_to_app()
            return
        try:
            text = b"".join(self.frames).decode()
        except UnicodeDecodeError:
            super().send_receive_event_to_app()  # it closes the connection
            return
        self.frames = []
        self.taker(text)

    def wake(self) -> None:
        """Let `receive` return, with nothing."""
        self.queue.put_nowait({"type": "websocket.receive", "text": ""})

    @property
    def ready(self) -> bool:
        """Whether a frame sent now would leave now: the client reads as fast as it is told."""
        closing = self.disconnected or self.close_sent or self.transport.is_closing()
        return self.writable.is_set() and self.handshake_complete and not closing

    def send_text(self, text: str) -> None:
        """Send a text frame; only while `ready`."""
        payload = text.encode()
        length = len(payload)
        self.transport.write((_SHORT[length] if length < len(_SHORT) else _head(length)) + payload)


# What precedes the payload of an unmasked, unfragmented text frame (RFC 6455, section 5.2), by its length.
_SHORT = tuple(bytes((0x81, length)) for length in range(126))


def _head(length: int) -> bytes:
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")


def at_once(socket: WebSocket) -> Protocol | None:
    """The protocol behind a socket; None under another server."""
    found = socket.scope.get("extensions", {}).get(_EXTENSION)
    return found if isinstance(found, Protocol) else None
