"""The sleeptime worker's jobs, on a server and on the recorder: raised, handed out and finished, each once."""

import asyncio

import pytest
from msgspec.structs import replace

from tests.store.conftest import Stores
from tests.store.turns import PAIR, commit, human, ref, result, take
from voice_agent.store.base import Pair
from voice_agent.store.log import order
from voice_agent.store.memory import Job, JobResult, MemoryStore

START = "0-0"
LEASE_MS = 60_000


async def ids(stores: Stores) -> list[str]:
    """The turns of the window."""
    return [turn.id for turn in (await stores.memory.read_memory(PAIR)).turns]


async def claimed(memory: MemoryStore, worker: str, idle_ms: int) -> Job:
    """The one job whose lease runs out some time."""
    async with asyncio.timeout(10):
        while not (jobs := await memory.claim_jobs(worker, idle_ms, 16)):
            await asyncio.sleep(0)
    (job,) = jobs
    return job


# ---- raising ----


async def test_a_commit_that_evicts_raises_a_job_and_others_do_not(stores: Stores) -> None:
    """The job comes with the turn; what is to leave is `wanted`, and stays in the window until the job has finished."""
    first = await commit(stores.talk, "t1")
    assert await stores.memory.next_jobs("w1", 16, 0) == ()
    await commit(stores.talk, "t2", evict=first)
    snapshot = await stores.talk.load(PAIR)
    assert (snapshot.start, snapshot.cursor, snapshot.wanted) == (START, START, first)
    assert len(snapshot.turns) == 2
    job = await take(stores.memory)
    assert (job.pair, job.reason, job.deliveries) == (PAIR, "eviction", 1)


async def test_a_commit_that_is_repeated_raises_no_second_job(stores: Stores) -> None:
    """The repeated commit of a turn whose job has been finished leaves nothing to do."""
    first = await commit(stores.talk, "t1")
    await commit(stores.talk, "t2", evict=first)
    assert await stores.memory.finish_job(await take(stores.memory), result(START, first)) == 1
    await commit(stores.talk, "t2", evict=first)
    assert (await stores.memory.memory_health(PAIR)).pending_jobs == 0


async def test_a_pair_has_one_job_however_often_it_is_asked_for(stores: Stores) -> None:
    """Evictions and requests fold into the job that waits; `wanted` only grows."""
    first, second = await commit(stores.talk, "t1"), await commit(stores.talk, "t2")
    last = await commit(stores.talk, "t3", evict=second)
    assert await stores.memory.raise_job(PAIR, "idle")
    assert await stores.memory.raise_job(PAIR, "request")
    newest = await commit(stores.talk, "t4", evict=first)
    assert (await stores.memory.read_memory(PAIR)).wanted == last
    assert order(newest) > order(last)
    assert (await take(stores.memory)).reason == "eviction"
    assert await stores.memory.next_jobs("w1", 16, 0) == ()


async def test_nothing_new_is_no_job(stores: Stores) -> None:
    """Asking for consolidation raises a job only if there is a turn past the cursor; marks are none."""
    assert not await stores.memory.raise_job(PAIR, "request")
    first = await commit(stores.talk, "t1")
    assert await stores.memory.raise_job(PAIR, "request")
    await stores.memory.finish_job(await take(stores.memory), result(START, first))
    turn = (await stores.talk.load(PAIR)).turns[0].record
    await stores.talk.commit_heard(ref("t1"), turn.messages)
    assert not await stores.memory.raise_job(PAIR, "request")
    assert await stores.memory.next_jobs("w1", 16, 0) == ()


async def test_a_job_is_handed_out_once(stores: Stores) -> None:
    """Of many workers that ask at once, each job goes to one; every pair's is among them."""
    pairs = [Pair("demo", f"user {number}") for number in range(40)]
    for pair in pairs:
        await commit(stores.talk, "t1", pair=pair)
        assert await stores.memory.raise_job(pair, "request")
    got: list[Job] = []
    while found := await asyncio.gather(*(stores.memory.next_jobs(f"w{n}", 4, 0) for n in range(3))):
        if not any(found):
            break
        got += [job for jobs in found for job in jobs]
    assert sorted(job.pair.user for job in got) == sorted(pair.user for pair in pairs)
    assert len({job.id for job in got}) == 40


