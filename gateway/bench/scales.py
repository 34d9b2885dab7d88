"""What idle sessions weigh in the gateway's process, and what CPU time its processes take."""

import asyncio
import os
from collections.abc import Callable

from gateway.bench import machine
from gateway.bench.callers import open_sessions
from gateway.bench.figures import Cpu, Memory
from gateway.bench.household import Household
from gateway.bench.plan import Plan
from gateway.bench.where import Address
from voice_agent.clock import SystemClock

# So many open before the weighing, and pay for what all sessions share.
FIRST_SESSIONS = 10
SETTLE_S = 0.5
SETTLED_KIB = 32
MOST_LOOKS = 12
PRODUCT = ("gateway", "store", "worker")


async def weigh(plan: Plan, home: Household, address: Address, prefix: str) -> Memory | None:
    """Open idle sessions and close them again. None where the system does not tell what a process holds."""
    pid = home.pids["gateway"]
    first = await open_sessions(address, f"{prefix}-first", FIRST_SESSIONS, plan.say)
    before = await _settled(pid)
    idle = await open_sessions(address, f"{prefix}-idle", plan.idle, plan.say)
    after = await _settled(pid)
    for session in (*first, *idle):
        session.hang_up()
    if before is None or after is None:
        return None
    return Memory(len(idle), before, round((after - before) / len(idle), 1))


async def _settled(pid: int) -> int | None:
    """What the process holds once that has stopped changing."""
    last = machine.memory_kib(pid)
    for _ in range(MOST_LOOKS):
        await asyncio.sleep(SETTLE_S)
        now = machine.memory_kib(pid)
        if now is None or last is None or abs(now - last) <= SETTLED_KIB:
            return now
        last = now
    return last


class Meter:
    """Reads what processes spend from when it is made."""

    def __init__(self, home: Household | None) -> None:
        self._pids = {"load": os.getpid()} | (home.pids if home else {})
        self._now = SystemClock().now
        self._began = self._now()
        self._ran = self._read(machine.cpu_s)
        self._waited = self._read(machine.waited_s)

    def read(self, turns: int) -> Cpu | None:
        """What was spent since; None where the system does not tell."""
        lasted = self._now() - self._began
        ran, waited = self._since(self._ran, machine.cpu_s), self._since(self._waited, machine.waited_s)
        if not ran or not turns:
            return None
        each = {name: round(ran[name] * 1000 / turns, 3) for name in PRODUCT if name in ran}
        return Cpu(
            each | {"together": round(sum(each.values()), 3)} if each else {},
            {name: round(seconds * 100 / lasted, 1) for name, seconds in ran.items()},
            {name: round(seconds * 100 / lasted, 1) for name, seconds in waited.items()},
        )

    def _since(self, before: dict[str, float], what: Callable[[int], float | None]) -> dict[str, float]:
        return {name: now - before[name] for name, now in self._read(what).items() if name in before}

    def _read(self, what: Callable[[int], float | None]) -> dict[str, float]:
        read = {name: what(pid) for name, pid in self._pids.items()}
        return {name: seconds for name, seconds in read.items() if seconds is not None}
