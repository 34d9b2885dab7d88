"""One WebSocket and the session it is attached to: a reader, a writer and a watcher under one TaskGroup."""

import asyncio
import logging
from functools import partial

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway import errors
from gateway.auth import Doors, refuse_strangers
from gateway.dialects import native
from gateway.dialects.base import FrameError
from gateway.dialects.client_tools import ClientTools
from gateway.dialects.native_frames import Ping
from gateway.errors import Gone, InvalidRequest, problem_response
from gateway.outbox import MOST_WAITING, Outbox
from gateway.reader import Closing, Reader
from gateway.sessions import LiveSession, Sessions
from gateway.websocket import at_once
from voice_agent import events as ev
from voice_agent.agent import Fault
from voice_agent.clock import Clock
from voice_agent.config import Settings
from voice_agent.telemetry import Telemetry

log = logging.getLogger(__name__)
_CLOSE_S = 1.0
SLOW_S = 1.0
_MOST_BEHIND = 16_384
_MOST_DIGITS = 15


class SessionSocket:
    """The endpoint `/v1/agents/{agent_id}/session`."""

    def __init__(
        self, sessions: Sessions, doors: Doors, settings: Settings, clock: Clock, telemetry: Telemetry
    ) -> None:
        self._sessions = sessions
        self._doors = doors
        self._settings = settings
        self._clock = clock
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit, attach, converse; a refusal is an HTTP answer before the upgrade."""
        socket = WebSocket(scope, receive, send)
        try:
            live, seq = await self._admit(socket)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the table says what the client is told
            refusal = problem_response(fault)
            if refusal.status_code >= 500:
                log.warning("a session was refused: %s", fault)
            await _refuse(socket, refusal)
            return
        async with self._sessions.attached(live) as fenced:
            try:
                # Read only now: until the older socket had let go, it may have sent more.
                missed = None if seq is None else live.replay.after(seq)
            except Gone as fault:
                await _refuse(socket, problem_response(fault))
                return
            offered = socket.scope.get("subprotocols", [])
            await socket.accept(native.SUBPROTOCOL if native.SUBPROTOCOL in offered else None)
            try:
                await self._converse(socket, live, missed, fenced)
            except Exception:
                log.exception("a connection failed")
                await _close(socket, errors.CLOSE_INTERNAL, "internal error")

    async def _admit(self, socket: WebSocket) -> tuple[LiveSession, int | None]:
        """The session, and for a client that comes back the last event it has seen."""
        query, headers = socket.query_params, socket.headers
        caller = await self._doors.admit(headers.get("authorization"), query.get("token"))
        if caller.kind == "open":
            refuse_strangers(headers.get("origin"), headers.get("host"))
        agent_id = socket.path_params["agent_id"]
        user = caller.enter(agent_id, query.get("user"))
        token = query.get("resume")
        if token is not None:
            live = self._sessions.find(agent_id, caller.user or query.get("user"), token)
            seq = _number(query.get("last_seq", "0"))
            live.replay.after(seq)
            return live, seq
        agent = await self._sessions.agent(agent_id)
        return await self._sessions.open(agent, user), None

    async def _converse(
        self, socket: WebSocket, live: LiveSession, missed: list[str] | None, fenced: asyncio.Future[None]
    ) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write(socket, live, missed))
                tasks.create_task(_watch(fenced, live.outbox))
                await Reader(socket, partial(self._take, live), self._settings, self._clock).run()
        except* Closing as closing:
            first = closing.exceptions[0]
            if isinstance(first, Closing) and first.code is not None:
                await _close(socket, first.code, first.reason)

    async def _write(self, socket: WebSocket, live: LiveSession, missed: list[str] | None) -> None:
        session = live.session
        await self._send(socket, native.ready({
            "session_id": session.id,
            "agent_id": live.agent_id,
            "user": live.user,
            "resume_token": live.resume_token,
            "resumed": missed is not None,
            "memory_version": session.conversation.memory_version,
        }))  # fmt: skip
        for frame in missed or ():
            await self._send(socket, frame)
        protocol = at_once(socket)

        def offer(item: ev.TurnEvent | str) -> bool:
            if protocol is None or not protocol.ready or isinstance(item, ev.SessionEnded):
                return False
            protocol.send_text(item if isinstance(item, str) else live.replay.record(item))
            return True

        while live.ended is None:
            item = await live.outbox.get(offer)
            if isinstance(item, ev.SessionEnded):
                live.ended = item.reason
            await self._send(socket, item if isinstance(item, str) else live.replay.record(item))
        live.told = True
        raise Closing(*_goodbye(live.ended))

    async def _send(self, socket: WebSocket, frame: str) -> None:
        try:
            await socket.send({"type": "websocket.send", "text": frame})
        except (WebSocketDisconnect, OSError, RuntimeError):
            raise Closing(None) from None

    def _take(self, live: LiveSession, text: str) -> None:
        started = self._clock.now()
        try:
            taken = native.decode(text, self._settings.max_text_chars)
            for brought in taken:
                if isinstance(brought, ClientTools):
                    live.bring(brought.tools)
                elif isinstance(brought, native.Options):
                    live.choose(brought)
        except FrameError as fault:
            live.outbox.emit(ev.Failed(fault.code, fault.message, field=fault.field))
            return
        for event in taken:
            if isinstance(event, Ping):
                live.outbox.answer(native.pong(event))
            elif not isinstance(event, ClientTools | native.Options):
                live.session.handle(event)
            if isinstance(event, ev.UserInterrupted):
                self._telemetry.barge_in_seconds(self._clock.now() - started)


async def _watch(fenced: asyncio.Future[None], outbox: Outbox) -> None:
    """Close for a newer connection, or because the client reads too slowly.

    A provider may answer in one breath: a reader is slow only if it takes nothing, or falls behind without end.
    """
    while True:
        if not fenced.done():  # it may have been while it waited for an older socket to let go
            await outbox.overflowing.wait()  # set when it is fenced, too
        taken = outbox.taken
        await asyncio.wait((fenced,), timeout=SLOW_S)
        if fenced.done():
            raise Closing(errors.CLOSE_FENCED, "taken over by a newer connection")
        if outbox.taken == taken or outbox.waiting > _MOST_BEHIND:
            raise Closing(errors.CLOSE_SLOW_READER, "reader too slow")
        if outbox.waiting < MOST_WAITING:
            outbox.overflowing.clear()


async def _refuse(socket: WebSocket, refusal: Response) -> None:
    await socket.receive()  # the connect message, which an answer must follow
    if "websocket.http.response" in socket.scope.get("extensions", {}):
        await socket.send_denial_response(refusal)
    else:
        await socket.close(1008)


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    """Not for ever: a client that reads nothing, or is no longer there, must not keep its place from its successor."""
    try:
        async with asyncio.timeout(_CLOSE_S):
            await socket.close(code, reason)
    except TimeoutError:
        log.info("the client did not read the end of its connection")
    except (WebSocketDisconnect, OSError, RuntimeError):
        log.debug("the client had closed already")


def _goodbye(reason: str) -> tuple[int, str]:
    match reason:
        case "going_away":
            return errors.CLOSE_GOING_AWAY, "going away"
        case "fenced":
            return errors.CLOSE_FENCED, "another process has taken this session over"
        case "internal":
            return errors.CLOSE_INTERNAL, "internal error"
        case _:
            return errors.CLOSE_ENDED, reason


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise InvalidRequest(Fault("/query/last_seq", "the number of the last event seen, 0 or more"))
    return int(text)
