"""Old messages are dropped, on a server and on the recorder: from log, window and search, and nothing else is."""

from tests.store.conftest import Stores
from tests.store.turns import PAIR, answered, commit, human, ref, result, said, take
from tests.stores import until
from voice_agent.clock import SystemClock
from voice_agent.store.memory import Document, JobResult

START = "0-0"
CLOCK = SystemClock()


async def moment() -> float:
    """A time, in whole milliseconds, after all that was stored before it and before all that is stored after it."""
    border = CLOCK.wall() + 0.002

    async def passed() -> bool:
        return CLOCK.wall() > border + 0.002

    await until(passed, "some milliseconds have passed")
    return border


async def texts(stores: Stores) -> list[str]:
    """The log, newest first."""
    return [logged.message.text for logged in await stores.talk.read_messages(PAIR, None, 50)]


async def test_what_is_older_leaves_log_window_and_search(stores: Stores) -> None:
    """Keys that tell of it go too; blocks and documents stay, and a reader of the archive begins anew."""
    first = await commit(stores.talk, "t1")
    await stores.memory.add_documents(PAIR, (Document("Ann likes olives."),))
    await stores.memory.raise_job(PAIR, "request")
    await stores.memory.finish_job(await take(stores.memory), result(START, first, human("Ann", 1)))
    border = await moment()
    second = await commit(stores.talk, "t2")
    place = (await stores.memory.read_passages(PAIR, "")).place
    assert await stores.memory.trim(PAIR, border) == 1
    assert await texts(stores) == ["t2 it is.", "t2?"]
    passages = await stores.memory.read_passages(PAIR, place)
    assert (passages.anew, [turn.id for turn in passages.turns], passages.keys) == (True, [second], ())
    assert [document.text for document in passages.documents] == ["Ann likes olives."]
    snapshot = await stores.memory.read_memory(PAIR)
    assert ([turn.id for turn in snapshot.turns], snapshot.start, snapshot.cursor) == ([second], first, first)
    assert [block.value for block in snapshot.blocks] == ["Ann"]
    assert await stores.memory.trim(PAIR, border) == 0
    again = await stores.memory.read_passages(PAIR, passages.place)
    assert (again.anew, again.turns) == (False, ())


async def test_what_was_heard_of_a_turn_goes_with_it(stores: Stores) -> None:
    """However late the mark came; those of turns that stay, stay."""
    await commit(stores.talk, "t1")
    border = await moment()
    await commit(stores.talk, "t2")
    await stores.talk.commit_heard(ref("t1"), (said("t1"), answered("t1", "t1")))
    await stores.talk.commit_heard(ref("t2"), (said("t2"), answered("t2", "t2")))
    assert await stores.memory.trim(PAIR, border) == 2
    passages = await stores.memory.read_passages(PAIR, "")
    assert [[message.heard for message in turn.record.messages] for turn in passages.turns] == [[None, "t2"]]
    assert await texts(stores) == ["t2 it is.", "t2?"]
    assert len((await stores.talk.load(PAIR)).turns) == 1


async def test_a_mark_whose_turn_is_gone_does_no_harm(stores: Stores) -> None:
    """It came before the border, and its turn too, but readers that saw only the mark go on."""
    await commit(stores.talk, "t1")
    place = (await stores.memory.read_passages(PAIR, "")).place
    await stores.talk.commit_heard(ref("t1"), (said("t1"), answered("t1", "t1")))
    await moment()
    await stores.memory.trim(PAIR, CLOCK.wall() + 1)
    passages = await stores.memory.read_passages(PAIR, place)
    assert (passages.anew, passages.turns, await texts(stores)) == (True, (), [])
    assert await stores.talk.list_users(PAIR.agent, "", 10) == ()


async def test_a_job_under_way_is_to_read_again(stores: Stores) -> None:
    """What it read is gone: it writes nothing of it, and the next try finds the rest."""
    first = await commit(stores.talk, "t1")
    border = await moment()
    second = await commit(stores.talk, "t2")
    await stores.memory.raise_job(PAIR, "request")
    job = await take(stores.memory)
    await stores.memory.trim(PAIR, border)
    assert await stores.memory.finish_job(job, result(START, second, human("Ann", 1))) is None
    assert await stores.memory.finish_job(job, JobResult(first, second, first)) is not None
    assert (await stores.memory.memory_health(PAIR)).pending_jobs == 0


async def test_live_windows_are_told(stores: Stores) -> None:
    """As of any change in memory, without a label."""
    places: dict[str, str] = {}
    await commit(stores.talk, "t1")
    await stores.memory.changes(places, 0)
    assert await stores.memory.trim(PAIR, CLOCK.wall() + 1) == 1
    (change,) = await stores.memory.changes(places, 0)
    assert (change.pair, change.kind, change.labels) == (PAIR, "memory", ())


async def test_nobody_s_log_is_no_fault(stores: Stores) -> None:
    """There is nothing to drop, and nothing is made."""
    assert await stores.memory.trim(PAIR, CLOCK.wall()) == 0
    assert await stores.talk.list_users(PAIR.agent, "", 10) == ()