async def test_who_waits_for_a_job_gets_it_when_it_is_raised(stores: Stores) -> None:
    """A waiting worker is handed the job of a later commit."""
    first = await commit(stores.talk, "t1")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(stores.memory.next_jobs("w1", 16, 2000))
        await asyncio.sleep(0)
        await commit(stores.talk, "t2", evict=first)
    assert [job.pair for job in waiting.result()] == [PAIR]


# ---- finishing ----


async def test_finishing_writes_everything_at_once(stores: Stores) -> None:
    """Keys, blocks, cursor, window and version come together; the job is gone."""
    first = await commit(stores.talk, "t1")
    second = await commit(stores.talk, "t2", evict=first)
    job = await take(stores.memory)
    block = human("Ann", 1, author=f"sleeptime:{job.id}")
    assert await stores.memory.finish_job(job, result(START, first, block)) == 1
    snapshot = await stores.memory.read_memory(PAIR)
    assert snapshot == await stores.talk.load(PAIR)
    assert (snapshot.memory_version, snapshot.blocks) == (1, (block,))
    assert (snapshot.cursor, snapshot.start, await ids(stores)) == (first, first, [second])
    assert [key.facts for key in (await stores.memory.read_passages(PAIR, "")).keys] == [("a fact",)]
    health = await stores.memory.memory_health(PAIR)
    assert (health.pending_jobs, health.lag_ms) == (0, 0.0)


async def test_finishing_twice_changes_nothing(stores: Stores) -> None:
    """Two workers that finish one job: the second gets the version of the first, and its results go nowhere."""
    first = await commit(stores.talk, "t1")
    await stores.memory.raise_job(PAIR, "request")
    job = await take(stores.memory, "w1")
    again = await claimed(stores.memory, "w2", 0)
    assert again.id == job.id
    assert await stores.memory.finish_job(job, result(START, first, human("Ann", 1))) == 1
    before = await stores.memory.read_memory(PAIR), await stores.memory.read_passages(PAIR, "")
    assert await stores.memory.finish_job(again, result(START, first, human("Bob", 1))) == 1
    assert (await stores.memory.read_memory(PAIR), await stores.memory.read_passages(PAIR, "")) == before


async def test_many_that_finish_at_once_write_once(stores: Stores) -> None:
    """Of ten results of one job, one is written."""
    first = await commit(stores.talk, "t1")
    await stores.memory.raise_job(PAIR, "request")
    job = await take(stores.memory)
    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(stores.memory.finish_job(job, result(START, first, human(str(number), 1))))
    assert len((await stores.memory.read_passages(PAIR, "")).keys) == 1
    assert len(await stores.memory.block_history(PAIR, "human")) == 1


@pytest.mark.parametrize("meanwhile", ["block", "cursor"])
async def test_what_changed_since_it_was_read_refuses_the_result(stores: Stores, meanwhile: str) -> None:
    """A block edited by hand, or a cursor elsewhere: nothing at all is written, and the next try succeeds."""
    first = await commit(stores.talk, "t1")
    await stores.memory.raise_job(PAIR, "request")
    job, read = await take(stores.memory), START
    if meanwhile == "block":
        assert await stores.memory.write_block(PAIR, human("by hand", 1))
    else:
        read = "1-1"
    before = await stores.memory.read_memory(PAIR)
    two = (replace(human("summed up", 1), label="summary"), human("by the job", 1))
    assert await stores.memory.finish_job(job, result(read, first, *two)) is None
    assert await stores.memory.read_memory(PAIR) == before
    assert (await stores.memory.read_passages(PAIR, "")).keys == ()
    version = len(await stores.memory.block_history(PAIR, "human")) + 1
    assert await stores.memory.finish_job(job, result(START, first, human("both", version))) is not None
    assert [block.value for block in (await stores.memory.read_memory(PAIR)).blocks] == ["both"]


async def test_what_is_wanted_while_a_job_runs_is_the_next_jobs(stores: Stores) -> None:
    """A turn evicted while the job runs is not lost: finishing raises the next job, with its own reason."""
    first = await commit(stores.talk, "t1")
    second = await commit(stores.talk, "t2", evict=first)
    job = await take(stores.memory)
    await commit(stores.talk, "t3", evict=second)
    assert await stores.memory.next_jobs("w1", 16, 0) == ()
    await stores.memory.finish_job(job, result(START, first))
    following = await take(stores.memory)
    assert following.id != job.id
    assert (following.pair, following.reason, following.deliveries) == (PAIR, "eviction", 1)
    await stores.memory.finish_job(following, result(first, second))
    assert (await stores.memory.memory_health(PAIR)).pending_jobs == 0


