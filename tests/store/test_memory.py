"""Blocks, the archive, and word of what changed, on a server and on the recorder."""

import asyncio

from msgspec.structs import replace

from tests.store.conftest import Stores
from tests.store.turns import PAIR, answered, commit, human, ref, result, said, take
from voice_agent.store.base import Pair
from voice_agent.store.memory import Change, Document, Passages

START = "0-0"
OLIVE = Document("Ann likes olives.", "note", 12.5, "crm:7")
TEA = Document("Ann drinks tea. 你好 🎧", at=13.5)


# ---- blocks ----


async def test_a_block_is_written_over_the_version_that_was_read(stores: Stores) -> None:
    """Versions count from one; a write that names another is refused and changes nothing."""
    assert not await stores.memory.write_block(PAIR, human("too early", 2))
    assert await stores.memory.write_block(PAIR, human("Ann", 1))
    assert not await stores.memory.write_block(PAIR, human("not Ann", 1))
    assert await stores.memory.write_block(PAIR, human("Ann, Oslo", 2, author="user"))
    snapshot = await stores.memory.read_memory(PAIR)
    assert snapshot.blocks == (human("Ann, Oslo", 2, author="user"),)
    assert snapshot.memory_version == 2
    assert await stores.memory.block_history(PAIR, "human") == (human("Ann, Oslo", 2, author="user"), human("Ann", 1))


async def test_of_two_that_edit_a_block_at_once_one_reads_again(stores: Stores) -> None:
    """Ten writers of one version: one succeeds."""
    async with asyncio.TaskGroup() as group:
        writes = [group.create_task(stores.memory.write_block(PAIR, human(str(n), 1))) for n in range(10)]
    assert [write.result() for write in writes].count(True) == 1


async def test_a_block_written_again_is_no_conflict_with_itself(stores: Stores) -> None:
    """A write whose reply was lost succeeds when repeated, and is there once."""
    assert await stores.memory.write_block(PAIR, human("Ann", 1))
    assert await stores.memory.write_block(PAIR, human("Ann", 1))
    assert len(await stores.memory.block_history(PAIR, "human")) == 1
    assert (await stores.memory.read_memory(PAIR)).memory_version == 1


async def test_the_last_hundred_versions_are_kept(stores: Stores) -> None:
    """History is newest first, with everything a version was written with, and bounded."""
    block = replace(human("naïve 你好 🎧", 1, author="sleeptime:j1"), sources=("1-1.0", "1-1.1"))
    for version in range(1, 103):
        assert await stores.memory.write_block(PAIR, replace(block, version=version))
    history = await stores.memory.block_history(PAIR, "human")
    assert list(history) == [replace(block, version=version) for version in range(102, 2, -1)]
    assert await stores.memory.block_history(PAIR, "summary") == ()


async def test_a_job_writes_into_the_same_history(stores: Stores) -> None:
    """What the worker wrote stands between what hands wrote; labels do not mix, and are listed in order."""
    first = await commit(stores.talk, "t1")
    await stores.memory.raise_job(PAIR, "request")
    await stores.memory.write_block(PAIR, human("hand", 1))
    summary = replace(human("all", 1), label="1:human")
    job = await take(stores.memory)
    await stores.memory.finish_job(job, result(START, first, human("job", 2, author=f"sleeptime:{job.id}"), summary))
    await stores.memory.write_block(PAIR, human("hand again", 3))
    history = await stores.memory.block_history(PAIR, "human")
    assert [block.author for block in history] == ["api", f"sleeptime:{job.id}", "api"]
    assert await stores.memory.block_history(PAIR, "1:human") == (summary,)
    assert [block.label for block in (await stores.memory.read_memory(PAIR)).blocks] == ["1:human", "human"]


# ---- the archive ----


def words(passages: Passages) -> list[str]:
    """What was said, as far as it was heard."""
    messages = (message for turn in passages.turns for message in turn.record.messages)
    return [message.text if message.heard is None else message.heard for message in messages]


async def test_the_archive_gives_what_is_new_since_a_place(stores: Stores) -> None:
    """Turns, keys and documents come once each, in order, and nothing comes of nothing."""
    first = await commit(stores.talk, "t1")
    (olive,) = await stores.memory.add_documents(PAIR, (OLIVE,))
    begun = await stores.memory.read_passages(PAIR, "")
    assert words(begun) == ["t1?", "t1 it is."]
    assert begun.turns[0].record.messages[1].id == f"{first}.1"
    assert begun.documents == (replace(OLIVE, id=olive),)
    await stores.memory.raise_job(PAIR, "request")
    await stores.memory.finish_job(await take(stores.memory), result(START, first))
    await commit(stores.talk, "t2")
    (tea,) = await stores.memory.add_documents(PAIR, (TEA,))
    went_on = await stores.memory.read_passages(PAIR, begun.place)
    assert words(went_on) == ["t2?", "t2 it is."]
    assert [(key.first, key.context) for key in went_on.keys] == [(f"{first}.0", "What was said.")]
    assert went_on.documents == (replace(TEA, id=tea),)
    still = await stores.memory.read_passages(PAIR, went_on.place)
    assert (still.turns, still.keys, still.documents, still.gone, still.anew) == ((), (), (), (), False)
    whole = await stores.memory.read_passages(PAIR, "")
    assert whole.turns == begun.turns + went_on.turns
    assert whole.documents == begun.documents + went_on.documents


