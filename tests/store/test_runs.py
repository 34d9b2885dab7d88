"""What every store of runs keeps: each promise of `voice_agent.store.runs`, on a server and on the recorder."""

import asyncio

import pytest
from msgspec.structs import replace

from tests.store.conftest import Stores
from tests.store.runs import PENDING, USAGE, WEEK_S, ref, run, step_under_way, suspension, waiting, whole
from tests.store.turns import LEASE_MS, OTHER, OWNER, PAIR, answered, opened, record, said
from tests.stores import until
from voice_agent.messages import Message
from voice_agent.run_record import RunRecord, RunStatus
from voice_agent.store.base import Fenced, Owner, Pair, TurnRef
from voice_agent.store.memory import Change
from voice_agent.store.runs import DIED, Suspended

THIRD = Owner("third", "x")


async def seen(stores: Stores, run_id: str) -> RunRecord:
    """The record, which is there."""
    found = await stores.runs.read_run(run_id)
    assert found is not None
    return found


async def take_up(stores: Stores, owner: Owner) -> TurnRef | None:
    """The pair's turn that waits, taken up."""
    found = await stores.runs.suspended(PAIR)
    assert found is not None
    return await stores.runs.resume_turn(found, owner)


async def orphaned(stores: Stores) -> list[tuple[Message, ...]]:
    """The messages of open turns, of which nobody has said that their owner lives."""
    return [turn.messages for turn in await stores.talk.orphans()]


# ---- records ----


async def test_a_record_of_every_field_survives(stores: Stores) -> None:
    """It is found by its id alone, as it was written last."""
    run_id = stores.runs.new_id(PAIR)
    assert await stores.runs.read_run(run_id) is None
    for _ in range(2):
        await stores.runs.write_run(run(run_id), WEEK_S)
        await stores.runs.write_run(whole(run_id), WEEK_S)
    assert await stores.runs.read_run(run_id) == whole(run_id)


async def test_runs_of_many_pairs_are_found_by_their_ids(stores: Stores) -> None:
    """Whatever the names of agent and user; no two ids are the same."""
    pairs = [Pair(f"agent {number}", "ünï:code%/\n") for number in range(40)]
    records = [run(stores.runs.new_id(pair), "completed", pair=pair) for pair in pairs for _ in range(2)]
    for item in records:
        await stores.runs.write_run(item, WEEK_S)
    assert [await stores.runs.read_run(item.id) for item in records] == records
    assert len({item.id for item in records}) == 80


@pytest.mark.parametrize("run_id", ["", "run-", "s1", "run-1768-", "run-ffff-0123456789abcdef", "run-1768-*", "ü\n"])
async def test_what_is_no_id_finds_nothing_and_takes_nothing(stores: Stores, run_id: str) -> None:
    """Any text can come from outside; a record or a turn under such an id is a fault of ours."""
    assert await stores.runs.read_run(run_id) is None
    with pytest.raises(ValueError, match="no id of a run"):
        await stores.runs.write_run(run(run_id), WEEK_S)
    with pytest.raises(ValueError, match="no id of a run"):
        await stores.runs.suspend_turn(ref(run_id), suspension())


async def test_a_record_runs_out_but_not_while_its_run_waits(stores: Stores) -> None:
    """It is gone after its time; one that waits for the client stays, and has its time once it does no longer."""
    waits, short = (await waiting(stores.talk, stores.runs)).session_id, stores.runs.new_id(PAIR)
    for item in (run(waits, "requires_approval"), run(short, "completed")):
        await stores.runs.write_run(item, 0.05)

    async def gone(run_id: str) -> bool:
        return await stores.runs.read_run(run_id) is None

    await until(lambda: gone(short), "the record ran out")
    assert (await seen(stores, waits)).status == "requires_approval"
    await stores.runs.write_run(run(waits, "cancelled"), 0.05)
    await until(lambda: gone(waits), "the record that waited ran out")


async def test_a_run_whose_process_died_has_failed(stores: Stores) -> None:
    """By its lease, or a newer life of its slot; a run that has ended stays as it ended."""
    first, second = stores.runs.new_id(PAIR), stores.runs.new_id(PAIR)
    await stores.runs.write_run(run(first), WEEK_S)
    await stores.runs.write_run(run(second, "completed"), WEEK_S)
    failed = replace(run(first), status="failed", reason="interrupted", error=DIED)
    assert await stores.runs.read_run(first) == failed
    await stores.talk.beat(OWNER, LEASE_MS)
    assert await stores.runs.read_run(first) == run(first)
    await stores.talk.beat(Owner(OWNER.slot, "second life"), LEASE_MS)
    assert await stores.runs.read_run(first) == failed
    assert await stores.runs.read_run(second) == run(second, "completed")


