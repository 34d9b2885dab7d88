"""The terminal client: one call over `voice.v1`, typed and read, that survives its socket. Talk says what to do."""

import asyncio
import json
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import msgspec
from rich.console import Console
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from gateway.talk import Piece, Style, Talk, Todo

RETRY_S = (0.2, 0.5, 1.0, 2.0, 4.0)
OPEN_S = 5.0
LEAVE_S = 2.0
_FINAL = {
    1003: "the gateway refused a frame",
    1009: "the line was too long for the gateway",
    4401: "the credentials have expired",
    4408: "the call was idle for too long",
    4409: "the call was taken over from elsewhere",
    4429: "too many messages in too short a time",
}
_COLOURS: dict[Style, str | None] = {
    "reply": None,
    "aside": "cyan",
    "notice": "yellow",
    "tool": "magenta",
    "ask": "bold magenta",
    "note": "dim",
    "error": "red",
    "prompt": "green",
}


class ChatError(Exception):
    """The call cannot be made or went wrong; the message is for the person at the keyboard."""


class Target(msgspec.Struct, frozen=True):
    """Whom to call. `url` is the gateway's, with http, https, ws or wss; `key` is an API key or None."""

    url: str
    agent: str
    user: str | None = None
    key: str | None = None

    def address(self, resume: str | None, last_seq: int) -> str:
        """The session's WebSocket address. Raises ChatError if `url` is none."""
        parts = urlsplit(self.url)
        scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
        if scheme is None or not parts.netloc:
            raise ChatError(f"{self.url!r} is no address of a gateway: it looks like http://127.0.0.1:8080")
        query = {"user": self.user, "resume": resume, "last_seq": last_seq if resume else None}
        given = urlencode({name: value for name, value in query.items() if value is not None})
        path = f"{parts.path.rstrip('/')}/v1/agents/{quote(self.agent, safe='')}/session"
        return urlunsplit((scheme, parts.netloc, path, given, ""))


class Chat:
    """Makes one call. `typed`, `input_ended` and `ctrl_c` tell it what the person does, `show` prints."""

    def __init__(
        self, target: Target, talk: Talk, show: Callable[[Piece], None], retry_s: tuple[float, ...] = RETRY_S
    ) -> None:
        self._target = target
        self._talk = talk
        self._show = show
        self._retry_s = retry_s
        self._inputs: asyncio.Queue[Callable[[], Todo]] = asyncio.Queue()
        self._leaving = asyncio.Event()
        self._connected = False

    def typed(self, line: str) -> None:
        """A line was entered."""
        self._inputs.put_nowait(lambda: self._talk.line(line))

    def input_ended(self) -> None:
        """No line will come any more."""
        self._inputs.put_nowait(self._talk.end_of_input)

    def ctrl_c(self) -> None:
        """Interrupt the agent, or leave."""
        if self._connected:
            self._inputs.put_nowait(self._talk.ctrl_c)
        else:
            self._leaving.set()

    async def run(self) -> None:
        """Call, and call again with the resume token while the socket drops. Raises ChatError."""
        tries = 0
        while not self._leaving.is_set():
            before = self._talk.last_seq
            try:
                await self._attempt()
            except InvalidStatus as refusal:
                self._refused(refusal)
            except (OSError, InvalidHandshake, InvalidURI) as fault:
                if self._talk.resume is None:
                    raise ChatError(_unreachable(self._target.url, fault)) from None
            tries = 0 if self._talk.last_seq > before else tries
            if self._leaving.is_set():
                return
            if tries == len(self._retry_s):
                raise ChatError(f"the connection to {self._target.url} is lost; {tries} tries did not bring it back")
            if tries == 0:
                self._print(self._talk.dropped())
            await self._pause(self._retry_s[tries])
            tries += 1

    async def _attempt(self) -> None:
        headers = {"Authorization": f"Bearer {self._target.key}"} if self._target.key else {}
        address = self._target.address(self._talk.resume, self._talk.last_seq)
        options: dict[str, Any] = {"compression": None, "proxy": None, "open_timeout": OPEN_S}
        async with connect(
            address, subprotocols=[Subprotocol("voice.v1")], additional_headers=headers, **options
        ) as socket:
            self._connected = True
            try:
                await self._call(socket)
            finally:
                self._connected = False
        if self._leaving.is_set():
            return
        if socket.close_code == 1000:
            self._leaving.set()
        elif socket.close_code in _FINAL:
            raise ChatError(_FINAL[socket.close_code])

    async def _call(self, socket: ClientConnection) -> None:
        fault: ChatError | None = None
        async with asyncio.TaskGroup() as group:
            helpers = [group.create_task(self._hang_up(socket))]
            try:
                while True:
                    event = _decoded(await socket.recv())
                    await self._do(self._talk.event(event), socket)
                    if event["type"] == "session.ready":
                        helpers.append(group.create_task(self._speak(socket)))
            except (ConnectionClosed, KeyError, TypeError) as end:
                if not isinstance(end, ConnectionClosed):
                    fault = ChatError(f"what answers at {self._target.url} does not speak voice.v1")
                for helper in helpers:
                    helper.cancel()
        if fault:
            raise fault

    async def _speak(self, socket: ClientConnection) -> None:
        while True:
            make = await self._inputs.get()
            try:
                await self._do(make(), socket)
            except ConnectionClosed:  # `_call` sees it too, and Talk sends again what matters
                return

    async def _hang_up(self, socket: ClientConnection) -> None:
        await self._leaving.wait()
        await asyncio.sleep(LEAVE_S)  # the gateway answers session.end by closing, this is for one that does not
        await socket.close()

    async def _do(self, todo: Todo, socket: ClientConnection) -> None:
        self._print(todo)
        if self._talk.done:
            self._leaving.set()
        for frame in todo.frames:
            await socket.send(json.dumps(frame, ensure_ascii=False))

    def _print(self, todo: Todo) -> None:
        for piece in todo.pieces:
            self._show(piece)

    def _refused(self, refusal: InvalidStatus) -> None:
        status = refusal.response.status_code
        if self._talk.resume is not None and status == 410:
            self._print(self._talk.lost())
            return
        if self._talk.resume is not None and status >= 500:
            return
        detail = _detail(refusal.response.body)
        match status:
            case 401:
                hint = "; give a key with --key or VOICE_API_KEY"
            case 404:
                hint = "; give another with --agent"
            case _:
                hint = ""
        raise ChatError(f"{self._target.url} refused the call ({status}): {detail}{hint}") from None

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._leaving.wait()
        except TimeoutError:
            return


