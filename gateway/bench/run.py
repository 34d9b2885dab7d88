"""A whole run: sessions are opened, weighed, warmed up, measured, and in a phase of its own interrupted."""

import asyncio
import gc
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

from gateway.bench import machine
from gateway.bench.board import Board
from gateway.bench.callers import SEED, chat_callers, direct_callers, open_sessions
from gateway.bench.chat import ChatCaller
from gateway.bench.household import Household, household
from gateway.bench.load import play
from gateway.bench.native import NativeCaller
from gateway.bench.plan import BenchError, Plan
from gateway.bench.report import Notes
from gateway.bench.scales import Meter, weigh
from gateway.bench.where import Address
from voice_agent.llm.wire import Http

# A history is made of turns too, slowly enough that a gateway takes them for a conversation.
SEED_S = 0.1
SEED_ALL_S = 0.008

Sessions = Sequence[NativeCaller] | Sequence[ChatCaller]


Tell = Callable[[str], None]


async def run(plan: Plan, key: str | None, notes: Notes, tell: Tell) -> None:
    """Do what the plan says, and note it as it happens; `tell` hears of each phase when it begins.

    Raises BenchError or StoreError, alone or in a group, if nothing could be measured.
    """
    notes.machine = machine.describe()
    tell("connecting" if plan.pace is None else "starting store, simulator, gateway and worker")
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(Http())
        home = None
        if plan.pace is not None:
            home = await stack.enter_async_context(household(plan.pace, plan.history > 0, plan.awake, http))
        address = Address(home.url if home else plan.url or "", plan.agent, key)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        await _Run(plan, address, http, tasks, home).run(notes, tell)


class _Run:
    def __init__(
        self, plan: Plan, address: Address, http: Http, tasks: asyncio.TaskGroup, home: Household | None
    ) -> None:
        self._plan = plan
        self._address = address
        self._http = http
        self._tasks = tasks
        self._home = home
        self._user = f"bench-{secrets.token_hex(4)}"
        self._callers: list[NativeCaller | ChatCaller] = []

    async def run(self, notes: Notes, tell: Tell) -> None:
        if self._home is not None:
            notes.machine["store"] = self._home.engine
            notes.placement = self._home.placement
            tell(f"weighing {self._plan.idle} idle sessions")
            notes.memory = await weigh(self._plan, self._home, self._address, self._user)
        try:
            await self._measure(await self._open(tell), notes, tell)
        finally:
            for caller in self._callers:
                caller.hang_up()

    async def _open(self, tell: Tell) -> dict[str, Sessions]:
        plan = self._plan
        if plan.protocol == "chat":
            chatting = chat_callers(plan, self._address, self._user, self._http, self._tasks)
            self._callers += chatting
            return _grouped(chatting[plan.deep :], chatting[: plan.deep])
        sessions = await open_sessions(self._address, f"{self._user}-", plan.sessions, plan.say)
        self._callers += sessions
        deep = sessions[: plan.deep]
        for session in deep:
            session.words = SEED if self._home else plan.say
        if deep:
            tell(f"making histories of {plan.history} messages")
        # Each turn leaves two messages.
        await self._phase({"history": deep}, plan.history // 2 if deep else 0, "the making of histories", seeding=True)
        for session in deep:
            session.words = plan.say
        return _grouped(sessions[plan.deep :], deep)

    async def _measure(self, sessions: dict[str, Sessions], notes: Notes, tell: Tell) -> None:
        plan = self._plan
        tell(_announced("warm-up", plan, plan.warm_up))
        await self._phase(sessions, plan.warm_up, "the warm-up")
        direct: dict[str, Sessions] = {}
        if self._home is not None:
            direct |= await direct_callers(plan, self._home, self._http, self._tasks)
            self._callers += [caller for callers in direct.values() for caller in callers]
        # A collection over all that was opened would be noted as the gateway's latency.
        gc.collect()
        gc.freeze()
        gc.disable()
        tell(_announced("measured turns", plan, plan.turns))
        meter, cores = Meter(self._home), machine.cores()
        try:
            await play(sessions | direct, plan.turns, plan.interval_s, notes.measured)
        finally:
            notes.cpu = meter.read(sum(notes.measured[name].done for name in sessions))
            notes.stolen_percent = machine.stolen_percent(cores, machine.cores())
        notes.fault = await self._fault(notes.measured, "the measured turns")
        if notes.fault is None and plan.barge_in_turns:
            tell(_announced("barge-in", plan, plan.barge_in_turns))
            await play(sessions, plan.barge_in_turns, plan.interval_s, notes.interrupted, plan.interrupt_after)
            notes.fault = await self._fault(notes.interrupted, "the barge-in phase")

    async def _phase(self, groups: Mapping[str, Sessions], turns: int, name: str, *, seeding: bool = False) -> None:
        """A phase that counts for nothing, but has to succeed."""
        count = sum(map(len, groups.values()))
        boards: dict[str, Board] = {}
        interval = max(SEED_S, SEED_ALL_S * count) if seeding else self._plan.interval_s
        await play(groups, turns, interval, boards)
        fault = await self._fault(boards, name)
        if fault is None and any(board.done < board.planned for board in boards.values()):
            fault = f"the gateway left turns of {name} unanswered"
        if fault is not None:
            raise BenchError(fault)

    async def _fault(self, boards: Mapping[str, Board], name: str) -> str | None:
        why = next((board.fault for board in boards.values() if board.fault is not None), None)
        if why is None:
            return None
        done, planned = (sum(getattr(board, field) for board in boards.values()) for field in ("done", "planned"))
        died = await self._home.died() if self._home is not None else None
        return f"{why}, after {done} of {planned} turns of {name}" + (f"; {died}" if died else "")


def _announced(phase: str, plan: Plan, turns: int) -> str:
    return f"{phase}: {turns} turns of each of {plan.sessions} sessions, about {turns * plan.interval_s:.0f} s"


def _grouped(plain: Sessions, deep: Sessions) -> dict[str, Sessions]:
    # The plain ones ask last, so that the direct client gets a request without history.
    return {"history": deep, "gateway": plain} if deep else {"gateway": plain}
