"""What every conversation store keeps: each promise of `voice_agent.store.base`, on a server and on the recorder."""

import asyncio

import pytest
from msgspec.structs import replace

from tests.store.turns import LEASE_MS, OTHER, OWNER, PAIR, answered, opened, record, ref, said
from voice_agent.messages import Message, TurnRecord
from voice_agent.store.base import ConversationStore, Fenced, LoggedTurn, OpenTurn, Owner, Pair, StoreError


async def texts(store: ConversationStore, before: str | None = None, limit: int = 50) -> list[str]:
    """The page's texts, oldest first."""
    return [row.message.text for row in reversed(await store.read_messages(PAIR, before, limit))]


def bare(turns: tuple[LoggedTurn, ...]) -> list[TurnRecord]:
    """Turns without the ids that the store put in."""
    records = [turn.record for turn in turns]
    return [replace(turn, messages=tuple(replace(message, id="") for message in turn.messages)) for turn in records]


async def test_a_new_pair_has_nothing(store: ConversationStore) -> None:
    """Loading and reading a pair that never spoke gives nothing."""
    snapshot = await store.load(PAIR)
    assert (snapshot.turns, snapshot.memory_version) == ((), 0)
    assert await store.read_messages(PAIR, None, 10) == ()


async def test_committed_turns_come_back_whole_and_in_order(store: ConversationStore) -> None:
    """A session that begins again finds every turn as it was committed."""
    await store.open_session(PAIR, "s1", OWNER)
    records = [record(ref(f"t{number}")) for number in range(3)]
    for number, item in enumerate(records):
        await store.commit_turn(ref(f"t{number}"), item)
    assert bare((await store.load(PAIR)).turns) == records


async def test_pairs_are_apart(store: ConversationStore) -> None:
    """Names that run together when joined plainly do not share a log."""
    first, second = Pair("a", "b:c"), Pair("a:b", "c")
    await store.commit_turn(ref("t1", pair=first), record(ref("t1")))
    assert len((await store.load(first)).turns) == 1
    assert (await store.load(second)).turns == ()


async def test_ids_name_entry_and_place(store: ConversationStore) -> None:
    """A message's id is its entry's with its position, in reading and in loading."""
    entry = await store.commit_turn(ref("t1"), record(ref("t1")))
    page = await store.read_messages(PAIR, None, 10)
    assert [row.message.id for row in page] == [f"{entry}.1", f"{entry}.0"]
    assert [row.turn_id for row in page] == ["t1", "t1"]
    (turn,) = (await store.load(PAIR)).turns
    assert turn.id == entry
    assert [message.id for message in turn.record.messages] == [f"{entry}.0", f"{entry}.1"]


async def test_committing_twice_changes_nothing(store: ConversationStore) -> None:
    """The second commit gets the first one's id, even with other words and other turns in between."""
    first = await store.commit_turn(ref("t1"), record(ref("t1")))
    await store.commit_turn(ref("t2"), record(ref("t2")))
    again = await store.commit_turn(ref("t1"), replace(record(ref("t1")), reason="error"))
    turns = (await store.load(PAIR)).turns
    assert again == first
    assert [(turn.record.turn_id, turn.record.reason) for turn in turns] == [("t1", "end_turn"), ("t2", "end_turn")]


async def test_many_commits_at_once_are_each_stored_once(store: ConversationStore) -> None:
    """Twenty turns, each committed three times at the same moment, are twenty turns."""
    async with asyncio.TaskGroup() as group:
        calls = [
            group.create_task(store.commit_turn(ref(f"t{number}"), record(ref(f"t{number}"))))
            for number in range(20)
            for _ in range(3)
        ]
    assert len({call.result() for call in calls}) == 20
    assert sorted(turn.record.turn_id for turn in (await store.load(PAIR)).turns) == sorted(f"t{n}" for n in range(20))


async def test_the_same_turn_id_in_two_sessions_is_two_turns(store: ConversationStore) -> None:
    """Clients number their turns from one in every session."""
    await store.commit_turn(ref("1", session="s1"), record(ref("1", session="s1")))
    await store.commit_turn(ref("1", session="s2"), record(ref("1", session="s2")))
    assert [turn.record.key for turn in (await store.load(PAIR)).turns] == ["s1:1", "s2:1"]