def _decoded(frame: str | bytes) -> dict[str, Any]:
    """The event in a frame. Raises TypeError if there is none."""
    try:
        event = json.loads(frame)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise TypeError("not an event")
    return event


def _unreachable(url: str, fault: Exception) -> str:
    match fault:
        case ConnectionRefusedError():
            return f"nothing listens at {url}; `voice-gateway serve` starts a gateway"
        case TimeoutError():
            return f"{url} does not answer"
        case InvalidHandshake():
            return f"what answers at {url} is no gateway: {fault}"
        case _:
            return f"cannot reach {url}: {fault}"


def _detail(body: bytes | bytearray | None) -> str:
    try:
        return str(json.loads(body or b"")["detail"])
    except (ValueError, KeyError, TypeError):
        return "no reason given"


def read_lines(fd: int, loop: asyncio.AbstractEventLoop, chat: Chat) -> None:
    """Feed the chat from a file descriptor. Runs in a thread that may be left behind blocked: no file works with all
    of terminals, pipes and files otherwise, and `sys.stdin` would hold its lock while the interpreter ends."""
    rest = b""
    with suppress(RuntimeError):  # the loop is closed: the call is over, and nobody wants to hear more
        try:
            while chunk := os.read(fd, 65_536):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    loop.call_soon_threadsafe(chat.typed, line.decode(errors="replace").rstrip("\r"))
        except OSError:  # a terminal that was hung up
            rest = b""
        if rest:
            loop.call_soon_threadsafe(chat.typed, rest.decode(errors="replace"))
        loop.call_soon_threadsafe(chat.input_ended)


async def chat(target: Target) -> None:
    """Chat over stdin and stdout until the person leaves. Raises ChatError."""
    console = Console(highlight=False, soft_wrap=True)
    person = sys.stdin.isatty() and sys.stdout.isatty()

    def show(piece: Piece) -> None:
        console.out(piece.text, style=_COLOURS[piece.style], highlight=False, end="")

    call = Chat(target, Talk(secrets.token_hex(4), person=person), show)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, call.ctrl_c)
    threading.Thread(target=read_lines, args=(sys.stdin.fileno(), loop, call), name="stdin", daemon=True).start()
    await call.run()
