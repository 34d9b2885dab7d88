"""The live sessions of this process: each outlives its socket, can be taken up again, and has exactly one at a time."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from gateway.dialects import native
from gateway.dialects.base import FrameError
from gateway.equipment import Collaborators, Equipment, read_agent
from gateway.errors import Conflict, GoingAway, Gone
from gateway.outbox import Outbox
from gateway.replay import Replay
from voice_agent import events as ev
from voice_agent.agent import Agent
from voice_agent.conversation import Conversation
from voice_agent.session import Session
from voice_agent.store.base import Pair
from voice_agent.tool_definitions import ClientTool
from voice_agent.tools.outward import Outward

_LEAVING_S = 4.0
log = logging.getLogger(__name__)


class LiveSession:
    """A session with all it needs to survive its socket. `ended` is its last reason, `told` that the client has it."""

    def __init__(self, session: Session, outbox: Outbox, equipment: Equipment) -> None:
        self.session = session
        self.outbox = outbox
        self.agent_id = equipment.agent.id
        self._equipment = equipment
        self.replay = Replay(native.encode)
        self.resume_token = secrets.token_urlsafe(24)
        self.fenced: asyncio.Future[None] | None = None
        self.attaching = asyncio.Lock()
        self.expiry: asyncio.TimerHandle | None = None
        self.ended: str | None = None
        self.told = False

    @property
    def user(self) -> str:
        return self.session.conversation.pair.user

    def bring(self, tools: tuple[ClientTool, ...]) -> None:
        """Offer these tools, which the client runs, from the next turn on, in place of those brought before.

        Raises FrameError if one has the name of another tool.
        """
        for index, tool in enumerate(tools):
            if self._equipment.has(tool.name):
                where = f"client_tools[{index}].name"
                raise FrameError("bad_field", f"`{where}`: there is a tool {tool.name!r} already", where)
        self.session.wiring = replace(self._equipment.wiring(tools), manner=self.session.wiring.manner)

    def choose(self, options: native.Options) -> None:
        """Talk in this manner from the next turn on; what the options leave open stays as it is."""
        wiring = self.session.wiring
        self.session.wiring = replace(wiring, manner=wiring.manner._replace(**options.changes))


class Sessions:
    """`run` owns the sessions; `open` and `find` hand them out, `attached` binds one to a socket."""

    def __init__(self, parts: Collaborators) -> None:
        self._parts = parts
        self._live: dict[str, LiveSession] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._outward: Outward | None = None
        self._stopping = asyncio.Event()
        self._over = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until `stop`; returns when every session has ended."""
        async with Outward(self._parts.guard) as self._outward, asyncio.TaskGroup() as self._tasks:
            await self._stopping.wait()
            for live in list(self._live.values()):
                live.session.handle(ev.UserLeft("going_away"))
            late = (await asyncio.wait(self._running, timeout=_LEAVING_S))[1] if self._running else set()
            for task in late:
                log.warning("%s: a tool was still running and is cut off", task.get_name())
                task.cancel()
        self._over.set()

    async def stop(self) -> None:
        """End all sessions and wait until they have; none is opened any more."""
        self._stopping.set()
        await self._over.wait()

    async def agent(self, agent_id: str) -> Agent:
        """See `read_agent`."""
        return await read_agent(self._parts.directory, agent_id)

    async def open(self, agent: Agent, user: str) -> LiveSession:
        """A new session. Raises Conflict if the user is in a call and may not have two, ModelError, StoreError."""
        parts, pair = self._parts, Pair(agent.id, user)
        if self._tasks is None or self._outward is None or self._stopping.is_set():
            raise GoingAway("this process is going away")
        session_id = secrets.token_hex(8)
        equipment = Equipment(parts, self._outward, agent, user, session_id)
        wiring = equipment.wiring()
        conversation = await parts.conversations.open(pair)
        try:
            epoch = await parts.store.open_session(pair, session_id, parts.owner)
        except BaseException:
            parts.conversations.close(conversation)
            raise
        # Nothing may come between this question and the session, which is the pair's call from then on.
        if agent.second_session == "refuse" and conversation.calls:
            parts.conversations.close(conversation)
            raise Conflict(f"user {user!r} is in a call with this agent already")
        outbox = Outbox(parts.telemetry.observe)
        session = Session(session_id, epoch, wiring, conversation, outbox)
        live = LiveSession(session, outbox, equipment)
        self._live[live.resume_token] = live
        if agent.greeting:
            session.handle(ev.SayRequested(agent.greeting, kind="greeting"))
        task = self._tasks.create_task(self._run(live, conversation), name=f"session {session_id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return live

    def find(self, agent_id: str, user: str | None, token: str) -> LiveSession:
        """The session of a resume token, if it is with this agent and user. Raises Gone."""
        live = self._live.get(token)
        if live is None or live.agent_id != agent_id or user not in (None, live.user):
            raise Gone("this resume token is unknown or has expired")
        return live

    @asynccontextmanager
    async def attached(self, live: LiveSession) -> AsyncIterator[asyncio.Future[None]]:
        """Hold the session with one socket; yields a future that is done when a newer socket takes it over."""
        if live.fenced is not None:
            live.fenced.set_result(None)
            live.outbox.overflowing.set()  # wakes the older socket's watcher
        fenced = live.fenced = asyncio.get_running_loop().create_future()
        async with live.attaching:
            if live.expiry is not None:
                live.expiry.cancel()
                live.expiry = None
            live.outbox.attach()
            live.session.attend(there=True)
            try:
                yield fenced
            finally:
                # Nobody waits for the place: from here on the session lives on borrowed time.
                if live.fenced is fenced:
                    live.session.attend(there=False)
                    self._expire_later(live)

    def _expire_later(self, live: LiveSession) -> None:
        if live.told:
            self._lose(live)
        else:
            live.expiry = asyncio.get_running_loop().call_later(self._parts.resume_s, self._lose, live)

    def _lose(self, live: LiveSession) -> None:
        live.session.handle(ev.UserLeft("lost"))
        self._live.pop(live.resume_token, None)

    async def _run(self, live: LiveSession, conversation: Conversation) -> None:
        self._parts.telemetry.session_opened()
        try:
            await live.session.run()
        except Exception:
            log.exception("session %s failed", live.session.id)
            live.session.handle(ev.UserLeft("internal"))  # its turn ends, and is stored, all the same
            live.outbox.emit(ev.SessionEnded("internal"))
        finally:
            self._parts.conversations.close(conversation)
            self._parts.telemetry.session_closed()
