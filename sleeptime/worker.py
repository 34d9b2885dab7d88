"""The worker: takes jobs as they are raised, renews their leases, takes over those of dead workers, gives up bad ones.

Deliveries are counted in the store, so a job that kills its worker is counted too.
"""

import asyncio
import logging
from collections.abc import Awaitable, Collection
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from sleeptime.consolidate import Done, JobFailed
from sleeptime.metrics import Metrics, Outcome
from sleeptime.patience import RETRY_S, happens_within, patiently
from voice_agent.clock import Clock
from voice_agent.store.base import StoreDown, StoreError
from voice_agent.store.memory import Job, MemoryStore

_CANCEL_S = 0.1
log = logging.getLogger(__name__)
T = TypeVar("T")


class Limits(msgspec.Struct, frozen=True):
    """How much a worker takes on. `jobs` run at a time; `grace_s` is for those under way when it stops.

    A job that fails comes back after its lease, then after twice as long each time, `deliveries` times in all.
    `block_ms` is how long one read waits for work.
    """

    jobs: int = 16
    deliveries: int = 5
    lease_ms: int = 10_000
    block_ms: int = 1000
    grace_s: float = 1.0


class Doer(Protocol):
    """What does a job."""

    async def run(self, job: Job) -> Done:
        """Do it. Raises JobFailed with the reason."""
        ...


class Worker:
    """One worker; `name` is its own among all, in this life of it."""

    def __init__(
        self, name: str, memory: MemoryStore, doer: Doer, clock: Clock, metrics: Metrics, limits: Limits
    ) -> None:
        self._name = name
        self._memory = memory
        self._doer = doer
        self._clock = clock
        self._metrics = metrics
        self._limits = limits
        self._places = asyncio.Semaphore(limits.jobs)
        self._held: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._away = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; then no job is taken, and those still under way after the grace are left to others."""
        self._count()
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(group, stop, over))
            taking = group.create_task(self._take(group, stop))
            await stop.wait()
            # Jobs that are being handed out just now come back when their lease has run out.
            await _cancel({taking})
            if not await happens_within(self._idle, self._limits.grace_s):
                log.info("stopping: others will take over jobs under way", extra={"jobs": len(self._held)})
                await _cancel(self._tasks)
            over.set()

    # ---- taking ----

    async def _take(self, group: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        wait_ms = self._limits.block_ms
        while not stop.is_set():
            free = self._limits.jobs - len(self._held)
            if free <= 0:
                self._room.clear()
                await happens_within(self._room, wait_ms / 1000)
                continue
            self._start(group, stop, await self._asked(self._memory.next_jobs(self._name, free, wait_ms)) or ())

    async def _keep(self, group: asyncio.TaskGroup, stop: asyncio.Event, over: asyncio.Event) -> None:
        """Keep the leases of jobs held, then look for leases that ran out: in this order none of our own has."""
        lease_ms = self._limits.lease_ms
        while not over.is_set():
            if self._held:
                await self._asked(self._memory.renew_jobs(self._name, tuple(self._held.values())))
            free = self._limits.jobs - len(self._held)
            if free > 0 and not stop.is_set():
                claimed = await self._asked(self._memory.claim_jobs(self._name, lease_ms, free))
                self._start(group, stop, claimed or ())
            await happens_within(over, lease_ms / 3000)

    async def _asked(self, verb: Awaitable[T]) -> T | None:
        """The store's answer, or None after a rest. Says once that the store is away, and when it is back."""
        try:
            answer = await verb
        except StoreError as fault:
            if not self._away or not isinstance(fault, StoreDown):
                log.warning("%s", fault)
            self._away = True
            await asyncio.sleep(RETRY_S)
            return None
        if self._away:
            log.info("the store is back")
            self._away = False
        return answer

    # ---- doing ----

    def _start(self, group: asyncio.TaskGroup, stop: asyncio.Event, jobs: tuple[Job, ...]) -> None:
        if stop.is_set():
            return
        for job in jobs:
            if job.id not in self._held:
                self._held[job.id] = job
                task = group.create_task(self._work(job))
                self._tasks.add(task)
                task.add_done_callback(partial(self._release, job))
        self._count()

    def _release(self, job: Job, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        del self._held[job.id]
        self._count()

    def _count(self) -> None:
        self._metrics.held(len(self._held))
        self._room.set()
        if self._held:
            self._idle.clear()
        else:
            self._idle.set()

    async def _work(self, job: Job) -> None:
        """One delivery; a store that is away is waited for."""
        async with self._places:
            started = self._clock.now()
            outcome: Outcome = "left"
            try:
                outcome = await self._deliver(job)
            except StoreError as fault:
                log.warning("job %s is left to a later delivery: %s", job.id, fault)
            finally:
                self._metrics.ended(outcome, self._clock.now() - started)

    async def _deliver(self, job: Job) -> Outcome:
        if job.deliveries > self._limits.deliveries:
            reason = f"{job.deliveries - 1} deliveries, and no worker came back from the last one"
        else:
            try:
                done = await self._doer.run(job)
            except (JobFailed, StoreError) as fault:
                reason = str(fault)
            except Exception as fault:
                log.exception("job %s failed inside the worker", job.id)
                reason = f"a fault of the worker's own ({type(fault).__name__})"
            else:
                return self._note(job, done)
        given_up = job.deliveries >= self._limits.deliveries
        log.warning(
            "job %s %s: %s", job.id, "is given up" if given_up else "failed", reason, extra={"delivery": job.deliveries}
        )
        verb = self._memory.bury_job if given_up else self._memory.fail_job
        await patiently(partial(verb, job, reason))
        return "buried" if given_up else "failed"

    def _note(self, job: Job, done: Done) -> Outcome:
        if done.lag_s is None:
            return "empty"
        self._metrics.remembered(done.lag_s)
        log.info("job %s is done", job.id, extra={"messages": done.lines, "blocks": ",".join(done.labels)})
        return "done"


async def _cancel(tasks: Collection[asyncio.Task[None]]) -> None:
    """End the tasks. On Python 3.11 a command that is just being sent may swallow a cancellation: one is not enough."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_S)
