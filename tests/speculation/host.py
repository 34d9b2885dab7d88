"""A session's part in thinking ahead, with nothing else of a session: one turn at a time, in virtual time."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

from tests.models import Unseen
from tests.test_run import Listener
from tests.turns import TOOLS, setup
from tests.virtual_time import VirtualClock, run
from voice_agent import events as ev
from voice_agent.clock import Clock
from voice_agent.llm.base import Model, Speaker
from voice_agent.messages import Message, ModelRequest, Usage
from voice_agent.run import Inbox, run_turn
from voice_agent.speculation.speculation import Outcome, Plan, Speculation, plain
from voice_agent.speculation.speculations import Speculations
from voice_agent.tools.base import ToolRunner
from voice_agent.turn import Turn
from voice_agent.turn_setup import TurnSetup

TAKEN = Usage(steps=1, input_tokens=10, output_tokens=5)


class Thinker(Unseen):
    """A model that calls the tools which the user names, once, then says what they brought. `closed` while it spoke."""

    def __init__(self, first_token_s: float = 0.3, token_s: float = 0.05) -> None:
        self.requests: list[ModelRequest] = []
        self.closed = 0
        self._paces = first_token_s, token_s

    async def reply(self, request: ModelRequest, emit: Callable[[ev.ModelEvent], None]) -> None:
        self.requests.append(request)
        try:
            await asyncio.sleep(self._paces[0])
            for event in self._answer(request):
                emit(event)
                await asyncio.sleep(self._paces[1])
        except asyncio.CancelledError:
            self.closed += 1
            raise
        emit(ev.ModelFinished("stop", TAKEN))

    @property
    def asked(self) -> list[str]:
        """What the turns were about, request by request."""
        return [_asked(request) for request in self.requests]

    def _answer(self, request: ModelRequest) -> list[ev.ModelEvent]:
        words = plain(_asked(request))
        results = [message.text for message in request.turn if message.role == "tool"]
        named = [name for name in TOOLS if name in words.split()]
        if named and not results:
            said = '{"pre_exec_msg":"One moment."}'
            return [ev.ToolCallDelta(n, f"p{n}", name, said) for n, name in enumerate(named)]
        return [ev.TextDelta(f"{piece} ") for piece in (f"After {len(request.history)}:", words, *results)]


def _asked(request: ModelRequest) -> str:
    """What the user's words were; none, if the turn answers a note."""
    return next((message.text for message in reversed(request.turn) if message.role == "user"), "")


class Hands(ToolRunner):
    """Tools that take a while; keeps which of them began, under which ids, and which were stopped."""

    def __init__(self, takes_s: float = 0.5) -> None:
        self.began: list[str] = []
        self.ids: list[str] = []
        self.stopped: list[str] = []
        self._takes_s = takes_s

    async def run(self, call: ev.RunTool) -> ev.ToolReturned:
        self.began.append(call.name)
        self.ids.append(call.call_id)
        try:
            await asyncio.sleep(self._takes_s)
        except asyncio.CancelledError:
            self.stopped.append(call.name)
            raise
        return ev.ToolReturned(call.call_id, f"{call.name} is done")


class Host:
    """Takes texts and answers the final ones; a turn that is cut into ends at once."""

    def __init__(self, tasks: asyncio.TaskGroup, model: Model, hands: ToolRunner, clock: Clock, **changes: Any) -> None:
        self.history: tuple[Message, ...] = ()
        self.told: list[Listener] = []
        self.reports: list[tuple[Outcome, Usage]] = []
        self.adopted: list[bool] = []
        self.inbox: Inbox | None = None
        self._tasks, self._model, self._tools, self._clock, self._changes = tasks, model, hands, clock, changes
        self._idle = asyncio.Event()
        self._idle.set()
        self._finals: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self.ahead = Speculations(tasks, clock, self._is_past, self._plan, lambda *report: self.reports.append(report))

    def hear(self, text: str, *, final: bool = False, turn_id: str | None = None, revision: int = 0) -> None:
        """What the recogniser says; while a turn is live, all that it says is dropped."""
        event = ev.UserSpoke(text, final, turn_id, revision)
        if self.inbox is not None:
            return
        if final:
            self._answer(event)
        else:
            self.ahead.interim(event)

    def cut_in(self) -> None:
        """The caller speaks over the agent."""
        self.ahead.drop()
        if self.inbox is not None:
            self.inbox.put(ev.UserInterrupted())

    def note(self, text: str) -> None:
        """The history becomes another one."""
        self.history += (Message("context", text, 0.0),)

    @property
    def said(self) -> str:
        """What the caller was told in the last turn."""
        return "".join(event.text for event in self.told[-1].events if isinstance(event, ev.Spoke))

    async def answered(self) -> None:
        """Until no turn is live."""
        await self._idle.wait()

    def _is_past(self, turn_id: str, revision: int) -> bool:
        return revision <= self._finals.get(turn_id, -1)

    def _plan(self, event: ev.UserSpoke) -> Plan | None:
        return None if self.inbox is not None else Plan(self._setup(event), self._model, self._tools)

    def _setup(self, event: ev.UserSpoke, call_prefix: str | None = None) -> TurnSetup:
        number = next(self._numbers)
        return setup(
            turn_id=f"t{number}",
            history=self.history,
            opening=(Message("user", event.text, at=self._clock.wall()),),
            call_prefix=call_prefix or f"x{number}",
            received_at=self._clock.now(),
            **self._changes,
        )

    def _answer(self, event: ev.UserSpoke) -> None:
        if event.turn_id is not None:
            self._finals[event.turn_id] = event.revision
        adopted = self.ahead.final(event)
        self.adopted.append(adopted is not None)
        if adopted is not None:
            event = adopted.final(event)
        made = self._setup(event, adopted.call_prefix if adopted else None)
        self.inbox = Inbox()
        self._idle.clear()
        self._tasks.create_task(self._run(Turn(made), adopted, self.inbox))

    async def _run(self, turn: Turn, adopted: Speculation | None, inbox: Inbox) -> None:
        listener = Listener()
        self.told.append(listener)
        model: Speaker = self._model
        tools = self._tools
        if adopted is not None:
            model, tools = adopted.model(model), adopted.tools(tools)
        try:
            await run_turn(turn, model, tools, inbox, listener, self._clock)
        finally:
            if adopted is not None:
                adopted.close()
        self.history += listener.ended.messages
        self.inbox = None
        self._idle.set()


Caller = Callable[[Host], Coroutine[Any, Any, None]]


def play(caller: Caller, model: Model | None = None, hands: ToolRunner | None = None, **changes: Any) -> Host:
    """A call in virtual time, from the first word until nothing of it is left to do; `changes` to each turn's setup."""

    async def main() -> Host:
        async with asyncio.TaskGroup() as tasks:
            host = Host(tasks, model or Thinker(), hands or Hands(), VirtualClock(), **changes)
            await caller(host)
            await host.answered()
            host.ahead.close()
        return host

    return run(main())