async def test_a_process_that_lost_the_run_cannot_write_its_record(stores: Stores) -> None:
    """After a takeover the new owner's record stands."""
    run_id = stores.runs.new_id(PAIR)
    await stores.talk.open_session(PAIR, run_id, OWNER)
    await stores.runs.write_run(run(run_id), WEEK_S)
    await stores.talk.open_session(PAIR, run_id, OTHER)
    await stores.runs.write_run(run(run_id, "cancelled", OTHER), WEEK_S)
    with pytest.raises(Fenced, match="another process"):
        await stores.runs.write_run(run(run_id, "completed"), WEEK_S)
    assert await stores.runs.read_run(run_id) == run(run_id, "cancelled", OTHER)


async def test_word_of_a_cancel_reaches_who_listens(stores: Stores) -> None:
    """It names pair and run, among the changes of memory, and may come twice."""
    places: dict[str, str] = {}
    await stores.memory.changes(places, 0)
    item = run(stores.runs.new_id(PAIR))
    for _ in range(2):
        await stores.runs.ask_cancel(item)
    assert await stores.memory.changes(places, 0) == (Change(PAIR, "cancel", 0, run=item.id),) * 2


# ---- turns that wait ----


async def test_nothing_waits_at_first(stores: Stores) -> None:
    """A pair that never spoke, and one with an open turn, have no turn set aside."""
    run_id = stores.runs.new_id(PAIR)
    await stores.talk.begin_turn(opened(ref(run_id)))
    assert await stores.runs.suspended(PAIR) is None
    assert await stores.runs.last_answered(PAIR) is None


async def test_a_turn_that_waits_is_nobodys_orphan(stores: Stores) -> None:
    """It is given back whole, its user is listed, and the death of its process does not close it."""
    of = await waiting(stores.talk, stores.runs)
    await stores.talk.beat(Owner(OWNER.slot, "second life"), LEASE_MS)
    assert await stores.talk.orphans() == ()
    assert await stores.runs.suspended(PAIR) == Suspended(of, suspension())
    assert await stores.talk.list_users(PAIR.agent, "", 10) == (PAIR.user,)
    assert (await stores.talk.load(PAIR)).turns == ()


async def test_a_turn_taken_up_goes_on_and_is_committed(stores: Stores) -> None:
    """It waits no more, the pair remembers which was answered, and its commit is one turn of the log."""
    of = await waiting(stores.talk, stores.runs)
    taken = await take_up(stores, OTHER)
    assert taken == replace(of, epoch=of.epoch + 1)
    assert await stores.runs.suspended(PAIR) is None
    assert await stores.runs.last_answered(PAIR) == of.session_id
    await stores.talk.commit_turn(taken, record(taken))
    assert [turn.record.key for turn in (await stores.talk.load(PAIR)).turns] == [of.key]
    assert await stores.talk.orphans() == ()
    assert await stores.runs.last_answered(PAIR) == of.session_id


async def test_of_many_that_answer_at_once_one_goes_on(stores: Stores) -> None:
    """The others are told that they were too late."""
    of = await waiting(stores.talk, stores.runs)
    found = await stores.runs.suspended(PAIR)
    assert found is not None
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(stores.runs.resume_turn(found, Owner(f"h:{port}", "x"))) for port in range(8)]
    assert [taken for call in calls if (taken := call.result())] == [replace(of, epoch=of.epoch + 1)]


async def test_who_left_a_turn_to_another_is_fenced_from_every_write(stores: Stores) -> None:
    """And what it writes late, before anybody took the turn up, does not open it again."""
    of = await waiting(stores.talk, stores.runs)
    await stores.talk.begin_turn(opened(of))
    assert await stores.talk.orphans() == ()
    taken = await take_up(stores, OTHER)
    assert taken is not None
    for write in (
        stores.talk.begin_turn(opened(of)),
        stores.talk.save_step(of, 0, (answered("late"),)),
        stores.runs.suspend_turn(of, suspension()),
        stores.talk.commit_turn(of, record(of)),
        stores.runs.write_run(run(of.session_id), WEEK_S),
    ):
        with pytest.raises(Fenced):
            await write
    assert await stores.runs.suspended(PAIR) is None
    assert await orphaned(stores) == [(said("t1"), *step_under_way())]


