"""The leanest WebSocket client there is: the handshake by `websockets`, and text frames cut by hand.

A load generator shares its core with the simulated provider: a text frame costs it 1 us here, 15 us in the library's
parser. Frames of any other kind, which are rare, go to that parser whole.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from websockets.client import ClientProtocol
from websockets.frames import Close, Opcode
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from gateway.bench.plan import BenchError
from gateway.bench.where import refusal

OPEN_S = 20.0
_TEXT = 0x81  # a final text frame


class Line(asyncio.Protocol):
    """One WebSocket: `on_text` gets each text frame's bytes, `on_lost` why it ended unless `hang_up` ended it."""

    def __init__(
        self, address: str, key: str | None, on_text: Callable[[bytes], None], on_lost: Callable[[str], None]
    ) -> None:
        self._protocol = ClientProtocol(parse_uri(address), subprotocols=[Subprotocol("voice.v1")])
        self._key = key
        self._rest = b""
        self._is_open = False
        self._leaving = False
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._close: Close | None = None
        self._on_text = on_text
        self._on_lost = on_lost

    async def open(self) -> None:
        """Connect. Raises BenchError, saying what was answered or that nothing was."""
        uri = self._protocol.uri
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(OPEN_S):
                await loop.create_connection(lambda: self, uri.host, uri.port, ssl=uri.secure or None)
                await self._opened
        except (OSError, TimeoutError) as fault:
            self.hang_up()
            raise BenchError(_unreachable(uri.host, uri.port, fault)) from None
        except BaseException:
            self.hang_up()
            raise

    def send(self, text: bytes) -> None:
        """Send a text frame, if there is still somebody to take it."""
        if self._is_open and self._protocol.state is OPEN:
            self._protocol.send_text(text)
            self._flush()

    def hang_up(self) -> None:
        """End the connection at once."""
        self._leaving = True
        if self._transport is not None:
            self._transport.close()

    # ---- asyncio.Protocol ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        request = self._protocol.connect()
        if self._key is not None:
            request.headers["Authorization"] = f"Bearer {self._key}"
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        buffer = self._rest + data if self._rest else data
        if self._is_open:
            self._rest = buffer[self._cut(buffer) :]
        else:
            self._rest = self._shake(buffer)

    def connection_lost(self, _: Exception | None) -> None:
        if not self._opened.done():
            self._opened.set_exception(BenchError("the gateway closed a connection before it answered"))
            self._opened.exception()  # looked at, for nobody may wait for it any more
        elif self._is_open and not self._leaving:
            told = self._close
            why = f"{told.code} {told.reason}".strip() if told else "without a closing frame"
            self._on_lost(f"the gateway closed a connection ({why})")

    # ---- how ----

    def _shake(self, buffer: bytes) -> bytes:
        """The answer to the handshake; what follows its head are frames, or the body of a refusal."""
        head, ends, rest = buffer.partition(b"\r\n\r\n")
        if not ends:
            return buffer
        if not head.startswith(b"HTTP/1.1 101"):
            self._protocol.receive_data(buffer)
        else:
            self._protocol.receive_data(head + ends)
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._answered(event)
        self._is_open = self._protocol.state is OPEN
        if not self._is_open:
            return b""
        return rest[self._cut(rest) :]

    def _answered(self, response: Response) -> None:
        fault = self._protocol.handshake_exc
        if self._opened.done():
            return
        if fault is None:
            self._opened.set_result(None)
        elif response.status_code == 101:
            self._opened.set_exception(BenchError(f"what answers is no gateway: {fault}"))
        else:
            self._opened.set_exception(BenchError(refusal(response.status_code, bytes(response.body or b""))))

    def _cut(self, buffer: bytes) -> int:
        """Hand over every whole frame; returns where the first incomplete one begins."""
        at, end = 0, len(buffer)
        while end - at >= 2:
            size, start = buffer[at + 1], at + 2
            if size == 126:
                start, size = at + 4, int.from_bytes(buffer[at + 2 : at + 4])
            elif size == 127:
                start, size = at + 10, int.from_bytes(buffer[at + 2 : at + 10])
            if start + size > end:
                break
            if buffer[at] == _TEXT:
                self._on_text(buffer[start : start + size])
            else:
                self._rare(buffer[at : start + size])
            at = start + size
        return at

    def _rare(self, frame: bytes) -> None:
        self._protocol.receive_data(frame)
        for event in self._protocol.events_received():
            if getattr(event, "opcode", None) is Opcode.CLOSE:
                self._close = self._protocol.close_rcvd
        self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if self._transport is not None and not self._transport.is_closing():
                self._transport.write(data) if data else self._transport.write_eof()


def _unreachable(host: str, port: int, fault: Exception) -> str:
    match fault:
        case ConnectionRefusedError():
            return f"nothing listens at {host}:{port}; `voice-gateway serve` starts a gateway"
        case TimeoutError():
            return f"{host}:{port} does not answer within {OPEN_S:g} s"
        case socket.gaierror():
            return f"the host name {host!r} is not known"
        case _:
            return f"cannot reach {host}:{port}: {fault}"