# ---- epochs ----


async def test_each_opening_raises_the_epoch(store: ConversationStore) -> None:
    """Epochs count from one, per session."""
    epochs = [await store.open_session(PAIR, "s1", owner) for owner in (OWNER, OTHER, OWNER)]
    assert epochs == [1, 2, 3]
    assert await store.open_session(PAIR, "s2", OWNER) == 1


async def test_an_earlier_owner_is_fenced_from_every_write(store: ConversationStore) -> None:
    """After a takeover no write of the old owner changes anything."""
    old = await store.open_session(PAIR, "s1", OWNER)
    await store.commit_turn(ref("t0", old), record(ref("t0")))
    new = await store.open_session(PAIR, "s1", OTHER)
    writes = (
        store.begin_turn(opened(ref("t1", old))),
        store.save_step(ref("t1", old), 0, (answered("t1"),)),
        store.commit_turn(ref("t1", old), record(ref("t1"))),
        store.commit_turn(ref("t0", old), record(ref("t0"))),
        store.commit_heard(ref("t0", old), (said("t0"),)),
    )
    for write in writes:
        with pytest.raises(Fenced):
            await write
    assert await store.orphans() == ()
    assert await texts(store) == ["t0?", "t0 it is."]
    await store.commit_turn(ref("t1", new), record(ref("t1")))
    assert await texts(store) == ["t0?", "t0 it is.", "t1?", "t1 it is."]


# ---- the journal ----


async def journalled(store: ConversationStore) -> list[OpenTurn]:
    """Open turns, of which nobody has said that their owner lives."""
    return list(await store.orphans())


async def test_a_journal_holds_the_head_and_the_steps_in_order(store: ConversationStore) -> None:
    """Steps are put in order of their numbers, not of their arrival."""
    await store.open_session(PAIR, "s1", OWNER)
    turn = opened(ref("t1"))
    await store.begin_turn(turn)
    for index in (10, 0, 9):
        await store.save_step(turn.ref, index, (answered(f"step {index}"),))
    (found,) = await journalled(store)
    assert found == replace(turn, messages=(said("t1"), *(answered(f"step {index}") for index in (0, 9, 10))))


async def test_beginning_again_replaces_the_head_and_keeps_the_steps(store: ConversationStore) -> None:
    """A second final that is merged into the turn rewrites its words only; a step saved twice is there once."""
    turn = opened(ref("t1"))
    await store.begin_turn(turn)
    for words in ("first", "second"):
        await store.save_step(turn.ref, 0, (answered(words),))
    await store.begin_turn(replace(turn, revision=1, messages=(said("more"),)))
    (found,) = await journalled(store)
    assert found.revision == 1
    assert found.messages == (said("more"), answered("second"))


async def test_a_commit_ends_the_journal_for_good(store: ConversationStore) -> None:
    """Journal writes that arrive after the commit do not bring the turn back."""
    turn = opened(ref("t1"))
    await store.begin_turn(turn)
    await store.commit_turn(turn.ref, record(turn.ref))
    await store.begin_turn(turn)
    await store.save_step(turn.ref, 0, (answered("late"),))
    assert await journalled(store) == []
    assert await store.adopt(turn, OTHER) is None


async def test_a_step_of_no_open_turn_is_left_alone(store: ConversationStore) -> None:
    """A step without its turn's beginning leaves no journal behind."""
    await store.save_step(ref("t1"), 0, (answered("t1"),))
    assert await journalled(store) == []
    await store.begin_turn(opened(ref("t1")))
    assert [turn.messages for turn in await journalled(store)] == [(said("t1"),)]


# ---- owners, orphans, adoption ----


async def test_orphans_are_the_turns_of_the_dead(store: ConversationStore) -> None:
    """A turn is an orphan without a lease, none while its owner beats, and one again after a newer incarnation."""
    await store.open_session(PAIR, "s1", OWNER)
    turn = opened(ref("t1"))
    await store.begin_turn(turn)
    assert await store.orphans() == (turn,)
    await store.beat(OWNER, LEASE_MS)
    assert await store.orphans() == ()
    await store.beat(OTHER, LEASE_MS)
    assert await store.orphans() == ()
    await store.beat(Owner(OWNER.slot, "second life"), LEASE_MS)
    assert await store.orphans() == (turn,)