async def test_a_turn_that_died_after_it_was_taken_up_is_an_orphan_with_its_step(stores: Stores) -> None:
    """The step it was suspended in is part of it, as it was then, until it is saved whole."""
    run_id = stores.runs.new_id(PAIR)
    of = ref(run_id)
    await stores.talk.begin_turn(opened(of))
    await stores.talk.save_step(of, 0, (answered("first"),))
    await stores.runs.suspend_turn(of, suspension(answered("first")))
    await stores.talk.beat(OTHER, LEASE_MS)
    taken = await take_up(stores, OTHER)
    assert taken is not None
    assert await stores.talk.orphans() == ()
    await stores.talk.beat(Owner(OTHER.slot, "second life"), LEASE_MS)
    (orphan,) = await stores.talk.orphans()
    assert (orphan.ref, orphan.owner) == (taken, OTHER)
    assert orphan.messages == (said("t1"), answered("first"), *step_under_way())
    result = Message("tool", "paid", 3.0, tool_call_id="c2")
    await stores.talk.save_step(taken, 1, (*step_under_way(), result))
    assert await orphaned(stores) == [(said("t1"), answered("first"), *step_under_way(), result)]
    adopted = await stores.talk.adopt((await stores.talk.orphans())[0], THIRD)
    assert adopted is not None
    assert adopted.messages[-1] == result


async def test_a_turn_waits_again(stores: Stores) -> None:
    """Under its new epoch, and with what is pending now; who has read the old wait is too late."""
    of = await waiting(stores.talk, stores.runs)
    first = await stores.runs.suspended(PAIR)
    taken = await take_up(stores, OTHER)
    assert first is not None
    assert taken is not None
    await stores.talk.save_step(taken, 0, step_under_way())
    later = replace(suspension(*step_under_way()), pending=(replace(PENDING, call_id="c3", waits_for="result"),))
    for _ in range(2):
        await stores.runs.suspend_turn(taken, later)
    assert await stores.runs.suspended(PAIR) == Suspended(taken, later)
    assert await stores.runs.resume_turn(first, OWNER) is None
    assert await stores.runs.resume_turn(first, OTHER) is None
    again = await take_up(stores, OWNER)
    assert again == replace(of, epoch=of.epoch + 2)
    assert await orphaned(stores) == [(said("t1"), *step_under_way(), *step_under_way())]


async def test_taking_up_again_gives_the_same_for_as_long_as_it_goes_on(stores: Stores) -> None:
    """To who has it; once another process adopted the turn the reference fences, and after its end there is none."""
    await waiting(stores.talk, stores.runs)
    found = await stores.runs.suspended(PAIR)
    assert found is not None
    taken = await stores.runs.resume_turn(found, OTHER)
    assert await stores.runs.resume_turn(found, OTHER) == taken
    assert await stores.runs.resume_turn(found, OWNER) is None
    (orphan,) = await stores.talk.orphans()
    adopted = await stores.talk.adopt(orphan, THIRD)
    assert adopted is not None
    assert taken is not None
    assert await stores.runs.resume_turn(found, OTHER) == taken
    with pytest.raises(Fenced):
        await stores.talk.commit_turn(taken, record(taken))
    await stores.talk.commit_turn(adopted.ref, record(adopted.ref))
    assert await stores.runs.resume_turn(found, OTHER) is None


async def test_a_turn_can_be_committed_while_it_waits(stores: Stores) -> None:
    """It waits no more then, and nobody can take it up."""
    of = await waiting(stores.talk, stores.runs)
    found = await stores.runs.suspended(PAIR)
    assert found is not None
    await stores.talk.commit_turn(of, record(of))
    assert await stores.runs.suspended(PAIR) is None
    assert await stores.runs.resume_turn(found, OTHER) is None
    assert await stores.runs.last_answered(PAIR) is None
    await stores.runs.suspend_turn(of, suspension())
    assert await stores.runs.suspended(PAIR) is None
    again = await waiting(stores.talk, stores.runs)
    assert await stores.runs.suspended(PAIR) == Suspended(again, suspension())


