"""Jobs that fail, on a server and on the recorder: the reason noted, buried, listed, retried or dropped."""

from tests.store.conftest import Stores
from tests.store.turns import PAIR, commit, human, result, take
from voice_agent.store.base import Pair
from voice_agent.store.log import order
from voice_agent.store.memory import Job

START = "0-0"


async def ids(stores: Stores) -> list[str]:
    """The turns of the window."""
    return [turn.id for turn in (await stores.memory.read_memory(PAIR)).turns]


async def test_a_failure_is_noted_until_a_job_succeeds(stores: Stores) -> None:
    """The reason shows in the pair's health, the job stays handed out, and success wipes it."""
    first = await commit(stores.talk, "t1")
    await stores.memory.raise_job(PAIR, "request")
    job = await take(stores.memory)
    await stores.memory.fail_job(job, "the model answered in prose")
    health = await stores.memory.memory_health(PAIR)
    assert (health.last_failure, health.pending_jobs, health.dead) == ("the model answered in prose", 1, 0)
    assert health.wanted == first
    await stores.memory.finish_job(job, result(START, first))
    assert (await stores.memory.memory_health(PAIR)).last_failure is None


async def test_burying_lets_later_messages_through(stores: Stores) -> None:
    """The cursor passes what the job was raised for, and what was wanted since is the next job's."""
    first = await commit(stores.talk, "t1")
    second = await commit(stores.talk, "t2", evict=first)
    job = await take(stores.memory)
    third = await commit(stores.talk, "t3", evict=second)
    await stores.memory.bury_job(job, "poison")
    snapshot = await stores.memory.read_memory(PAIR)
    assert (snapshot.cursor, snapshot.start, snapshot.wanted) == (first, first, second)
    health = await stores.memory.memory_health(PAIR)
    assert (health.last_failure, health.dead, health.pending_jobs) == ("poison", 1, 1)
    await stores.memory.finish_job(await take(stores.memory), result(first, second))
    assert await ids(stores) == [third]


async def test_a_buried_job_can_be_neither_finished_nor_buried_again(stores: Stores) -> None:
    """Whoever still ran it leaves no trace."""
    first = await commit(stores.talk, "t1")
    await stores.memory.raise_job(PAIR, "request")
    job = await take(stores.memory)
    await stores.memory.bury_job(job, "poison")
    before = await stores.memory.read_memory(PAIR)
    assert await stores.memory.finish_job(job, result(START, first, human("late", 1))) is None
    assert await stores.memory.finish_job(job, result(first, first, human("late", 1))) is None
    await stores.memory.bury_job(job, "again")
    await stores.memory.fail_job(job, "again")
    assert await stores.memory.read_memory(PAIR) == before
    assert [letter.reason for letter in await stores.memory.dead_jobs(10)] == ["poison"]
    assert (await stores.memory.memory_health(PAIR)).last_failure == "poison"


async def buried(stores: Stores, count: int) -> list[Job]:
    """Jobs of as many users, given up one after the other."""
    jobs = []
    for number in range(count):
        pair = Pair("demo", f"user {number}")
        await commit(stores.talk, "t1", pair=pair)
        await stores.memory.raise_job(pair, "request")
        jobs.append(await take(stores.memory))
        await stores.memory.bury_job(jobs[-1], f"reason {number}")
    return jobs


async def test_dead_letters_are_listed_newest_first(stores: Stores) -> None:
    """Each names its pair, reason and deliveries; the limit bounds the list over all shards."""
    await buried(stores, 5)
    letters = await stores.memory.dead_jobs(3)
    assert {letter.pair.user[-1] == letter.reason[-1] for letter in letters} == {True}
    assert [letter.deliveries for letter in letters] == [1, 1, 1]
    assert [letter.at for letter in letters] == sorted((letter.at for letter in letters), reverse=True)
    assert len({letter.id for letter in await stores.memory.dead_jobs(50)}) == 5


async def test_a_dead_letter_is_retried_from_where_it_began(stores: Stores) -> None:
    """The cursor and the window go back to before it, a job is raised, and the letter is gone."""
    first = await commit(stores.talk, "t1")
    second = await commit(stores.talk, "t2", evict=first)
    await stores.memory.bury_job(await take(stores.memory), "the model was down")
    (letter,) = await stores.memory.dead_jobs(10)
    assert await stores.memory.retry_job(letter.id)
    assert not await stores.memory.retry_job(letter.id)
    assert await stores.memory.dead_jobs(10) == ()
    snapshot = await stores.memory.read_memory(PAIR)
    assert (snapshot.cursor, snapshot.wanted, await ids(stores)) == (START, first, [first, second])
    assert (await stores.memory.memory_health(PAIR)).dead == 0
    job = await take(stores.memory)
    assert (job.reason, job.deliveries) == ("retry", 1)
    await stores.memory.finish_job(job, result(START, first))
    assert await ids(stores) == [second]


async def test_a_retry_never_sets_the_cursor_forward(stores: Stores) -> None:
    """Two letters of one pair, retried newest last: the older one's beginning holds."""
    first = await commit(stores.talk, "t1")
    await stores.memory.raise_job(PAIR, "request")
    await stores.memory.bury_job(await take(stores.memory), "one")
    second = await commit(stores.talk, "t2")
    await stores.memory.raise_job(PAIR, "request")
    await stores.memory.bury_job(await take(stores.memory), "two")
    letters = {letter.reason: letter.id for letter in await stores.memory.dead_jobs(10)}
    assert await stores.memory.retry_job(letters["one"])
    assert await stores.memory.retry_job(letters["two"])
    snapshot = await stores.memory.read_memory(PAIR)
    assert (snapshot.cursor, snapshot.wanted) == (START, second)
    assert order(first) < order(second)
    assert len(await stores.memory.next_jobs("w1", 16, 0)) == 1


async def test_a_dead_letter_is_dropped(stores: Stores) -> None:
    """It is gone, nothing else is, and what is none is said to be none."""
    await buried(stores, 2)
    newest, oldest = await stores.memory.dead_jobs(10)
    assert await stores.memory.drop_job(newest.id)
    assert [letter.id for letter in await stores.memory.dead_jobs(10)] == [oldest.id]
    assert (await stores.memory.memory_health(newest.pair)).dead == 0
    assert (await stores.memory.memory_health(oldest.pair)).dead == 1
    for nothing in (newest.id, "", "x", "1768", "1768-", "1768-1", "1768-+", "nowhere-1-1", f"1768-{1 << 64}-0"):
        assert not await stores.memory.drop_job(nothing)
        assert not await stores.memory.retry_job(nothing)
    assert await stores.memory.next_jobs("w1", 16, 0) == ()
