"""The worker over a real store: every job comes to an end, whatever models, stores and other workers do."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sleeptime.consolidate import Done, JobFailed
from sleeptime.metrics import Metrics
from sleeptime.worker import Doer, Limits, Worker
from tests.processes import eventually
from tests.sleeptime.nights import ANN, BOB, Night, night, turn
from voice_agent.clock import SystemClock
from voice_agent.store.base import Pair, StoreDown
from voice_agent.store.memory import Job, MemoryStore

QUICK = Limits(lease_ms=40, block_ms=20, grace_s=0.05)
# A lease longer than any pause of the loop: one that runs out while its job is under way costs a delivery.
THRICE = Limits(lease_ms=100, block_ms=20, deliveries=3)


class Gate:
    """Does jobs when it is opened; keeps what it was given."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.taken: list[Job] = []
        self.done: list[Job] = []
        self.at_once = self.most = 0

    async def run(self, job: Job) -> Done:
        self.taken.append(job)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await self.open.wait()
        finally:
            self.at_once -= 1
        self.done.append(job)
        return Done(0, (), None)


class Failing:
    """Fails with this."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault
        self.deliveries: list[int] = []

    async def run(self, job: Job) -> Done:
        self.deliveries.append(job.deliveries)
        raise self.fault


class Shaky:
    """The memory, but for verbs that fail so many times, after they were carried out or in place of it."""

    def __init__(self, memory: MemoryStore, *, acts: bool = False, **failures: int) -> None:
        self._memory = memory
        self._acts = acts
        self.left = Counter(failures)
        self.asked: Counter[str] = Counter()

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any) -> Any:
            self.asked[verb] += 1
            fails = self.left[verb] > 0
            if fails and not self._acts:
                self.left[verb] -= 1
                raise StoreDown("the store cannot be reached")
            answer = await getattr(self._memory, verb)(*arguments)
            if fails:
                self.left[verb] -= 1
                raise StoreDown("the store cannot be reached")
            return answer

        return call


@asynccontextmanager
async def working(
    here: Night, doer: Doer | None = None, limits: Limits = QUICK, memory: Any = None, metrics: Metrics | None = None
) -> AsyncIterator[asyncio.Event]:
    """A worker at work; it is stopped at the end, or by the event."""
    stop = asyncio.Event()
    worker = Worker(
        f"w{id(stop)}", memory or here.memory, doer or here.consolidator(), SystemClock(),
        metrics or Metrics(CollectorRegistry()), limits,
    )  # fmt: skip
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run(stop))
        try:
            yield stop
        finally:
            stop.set()


async def pending(here: Night, pair: Pair = ANN) -> int:
    """How many jobs of the pair's wait or run."""
    return (await here.memory.memory_health(pair)).pending_jobs


async def holds(here: Night, text: str, pair: Pair = ANN) -> None:
    """Wait until the block `human` is this."""

    async def is_there() -> bool:
        return await here.block("human", pair) == text

    await eventually(is_there, f"{pair.user}'s block says {text!r}")


async def test_what_is_evicted_comes_back_as_memory() -> None:
    """The name is in the block, the turns have left the window, and live sessions are told."""
    async with night() as here:
        places: dict[str, str] = {}
        await here.memory.changes(places, 0)
        async with working(here):
            entries = await here.say("my name is Ada", "tell me about rain")
            last = await here.commit(turn(9, "and about snow").record, evict=entries[-1])
            await holds(here, "Their name is Ada.")
        memory = await here.memory.read_memory(ANN)
        assert (memory.start, memory.cursor) == (entries[-1], entries[-1])
        assert [kept.id for kept in memory.turns] == [last]
        (change,) = await here.memory.changes(places, 0)
        assert (change.pair, change.kind, change.labels) == (ANN, "memory", ("human", "summary"))
        assert await pending(here) == 0


async def test_a_poison_job_holds_up_nobody_and_is_buried_after_five_deliveries() -> None:
    """Bob's memory is made meanwhile, and what Ann says later becomes memory too."""
    async with night() as here:
        await here.say("my name is Ann", "!sleeptime prose")
        await here.memory.raise_job(ANN, "request")
        await here.say("my name is Bob", pair=BOB)
        await here.memory.raise_job(BOB, "request")
        async with working(here):
            await holds(here, "Their name is Bob.", BOB)
            assert await here.memory.dead_jobs(10) == ()
            await here.say("I live in Rome")
            await here.memory.raise_job(ANN, "request")
            await holds(here, "They live in Rome.")
        (dead,) = await here.memory.dead_jobs(10)
        assert (dead.pair, dead.deliveries) == (ANN, 5)
        assert "no valid call" in dead.reason
        asked = [request for request in here.model.requests if "my name is Ann" in request.turn[0].text]
        assert len(asked) == 2 * 5