async def test_one_turn_of_a_pair_waits_at_most(stores: Stores) -> None:
    """The second stays open and can be committed; another user's waits beside it."""
    first = await waiting(stores.talk, stores.runs)
    second = ref(stores.runs.new_id(PAIR))
    await stores.talk.begin_turn(opened(second))
    with pytest.raises(Fenced, match="another turn of this user waits"):
        await stores.runs.suspend_turn(second, suspension())
    assert [turn.ref for turn in await stores.talk.orphans()] == [second]
    bob = Pair(PAIR.agent, "bob")
    await waiting(stores.talk, stores.runs, bob)
    await stores.talk.commit_turn(second, record(second))
    for pair, session in ((PAIR, first.session_id), (bob, None)):
        found = await stores.runs.suspended(pair)
        assert found is not None
        assert session in {None, found.ref.session_id}


async def test_what_is_not_open_cannot_be_set_aside(stores: Stores) -> None:
    """A turn that was never begun leaves nothing behind."""
    of = ref(stores.runs.new_id(PAIR))
    await stores.runs.suspend_turn(of, suspension())
    assert await stores.runs.suspended(PAIR) is None
    assert await stores.talk.list_users(PAIR.agent, "", 10) == ()
    await stores.talk.begin_turn(opened(of))
    assert await orphaned(stores) == [(said("t1"),)]


# ---- records of runs that moved on ----


@pytest.mark.parametrize("alive", [True, False])
async def test_a_run_that_waits_is_shown_so(stores: Stores, alive: bool) -> None:
    """Though its process died, or has yet to write so; another run of the user is shown as what it is."""
    of = await waiting(stores.talk, stores.runs)
    await stores.runs.write_run(run(of.session_id), WEEK_S)
    if alive:
        await stores.talk.beat(OWNER, LEASE_MS)
    found = await seen(stores, of.session_id)
    assert (found.status, found.reason, found.pending) == ("requires_approval", "requires_approval", (PENDING,))
    beside = stores.runs.new_id(PAIR)
    await stores.runs.write_run(run(beside), WEEK_S)
    assert (await seen(stores, beside)).status == ("running" if alive else "failed")


@pytest.mark.parametrize("written", ["requires_approval", "running"])
async def test_a_run_that_was_taken_up_lives_with_who_did(stores: Stores, written: RunStatus) -> None:
    """Whoever of the two wrote its record last."""
    of = await waiting(stores.talk, stores.runs)
    await stores.runs.write_run(run(of.session_id, "requires_approval"), WEEK_S)
    await take_up(stores, OTHER)
    if written == "running":
        await stores.runs.write_run(run(of.session_id, "running", OTHER), WEEK_S)
    await stores.talk.beat(OTHER, LEASE_MS)
    assert (await seen(stores, of.session_id)).status == written
    await stores.talk.beat(Owner(OTHER.slot, "second life"), LEASE_MS)
    await stores.talk.beat(OWNER, LEASE_MS)
    failed = await seen(stores, of.session_id)
    assert (failed.status, failed.reason, failed.error) == ("failed", "interrupted", DIED)


@pytest.mark.parametrize("owner", [OWNER, Owner(OWNER.slot, "second life")])
async def test_a_run_whose_turn_is_in_the_log_ended_as_it_says(stores: Stores, owner: Owner) -> None:
    """Its process died, or was fenced, before it wrote so; steps and options are those of the record."""
    run_id = stores.runs.new_id(PAIR)
    of = ref(run_id)
    await stores.talk.beat(owner, LEASE_MS)
    await stores.talk.begin_turn(opened(of))
    written = replace(whole(run_id), status="running", reason=None, ended_at=None, pending=(), error=None)
    await stores.runs.write_run(written, WEEK_S)
    entry_id = await stores.talk.commit_turn(of, replace(record(of), usage=USAGE))
    found = await seen(stores, run_id)
    assert (found.status, found.reason, found.error, found.usage) == ("completed", "end_turn", None, USAGE)
    assert [(said.id, said.text) for said in found.messages] == [
        (f"{entry_id}.0", "t1?"),
        (f"{entry_id}.1", "t1 it is."),
    ]
    assert (found.steps, found.latency, found.ended_at) == (written.steps, None, int(entry_id.split("-")[0]) / 1000)