async def test_a_job_that_dealt_with_more_than_it_was_raised_for_leaves_no_next_one(stores: Stores) -> None:
    """What was wanted before the job read is its own; no doorbell rings for nothing."""
    first = await commit(stores.talk, "t1")
    second = await commit(stores.talk, "t2", evict=first)
    job = await take(stores.memory)
    await stores.memory.raise_job(PAIR, "session_ended")
    await stores.memory.finish_job(job, result(START, second))
    assert await stores.memory.next_jobs("w1", 16, 0) == ()
    snapshot = await stores.memory.read_memory(PAIR)
    assert (snapshot.cursor, snapshot.start, await ids(stores)) == (second, first, [second])


async def test_turns_already_dealt_with_leave_the_window_at_once(stores: Stores) -> None:
    """An eviction behind the cursor needs no job: the window moves with the commit, and live sessions are told."""
    first = await commit(stores.talk, "t1")
    await stores.memory.raise_job(PAIR, "session_ended")
    await stores.memory.finish_job(await take(stores.memory), result(START, first))
    assert await ids(stores) == [first]
    places: dict[str, str] = {}
    await stores.memory.changes(places, 0)
    second = await commit(stores.talk, "t2", evict=first)
    assert await ids(stores) == [second]
    assert await stores.memory.next_jobs("w1", 16, 0) == ()
    assert [change.version for change in await stores.memory.changes(places, 0)] == [1]


async def test_a_job_that_found_nothing_is_simply_finished(stores: Stores) -> None:
    """Neither version nor word of a change comes of it."""
    first = await commit(stores.talk, "t1")
    await stores.memory.raise_job(PAIR, "request")
    await stores.memory.finish_job(await take(stores.memory), result(START, first))
    await commit(stores.talk, "t2")
    await stores.memory.raise_job(PAIR, "request")
    places: dict[str, str] = {}
    await stores.memory.changes(places, 0)
    job = await take(stores.memory)
    assert await stores.memory.finish_job(job, JobResult(first, first, START)) == 1
    assert await stores.memory.changes(places, 0) == ()


# ---- leases ----


async def test_deliveries_are_counted_where_a_killed_worker_cannot_take_the_count_along(stores: Stores) -> None:
    """Each claim counts, whether or not the worker before lived to say anything."""
    await commit(stores.talk, "t1")
    await stores.memory.raise_job(PAIR, "request")
    job = await take(stores.memory)
    seen = [job.deliveries]
    seen += [(await claimed(stores.memory, f"w{number}", 1)).deliveries for number in range(5)]
    assert seen == [1, 2, 3, 4, 5, 6]


async def test_a_lease_holds_and_is_renewed_by_its_holder_only(stores: Stores) -> None:
    """Nobody claims a job before its time; who lost it cannot keep it from the others by renewing."""
    await commit(stores.talk, "t1")
    await stores.memory.raise_job(PAIR, "request")
    job = await take(stores.memory, "w1")
    await stores.memory.renew_jobs("w1", (job,))
    assert await stores.memory.claim_jobs("w2", LEASE_MS, 16) == ()
    taken = await claimed(stores.memory, "w2", 10)
    again: tuple[Job, ...] = ()
    async with asyncio.timeout(10):
        while not again:
            await stores.memory.renew_jobs("w1", (job,))
            again = await stores.memory.claim_jobs("w3", 10, 16)
    assert [held.deliveries for held in again] == [taken.deliveries + 1]


async def test_no_more_jobs_are_claimed_than_asked_for(stores: Stores) -> None:
    """The count bounds a claim over all shards."""
    for number in range(20):
        pair = Pair("demo", f"user {number}")
        await commit(stores.talk, "t1", pair=pair)
        await stores.memory.raise_job(pair, "request")
    while await stores.memory.next_jobs("w1", 16, 0):
        pass
    counts = []
    while jobs := await stores.memory.claim_jobs("w2", 0, 8):
        counts.append(len(jobs))
        for job in jobs:
            await stores.memory.bury_job(job, "enough")
    assert counts == [8, 8, 4]
