"""Forgetting a pair, on a server and on the recorder: nothing is left, and nothing that still runs brings it back."""

import pytest

from tests.store.conftest import Stores
from tests.store.turns import OTHER, PAIR, commit, human, opened, ref, result, said, take
from voice_agent.store.base import Pair, StoreError
from voice_agent.store.memory import Document, JobResult, Passages

START = "0-0"
OLIVE = Document("Ann likes olives.", "note", 12.5, "crm:7")
TEA = Document("Ann drinks tea.", at=13.5)


async def empty(stores: Stores, pair: Pair = PAIR) -> bool:
    """Whether nothing at all is held of the pair."""
    snapshot, passages = await stores.memory.read_memory(pair), await stores.memory.read_passages(pair, "")
    held = (snapshot.turns, snapshot.blocks, passages.turns, passages.keys, passages.documents, passages.gone)
    health = await stores.memory.memory_health(pair)
    marks = (snapshot.memory_version, health.dead, health.pending_jobs, health.last_failure)
    listed = pair.user in await stores.talk.list_users(pair.agent, "", 50)
    versions = await stores.memory.block_history(pair, "human")
    return not any(held) and not any(marks) and not listed and not versions and snapshot.wanted == START


async def test_a_new_pair_remembers_nothing(stores: Stores) -> None:
    """Nothing was written, asked for or failed."""
    assert await empty(stores)


def words(passages: Passages) -> list[str]:
    """What was said, as far as it was heard."""
    messages = (message for turn in passages.turns for message in turn.record.messages)
    return [message.text if message.heard is None else message.heard for message in messages]


async def everything(stores: Stores, pair: Pair) -> None:
    """Something of every kind that can be held of a pair: a window, an archive, a dead letter, a job, an open turn."""
    first = await commit(stores.talk, "t1", pair=pair)
    await stores.memory.raise_job(pair, "request")
    await stores.memory.finish_job(await take(stores.memory), result(START, first, human("Ann", 1)))
    olive, _ = await stores.memory.add_documents(pair, (OLIVE, TEA))
    await stores.memory.delete_document(pair, olive)
    await commit(stores.talk, "t2", pair=pair)
    await stores.memory.raise_job(pair, "request")
    await stores.memory.bury_job(await take(stores.memory), "poison")
    await commit(stores.talk, "t3", pair=pair)
    await stores.memory.raise_job(pair, "request")
    await stores.talk.begin_turn(opened(ref("t4", pair=pair)))


async def test_a_pair_is_forgotten_whole_and_alone(stores: Stores) -> None:
    """Nothing is left of it, its waiting job and dead letters included; the user whose name begins alike keeps all."""
    other = Pair(PAIR.agent, f"{PAIR.user}:2")
    await everything(stores, other)
    (waiting,) = await stores.memory.next_jobs("w1", 16, 0)
    await everything(stores, PAIR)
    assert await stores.memory.forget(PAIR)
    assert await empty(stores)
    assert await stores.memory.next_jobs("w1", 16, 0) == ()
    assert [letter.pair for letter in await stores.memory.dead_jobs(10)] == [other]
    assert [turn.ref.pair for turn in await stores.talk.orphans()] == [other]
    assert len((await stores.memory.read_memory(other)).turns) == 3
    assert len((await stores.memory.read_passages(other, "")).documents) == 1
    assert waiting.pair == other
    assert not await stores.memory.forget(PAIR)


@pytest.mark.parametrize("cursor_to", [START, "1-1"])
async def test_a_job_that_runs_while_its_pair_is_forgotten_brings_nothing_back(stores: Stores, cursor_to: str) -> None:
    """Whatever the worker does with it: finish, fail, renew, bury."""
    await everything(stores, PAIR)
    job = await take(stores.memory)
    assert await stores.memory.forget(PAIR)
    assert await stores.memory.finish_job(job, result(START, cursor_to, human("Ann", 1))) is None
    assert await stores.memory.finish_job(job, JobResult(START, cursor_to, START)) is None
    await stores.memory.renew_jobs("w1", (job,))
    await stores.memory.fail_job(job, "poison")
    await stores.memory.bury_job(job, "poison")
    assert await empty(stores)
    assert await stores.memory.claim_jobs("w2", 0, 16) == ()
    assert await stores.memory.dead_jobs(10) == ()


async def test_a_forgotten_pair_begins_anew(stores: Stores) -> None:
    """Its next turn is its first, its next job another one, and a reader of the old archive is told to drop it."""
    await everything(stores, PAIR)
    job = await take(stores.memory)
    begun = await stores.memory.read_passages(PAIR, "")
    await stores.memory.forget(PAIR)
    gone = await stores.memory.read_passages(PAIR, begun.place)
    assert (gone.anew, gone.turns, gone.documents) == (True, (), ())
    first = await commit(stores.talk, "t1")
    await stores.memory.raise_job(PAIR, "request")
    again = await stores.memory.read_passages(PAIR, begun.place)
    assert (again.anew, words(again)) == (True, ["t1?", "t1 it is."])
    assert not (await stores.memory.read_passages(PAIR, again.place)).anew
    assert await stores.memory.finish_job(job, result(START, first, human("Ann", 1))) is None
    fresh = await take(stores.memory)
    assert fresh.id != job.id
    assert await stores.memory.finish_job(fresh, result(START, first, human("Bob", 1))) == 1


@pytest.mark.parametrize("turns", [True, False])
async def test_a_reader_that_comes_late_learns_that_all_was_forgotten(stores: Stores, turns: bool) -> None:
    """Of turns alone or documents alone, also when others came since."""

    async def add(words: str) -> object:
        if turns:
            return await commit(stores.talk, words)
        return await stores.memory.add_documents(PAIR, (Document(words),))

    await add("old")
    begun = await stores.memory.read_passages(PAIR, "")
    assert await stores.memory.forget(PAIR)
    await add("new")
    again = await stores.memory.read_passages(PAIR, begun.place)
    texts = [*words(again), *(found.text for found in again.documents)]
    assert (again.anew, texts) == (True, ["new?", "new it is."] if turns else ["new"])


async def test_an_open_turn_of_a_forgotten_pair_is_gone(stores: Stores) -> None:
    """Nobody adopts it, and marks for what was forgotten find no turn."""
    await commit(stores.talk, "t1")
    turn = opened(ref("t2"))
    await stores.talk.begin_turn(turn)
    assert await stores.memory.forget(PAIR)
    assert await stores.talk.orphans() == ()
    assert await stores.talk.adopt(turn, OTHER) is None
    with pytest.raises(StoreError, match="s1:t1"):
        await stores.talk.commit_heard(ref("t1"), (said("t1"),))