async def test_a_run_whose_turn_was_closed_as_an_orphan_says_so(stores: Stores) -> None:
    """Also while the process that ran it lives, and may no longer write."""
    run_id = stores.runs.new_id(PAIR)
    of = ref(run_id, await stores.talk.open_session(PAIR, run_id, OWNER))
    await stores.talk.begin_turn(opened(of))
    await stores.runs.write_run(run(run_id), WEEK_S)
    (orphan,) = await stores.talk.orphans()
    adopted = await stores.talk.adopt(orphan, THIRD)
    assert adopted is not None
    await stores.talk.beat(OWNER, LEASE_MS)
    assert (await seen(stores, run_id)).status == "running"
    await stores.talk.commit_turn(adopted.ref, replace(record(of), reason="interrupted"))
    found = await seen(stores, run_id)
    assert (found.status, found.reason, found.error, found.pending) == ("failed", "interrupted", DIED, ())
    assert [said.text for said in found.messages] == ["t1?", "t1 it is."]


# ---- forgetting and trimming ----


async def test_forgetting_takes_runs_and_what_waits(stores: Stores) -> None:
    """All of them, and another user's none; the turn cannot be taken up, and who listens hears of it."""
    places: dict[str, str] = {}
    await stores.memory.changes(places, 0)
    bob = Pair(PAIR.agent, "bob")
    kept = await waiting(stores.talk, stores.runs, bob)
    await stores.runs.write_run(run(kept.session_id, pair=bob), WEEK_S)
    of = await waiting(stores.talk, stores.runs)
    ended = stores.runs.new_id(PAIR)
    await stores.runs.write_run(run(of.session_id, "requires_approval"), WEEK_S)
    await stores.runs.write_run(run(ended, "completed"), WEEK_S)
    found = await stores.runs.suspended(PAIR)
    assert found is not None
    assert await stores.memory.forget(PAIR)
    assert [await stores.runs.read_run(run_id) for run_id in (of.session_id, ended)] == [None, None]
    assert await stores.runs.suspended(PAIR) is None
    assert await stores.runs.resume_turn(found, OTHER) is None
    assert await stores.talk.orphans() == ()
    assert await stores.talk.list_users(PAIR.agent, "", 10) == ("bob",)
    assert await stores.memory.changes(places, 0) == (Change(PAIR, "forgotten", 0),)
    assert not await stores.memory.forget(PAIR)
    assert (await seen(stores, kept.session_id)).status == "requires_approval"


async def test_forgetting_takes_the_memory_of_what_was_answered(stores: Stores) -> None:
    """With the run that goes on, which its process may still commit: a turn that came after."""
    await waiting(stores.talk, stores.runs)
    taken = await take_up(stores, OTHER)
    assert taken is not None
    assert await stores.memory.forget(PAIR)
    assert await stores.runs.last_answered(PAIR) is None
    assert await stores.talk.orphans() == ()


async def test_old_runs_and_an_old_turn_that_waits_are_dropped(stores: Stores) -> None:
    """By when they were made and begun; younger ones stay, and a user with nothing left is listed no more."""
    of = await waiting(stores.talk, stores.runs)
    old, young = stores.runs.new_id(PAIR), stores.runs.new_id(PAIR)
    await stores.runs.write_run(replace(run(old, "completed"), created_at=100.0), WEEK_S)
    await stores.runs.write_run(replace(run(young, "completed"), created_at=300.0), WEEK_S)
    assert await stores.memory.trim(PAIR, 1.0) == 0
    assert await stores.runs.suspended(PAIR) == Suspended(of, suspension())
    assert await stores.memory.trim(PAIR, 200.0) == 0
    assert await stores.runs.suspended(PAIR) is None
    assert await stores.runs.read_run(old) is None
    assert await stores.runs.read_run(young) is not None
    assert await stores.talk.list_users(PAIR.agent, "", 10) == ()
    assert await stores.talk.orphans() == ()


async def test_a_user_whose_turn_waits_stays_listed_when_the_log_is_trimmed(stores: Stores) -> None:
    """Or nobody would look for the turn when it is old as well."""
    first = ref(stores.runs.new_id(PAIR))
    await stores.talk.commit_turn(first, record(first))
    of = ref(stores.runs.new_id(PAIR))
    far = 4e9
    await stores.talk.begin_turn(replace(opened(of), started_at=far + 1))
    await stores.runs.suspend_turn(of, suspension())
    assert await stores.memory.trim(PAIR, far) == 1
    assert await stores.talk.list_users(PAIR.agent, "", 10) == (PAIR.user,)
    assert await stores.runs.suspended(PAIR) == Suspended(of, suspension())
    assert await stores.memory.trim(PAIR, far + 2) == 0
    assert await stores.talk.list_users(PAIR.agent, "", 10) == ()