async def test_a_job_that_kills_its_worker_is_buried_without_another_try() -> None:
    """Deliveries are counted in the store, and nobody comes back from them."""
    async with night() as here:
        await here.job("my name is Ada")
        for number in range(5):
            (job,) = await here.memory.claim_jobs(f"doomed{number}", 0, 1)
        assert job.deliveries == 6
        gate = Gate()
        gate.open.set()
        async with working(here, gate, Limits(lease_ms=1, block_ms=20)):
            await eventually(lambda: _is_buried(here), "it is buried")
            await here.say("later")
            assert await here.memory.raise_job(ANN, "request")
            await eventually(lambda: _is(bool(gate.done)), "what came later is dealt with")
        assert [each.deliveries for each in gate.taken][:1] == [1]
        (dead,) = await here.memory.dead_jobs(10)
        assert "no worker came back" in dead.reason


async def _is(holds_now: bool) -> bool:
    return holds_now


async def _is_buried(here: Night) -> bool:
    return bool(await here.memory.dead_jobs(10))


async def test_the_job_of_a_dead_worker_is_taken_over() -> None:
    """As soon as its lease has run out."""
    async with night() as here:
        await here.job("my name is Ada")
        async with working(here):
            await holds(here, "Their name is Ada.")


async def test_the_lease_of_a_job_under_way_is_kept() -> None:
    """However long it takes, nobody else is given it."""
    async with night() as here:
        await here.say("hello")
        await here.memory.raise_job(ANN, "request")
        gate, watched = Gate(), Shaky(here.memory)
        async with working(here, gate, Limits(lease_ms=240, block_ms=20), memory=watched):
            await eventually(lambda: _is(watched.asked["renew_jobs"] >= 6), "the lease was renewed again and again")
            assert await here.memory.claim_jobs("other", 240, 10) == ()
            gate.open.set()
        assert [job.deliveries for job in gate.taken] == [1]


async def test_no_more_jobs_run_at_once_than_allowed() -> None:
    """And all of them are done in the end."""
    pairs = [Pair("demo", f"u{number}") for number in range(40)]
    async with night() as here:
        for pair in pairs:
            await here.say("hello", pair=pair)
            await here.memory.raise_job(pair, "request")
        gate = Gate()
        async with working(here, gate, Limits(jobs=3, lease_ms=60_000, block_ms=20)):
            await eventually(lambda: _is(gate.at_once == 3), "three are under way")
            gate.open.set()
            await eventually(lambda: _is(len(gate.done) == len(pairs)), "all are done")
        assert gate.most == 3
        assert {job.pair for job in gate.done} == set(pairs)


async def test_slow_jobs_hold_up_nobody_while_a_place_is_free() -> None:
    """All but one of the places are taken for good, and everybody else's jobs come to their end."""
    slow = {Pair("demo", f"slow{number}") for number in range(15)}
    quick = {Pair("demo", f"u{number}") for number in range(60)}
    async with night() as here:
        consolidator, gate = here.consolidator(), Gate()

        class Mixed:
            async def run(self, job: Job) -> Done:
                return await (gate if job.pair in slow else consolidator).run(job)

        async with working(here, Mixed(), Limits(jobs=16, block_ms=20, grace_s=0.05)):
            for pair in slow:
                await here.say("my name is Ada", pair=pair)
                await here.memory.raise_job(pair, "request")
            await eventually(lambda: _is(gate.at_once == len(slow)), "the slow ones are under way")
            for pair in quick:
                await here.say("my name is Ada", pair=pair)
                await here.memory.raise_job(pair, "request")
            for pair in quick:
                await holds(here, "Their name is Ada.", pair)
            assert gate.at_once == len(slow)
            gate.open.set()


async def test_workers_share_the_work() -> None:
    """Every pair has its memory once, whoever made it."""
    pairs = [Pair("demo", f"u{number}") for number in range(30)]
    async with night() as here:
        async with working(here), working(here), working(here):
            for pair in pairs:
                await here.say("my name is Ada", pair=pair)
                await here.memory.raise_job(pair, "request")
            for pair in pairs:
                await holds(here, "Their name is Ada.", pair)
        versions = [len(await here.memory.block_history(pair, "human")) for pair in pairs]
        keys = [len((await here.memory.read_passages(pair, "")).keys) for pair in pairs]
        assert versions == keys == [1] * len(pairs)


async def test_stopping_lets_jobs_finish_and_takes_no_more() -> None:
    """What is raised after the stop waits for another worker."""
    async with night() as here:
        await here.say("my name is Ada")
        await here.memory.raise_job(ANN, "request")
        gate = Gate()
        async with working(here, gate, Limits(block_ms=20, grace_s=20)) as stop:
            await eventually(lambda: _is(bool(gate.taken)), "it is under way")
            stop.set()
            await here.say("my name is Bob", pair=BOB)
            await here.memory.raise_job(BOB, "request")
            gate.open.set()
        assert [job.pair for job in gate.done] == [ANN]
        assert await pending(here, BOB) == 1