async def test_a_lease_runs_out(store: ConversationStore) -> None:
    """An owner that no longer beats is dead once its lease is over."""
    await store.begin_turn(opened(ref("t1")))
    await store.beat(OWNER, 30)
    async with asyncio.timeout(10):
        while not await store.orphans():
            await asyncio.sleep(0)


async def test_orphans_are_found_on_every_shard(store: ConversationStore) -> None:
    """Open turns of many pairs are all found."""
    pairs = [Pair(f"agent {number}", "ünï:code%/\n") for number in range(40)]
    for pair in pairs:
        await store.begin_turn(opened(ref("t1", pair=pair)))
    assert {turn.ref.pair for turn in await store.orphans()} == set(pairs)


async def test_an_orphan_is_adopted_once(store: ConversationStore) -> None:
    """Of two that adopt one turn, one gets it, with a new epoch and all that was journalled."""
    epoch = await store.open_session(PAIR, "s1", OWNER)
    turn = opened(ref("t1", epoch))
    await store.begin_turn(turn)
    await store.save_step(turn.ref, 0, (answered("t1"),))
    (orphan,) = await store.orphans()
    await store.beat(OTHER, LEASE_MS)
    taken = await store.adopt(orphan, OTHER)
    assert taken is not None
    assert (taken.ref.epoch, taken.owner, taken.messages) == (epoch + 1, OTHER, (said("t1"), answered("t1")))
    assert await store.adopt(orphan, Owner("third", "x")) is None
    assert await store.orphans() == ()
    with pytest.raises(Fenced):
        await store.commit_turn(turn.ref, record(turn.ref))
    await store.commit_turn(taken.ref, record(taken.ref))
    assert [turn.record.turn_id for turn in (await store.load(PAIR)).turns] == ["t1"]


async def test_an_adopted_turn_is_its_new_owners(store: ConversationStore) -> None:
    """If the adopter dies as well, the turn is an orphan again and can be adopted from it."""
    await store.begin_turn(opened(ref("t1")))
    (orphan,) = await store.orphans()
    taken = await store.adopt(orphan, OTHER)
    assert await store.orphans() == (taken,)
    assert taken is not None
    again = await store.adopt(taken, OWNER)
    assert again is not None
    assert again.ref.epoch == taken.ref.epoch + 1


async def test_a_session_taken_over_takes_its_open_turn_along(store: ConversationStore) -> None:
    """Once a live process owns the session, its open turn is no orphan, and who saw it before cannot adopt it."""
    await store.begin_turn(opened(ref("t1", await store.open_session(PAIR, "s1", OWNER))))
    (orphan,) = await store.orphans()
    await store.beat(OTHER, LEASE_MS)
    assert await store.open_session(PAIR, "s1", OTHER) == 2
    assert await store.orphans() == ()
    assert await store.adopt(orphan, Owner("third", "x")) is None


# ---- health ----


async def test_health_names_the_server(store: ConversationStore) -> None:
    """Whoever shows the store's health has something to show."""
    health = await store.health()
    assert health.engine
    assert health.where
    assert health.durability in {"disk", "none"}


async def test_a_turn_of_every_field_survives(store: ConversationStore) -> None:
    """Text of any script, control characters and every field come back as they were."""
    words = 'naïve 你好 🎧\n\t\x00\x1f\u2028 "quoted" \\ {json}'
    of = ref(words)
    messages = (Message("user", words, 1.25), replace(answered(words, heard=""), interrupted=True))
    await store.commit_turn(of, TurnRecord(of.key, "interrupted", messages, 0.125))
    assert bare((await store.load(PAIR)).turns) == [TurnRecord(of.key, "interrupted", messages, 0.125)]


async def test_marks_for_a_turn_that_is_not_in_the_log_are_an_error(store: ConversationStore) -> None:
    """A mark cannot settle what was never committed; the message names the turn."""
    with pytest.raises(StoreError, match="s1:t1"):
        await store.commit_heard(ref("t1"), (said("t1"),))
    assert (await store.load(PAIR)).turns == ()