async def test_a_long_archive_is_read_whole(stores: Stores) -> None:
    """More turns and documents than one piece holds come all, in order, also into a window."""
    for number in range(1001):
        await commit(stores.talk, f"t{number}")
    names = await stores.memory.add_documents(PAIR, tuple(Document(f"fact {number}") for number in range(1001)))
    passages = await stores.memory.read_passages(PAIR, "")
    turns = [turn.record.turn_id for turn in passages.turns]
    assert turns == [f"t{number}" for number in range(1001)]
    assert [document.id for document in passages.documents] == list(names)
    assert [turn.record.turn_id for turn in (await stores.memory.read_memory(PAIR)).turns] == turns


async def test_a_turn_comes_again_when_its_heard_text_moves(stores: Stores) -> None:
    """A reader that has the turn gets it as it is now, once, under the same id."""
    first = await commit(stores.talk, "t1")
    await commit(stores.talk, "t2")
    begun = await stores.memory.read_passages(PAIR, "")
    for heard in ("t1", "t1 it"):
        await stores.talk.commit_heard(ref("t1"), (said("t1"), answered("t1", heard=heard)))
    went_on = await stores.memory.read_passages(PAIR, begun.place)
    assert [turn.id for turn in went_on.turns] == [first]
    assert words(went_on) == ["t1?", "t1 it"]
    assert words(await stores.memory.read_passages(PAIR, "")) == ["t1?", "t1 it", "t2?", "t2 it is."]


async def test_a_mark_of_a_turn_before_the_window_does_not_bring_it_back(stores: Stores) -> None:
    """The window begins after `start`, whatever marks come later."""
    first = await commit(stores.talk, "t1")
    second = await commit(stores.talk, "t2", evict=first)
    await stores.memory.finish_job(await take(stores.memory), result(START, first))
    await stores.talk.commit_heard(ref("t1"), (said("t1"), answered("t1", heard="t1")))
    assert [turn.id for turn in (await stores.talk.load(PAIR)).turns] == [second]


async def test_documents_are_deleted_once(stores: Stores) -> None:
    """Readers learn which are gone; what is none is said to be none."""
    olive, tea = await stores.memory.add_documents(PAIR, (OLIVE, TEA))
    begun = await stores.memory.read_passages(PAIR, "")
    assert await stores.memory.delete_document(PAIR, olive)
    assert (await stores.memory.read_passages(PAIR, begun.place)).gone == (olive,)
    assert [found.id for found in (await stores.memory.read_passages(PAIR, "")).documents] == [tea]
    entry = await commit(stores.talk, "t1")
    for nothing in (olive, "", "d", "x", tea[1:], f"d{entry}", f"{entry}.0", "d-", "d+", f"{tea} "):
        assert not await stores.memory.delete_document(PAIR, nothing)
    assert not await stores.memory.delete_document(Pair("demo", "bob"), tea)


async def test_the_same_batch_again_is_not_added_again(stores: Stores) -> None:
    """It gets its ids, as long as it is there whole; another batch in between does not matter."""
    batch = (OLIVE, OLIVE, TEA)
    names = await stores.memory.add_documents(PAIR, batch)
    assert len(set(names)) == 3
    (alone,) = await stores.memory.add_documents(PAIR, (TEA,))
    assert await stores.memory.add_documents(PAIR, batch) == names
    assert await stores.memory.add_documents(PAIR, ()) == ()
    assert len((await stores.memory.read_passages(PAIR, "")).documents) == 4
    await stores.memory.delete_document(PAIR, alone)
    assert await stores.memory.add_documents(PAIR, (TEA,)) != (alone,)
    assert len(await stores.memory.add_documents(Pair("demo", "bob"), batch)) == 3


# ---- changes ----


async def test_changes_are_seen_from_now_on(stores: Stores) -> None:
    """What was before is not told; a job, a hand and forgetting are, in order, each once."""
    first = await commit(stores.talk, "t1")
    await stores.memory.write_block(PAIR, human("Ann", 1))
    places: dict[str, str] = {}
    assert await stores.memory.changes(places, 0) == ()
    await stores.memory.raise_job(PAIR, "request")
    await stores.memory.finish_job(await take(stores.memory), result(START, first, human("Ann, Oslo", 2)))
    await stores.memory.write_block(PAIR, replace(human("all", 1), label="summary"))
    await stores.memory.add_documents(PAIR, (OLIVE,))
    await stores.memory.forget(PAIR)
    job, hand, forgotten = await stores.memory.changes(places, 0)
    assert job == Change(PAIR, "memory", 2, ("human",), job.lag_ms)
    assert 0 <= job.lag_ms < 10_000
    assert hand == Change(PAIR, "memory", 3, ("summary",))
    assert forgotten == Change(PAIR, "forgotten", 0)
    assert await stores.memory.changes(places, 0) == ()


async def test_a_reader_that_was_away_sees_what_it_missed(stores: Stores) -> None:
    """Two readers each have their own place; changes of all shards come, none twice."""
    pairs = [Pair("demo", f"user {number}") for number in range(40)]
    here: dict[str, str] = {}
    away: dict[str, str] = {}
    await stores.memory.changes(here, 0)
    await stores.memory.changes(away, 0)
    seen: list[Change] = []
    for pair in pairs:
        await stores.memory.write_block(pair, human(pair.user, 1))
        seen += await stores.memory.changes(here, 0)
    missed = await stores.memory.changes(away, 0)
    assert [change.pair for change in seen] == pairs
    assert sorted(change.pair.user for change in missed) == sorted(pair.user for pair in pairs)
    assert await stores.memory.changes(away, 0) == ()


async def test_who_waits_for_a_change_gets_it(stores: Stores) -> None:
    """A waiting reader is told of a later write."""
    places: dict[str, str] = {}
    await stores.memory.changes(places, 0)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(stores.memory.changes(places, 2000))
        await asyncio.sleep(0)
        await stores.memory.write_block(PAIR, human("Ann", 1))
    assert waiting.result() == (Change(PAIR, "memory", 1, ("human",)),)