async def test_a_job_that_outlasts_the_grace_is_left_to_others() -> None:
    """Unfinished and unharmed: the next worker does it."""
    async with night() as here:
        await here.say("my name is Ada")
        await here.memory.raise_job(ANN, "request")
        gate = Gate()
        async with working(here, gate):
            await eventually(lambda: _is(bool(gate.taken)), "it is under way")
        assert (gate.done, gate.at_once) == ([], 0)
        assert await pending(here) == 1
        async with working(here):
            await holds(here, "Their name is Ada.")


@pytest.mark.parametrize("acts", [False, True])
@pytest.mark.parametrize("verb", ["read_memory", "finish_job", "next_jobs", "claim_jobs"])
async def test_a_store_that_is_away_is_waited_for(verb: str, acts: bool) -> None:
    """Whether it was carried out or not when the answer was lost; the model is not asked again."""
    async with night() as here:
        await here.say("my name is Ada")
        await here.memory.raise_job(ANN, "request")
        shaky = Shaky(here.memory, acts=acts, **{verb: 1})
        real, here.memory = here.memory, shaky  # type: ignore[assignment]
        doer = here.consolidator()
        here.memory = real
        async with working(here, doer, memory=shaky):
            await holds(here, "Their name is Ada.")
        assert shaky.left[verb] == 0
        assert len(here.model.requests) == 3
        assert len(await here.memory.block_history(ANN, "human")) == 1


async def test_a_fault_of_the_workers_own_fails_the_job_alone(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its place, retried, and given up like any other."""
    async with night() as here:
        await here.say("hello")
        await here.memory.raise_job(ANN, "request")
        failing = Failing(RuntimeError("boom"))
        async with working(here, failing, THRICE):
            await eventually(lambda: _is_buried(here), "it is given up")
        assert failing.deliveries == [1, 2, 3]
        (dead,) = await here.memory.dead_jobs(10)
        assert dead.reason == "a fault of the worker's own (RuntimeError)"
        assert "boom" not in dead.reason
        assert any(record.exc_info for record in caplog.records)


async def test_why_a_delivery_failed_is_seen_while_it_waits() -> None:
    """In the pair's health, until it is done."""
    async with night() as here:
        await here.say("hello")
        await here.memory.raise_job(ANN, "request")

        async def is_told() -> bool:
            return (await here.memory.memory_health(ANN)).last_failure == "the model is ill"

        async with working(here, Failing(JobFailed("the model is ill")), Limits(lease_ms=60_000, block_ms=20)):
            await eventually(is_told, "the failure is told")
        assert await pending(here) == 1


async def test_it_is_counted_what_became_of_jobs(caplog: pytest.LogCaptureFixture) -> None:
    """By outcome, with duration and lag; no word of the conversation is in a log line."""
    caplog.set_level(logging.INFO)
    async with night() as here:
        metrics = Metrics(CollectorRegistry())
        await here.say("my name is Ada")
        await here.say("!sleeptime prose", pair=BOB)
        for pair in (ANN, BOB):
            await here.memory.raise_job(pair, "request")
        async with working(here, metrics=metrics, limits=THRICE):
            await holds(here, "Their name is Ada.")
            await eventually(lambda: _is_buried(here), "the other is given up")
        text = generate_latest(metrics.registry).decode()
        for line in (
            'voice_sleeptime_jobs_total{outcome="done"} 1.0',
            'voice_sleeptime_jobs_total{outcome="failed"} 2.0',
            'voice_sleeptime_jobs_total{outcome="buried"} 1.0',
            'voice_sleeptime_job_seconds_count{outcome="done"} 1.0',
            "voice_memory_lag_seconds_count 1.0",
            "voice_sleeptime_running 0.0",
        ):
            assert line in text
        assert "Ada" not in caplog.text
        assert "ann" not in text


async def test_a_deleted_pair_leaves_no_job_behind() -> None:
    """What it had under way comes to nothing."""
    async with night() as here:
        await here.say("my name is Ada")
        await here.memory.raise_job(ANN, "request")
        gate = Gate()
        async with working(here, gate):
            await eventually(lambda: _is(bool(gate.taken)), "it is under way")
            assert await here.memory.forget(ANN)
            with pytest.raises(JobFailed):
                await here.consolidator().run(gate.taken[0])
        assert (await here.memory.read_memory(ANN)).blocks == ()
        assert await here.memory.next_jobs("other", 16, 0) == ()
