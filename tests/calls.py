"""Whole calls without a socket: a session over the recorder store, a scripted model and real tools, in virtual time."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tests.turns import ScriptedModel
from tests.virtual_time import VirtualClock, run
from voice_agent import events as ev
from voice_agent.agent import Agent
from voice_agent.conversation import Conversation
from voice_agent.conversations import Conversations
from voice_agent.messages import Message
from voice_agent.session import Session
from voice_agent.store.base import Owner, Pair
from voice_agent.store.recorder import Recorder
from voice_agent.tool_definitions import ClientTool
from voice_agent.tools.base import Tool, TurnContext
from voice_agent.tools.defined import ClientSide
from voice_agent.tools.registry import ToolRegistry, tool
from voice_agent.wiring import Prompts, Wiring
from voice_agent.work import Work

T = TypeVar("T")
PAIR = Pair("a", "u")
OWNER = Owner("here", "1")


@tool(effects="none")
async def look(q: str = "") -> str:
    """Look something up; takes a while."""
    await asyncio.sleep(0.5)
    return f"found {q}"


@tool(on_interrupt="finish")
async def write(text: str = "") -> str:
    """Write something down; takes longer."""
    await asyncio.sleep(1.0)
    return f"wrote {text}"


@tool(exits=True, acts="hang_up")
async def hang_up() -> str:
    """Hang up."""
    await asyncio.sleep(0)
    return "done"


@tool(exits=True, acts="transfer")
async def transfer() -> str:
    """Put the caller through."""
    return "done"


REGISTRY = ToolRegistry((look, write, hang_up, transfer))


class Ear:
    """A `Sink` that hears everything at once, but for speech that it is told to hold back."""

    def __init__(self) -> None:
        self.events: list[ev.TurnEvent] = []
        self.held: list[ev.Spoke] | None = None

    def emit(self, event: ev.TurnEvent) -> None:
        if self.held is not None and isinstance(event, ev.Spoke):
            self.held.append(event)
        else:
            self.events.append(event)

    def recall(self, turn_id: str) -> int:
        held, self.held = self.held or [], None if self.held is None else []
        return sum(len(event.text) for event in held if event.turn_id == turn_id)

    def of(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def said(self) -> str:
        return "".join(event.text for event in self.of(ev.Spoke))

    def ended(self, turn_id: str) -> ev.TurnEnded:
        (event,) = [event for event in self.of(ev.TurnEnded) if event.turn_id == turn_id]
        return event


class SlowStore:
    """The recorder, each of whose verbs takes a millisecond."""

    def __init__(self, store: Recorder) -> None:
        self._store = store

    def __getattr__(self, verb: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        act = getattr(self._store, verb)

        async def later(*args: Any) -> Any:
            await asyncio.sleep(0.001)
            return await act(*args)

        return later


class World:
    """A process with one store, one model and any number of sessions of one user. Use it inside `run`."""

    ear: type[Ear] = Ear
    registry = REGISTRY

    def __init__(self, *replies: list[Any], **agent: Any) -> None:
        self.clock = VirtualClock()
        self.store = Recorder(self.clock)
        self.model = ScriptedModel(*(replies or ([ev.TextDelta("Hello."), ev.ModelFinished("stop")],)))
        silent = {"fillers": (), "idle_reminder_s": None}  # unless a test is about them
        self.agent = Agent(id="a", name="A", **agent | {"voice": silent | agent.get("voice", {})})
        slow: Any = SlowStore(self.store)
        self.conversations = Conversations(slow, slow)
        self.ears: list[Ear] = []
        self.sessions: list[Session] = []
        self.spoken: list[str] = []
        self.numbers = itertools.count(1)
        own: dict[str, Tool] = {
            brought.name: ClientSide(brought)
            for brought in self.agent.brought_tools()
            if isinstance(brought, ClientTool)
        }
        self._box = self.registry.choose((*self.registry.names(), *own), own)
        self._tools = self._box.specs

    async def open(self, session_id: str = "s1", pair: Pair = PAIR) -> tuple[Session, Ear, Conversation]:
        """A session that is not running yet."""
        epoch = await self.store.open_session(pair, session_id, OWNER)
        conversation = await self.conversations.open(pair)
        ear = self.ear()
        session = Session(session_id, epoch, self._wiring(session_id), conversation, ear)
        self.ears.append(ear)
        self.sessions.append(session)
        return session, ear, conversation

    def _wiring(self, session_id: str) -> Wiring:
        def runner(work: Work, in_prompt: frozenset[str]) -> Any:
            context = TurnContext(
                agent_id="a", user="u", session_id=session_id, turn_id=work.turn_id, in_prompt=in_prompt
            )
            return self._box.runner(self.clock, context)

        prompts = Prompts(self.agent, "m", self._tools)
        rules = self.agent.rulebook(self._tools)
        return Wiring(self.agent, self.model, prompts, self._tools, rules, runner, self.clock, OWNER, self.model.warm)

    async def history(self) -> tuple[Message, ...]:
        """What a process that starts now would load."""
        return tuple(message for turn in (await self.store.load(PAIR)).turns for message in turn.record.messages)


Caller = Callable[[Session, Ear], Coroutine[Any, Any, None]]


async def hold(world: World, caller: Caller) -> None:
    """One call from pick-up to hang-up: `caller` is the person; when it returns, the call is over."""
    session, ear, conversation = await world.open(f"s{next(world.numbers)}")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(session.run())
        await caller(session, ear)
        session.handle(ev.UserLeft())
    world.conversations.close(conversation)


def call(world: World, *callers: Caller) -> None:
    """Play the callers one after the other, in virtual time, until all is stored."""

    async def play() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(world.conversations.run())
            await asyncio.sleep(0)
            for caller in callers:
                await hold(world, caller)
            world.conversations.stop()

    run(play())
