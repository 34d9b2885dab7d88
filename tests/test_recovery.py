"""Turns whose process died, over the store in memory: closed once, whole, in order, and known to who is listening."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from tests.api.world import HandClock
from tests.store.turns import LEASE_MS, OWNER, PAIR, opened, record, ref, said
from tests.turns import check_valid_for_providers, setup
from voice_agent.conversation import Conversation, Tail
from voice_agent.conversations import Conversations
from voice_agent.messages import Message, ToolCall, TurnRecord
from voice_agent.recovery import close_orphan, close_orphans
from voice_agent.store.base import Fenced, Owner, Pair, Snapshot, StoreDown, TurnRef
from voice_agent.store.recorder import Recorder
from voice_agent.turn import Turn

REBORN = Owner(OWNER.slot, "second life")
CALL = ToolCall("call_1", "get_time", "{}", utterance="Let me look at the clock.", heard="Let me look at the clock.")
STEP = (
    Message("assistant", "", 2.0, tool_calls=(CALL,)),
    Message("tool", "noon", 2.5, tool_call_id="call_1"),
)
AT = 9.0


async def begun(store: Recorder, *turn_ids: str, session: str = "s1") -> None:
    """Turns that a process began in one session and did not end."""
    await store.beat(OWNER, LEASE_MS)
    epoch = await store.open_session(PAIR, session, OWNER)
    for turn_id in turn_ids:
        await store.begin_turn(opened(ref(turn_id, epoch, session)))


async def log_of(store: Recorder) -> list[tuple[str, str]]:
    """The turns in the log and how each ended."""
    return [(turn.record.turn_id, turn.record.reason) for turn in (await store.load(PAIR)).turns]


def _texts(conversation: Conversation) -> list[str]:
    return [message.text for message in conversation.history()]


@asynccontextmanager
async def listening(store: Recorder) -> AsyncIterator[Conversations]:
    """Conversations of a process, which can be opened."""
    conversations = Conversations(store, store)
    async with asyncio.TaskGroup() as group:
        group.create_task(conversations.run())
        await asyncio.sleep(0)
        yield conversations
        conversations.stop()


def test_the_words_are_kept_and_a_marker_stands_for_the_reply() -> None:
    """What was being said was not journalled: an assistant message that nobody heard, marked as interrupted."""
    closed = close_orphan(opened(ref("t1")), AT)
    assert (closed.key, closed.reason, closed.started_at) == ("s1:t1", "interrupted", 1.5)
    assert closed.messages == (said("t1"), Message("assistant", "", AT, heard="", interrupted=True))


def test_finished_steps_count_as_spoken() -> None:
    """Calls keep their results and utterances, all heard, and the cut comes after them."""
    turn = opened(ref("t1"))
    closed = close_orphan(replace(turn, messages=(*turn.messages, *STEP)), AT)
    check_valid_for_providers(closed.messages)
    assert [message.role for message in closed.messages] == ["user", "assistant", "tool", "assistant"]
    assert closed.messages[1].tool_calls == (CALL,)
    assert [message.interrupted for message in closed.messages] == [False, False, False, True]


def test_a_call_without_a_result_gets_one_that_says_what_is_not_known() -> None:
    """In its place among the others: a turn that was suspended died after its calls had been answered."""
    turn = opened(ref("t1"))
    calls = tuple(replace(CALL, id=f"call_{number}") for number in (0, 1, 2))
    step = (Message("assistant", "", 2.0, tool_calls=calls), Message("tool", "noon", 2.5, tool_call_id="call_1"))
    closed = close_orphan(replace(turn, messages=(*turn.messages, *STEP, *step)), AT)
    check_valid_for_providers(closed.messages)
    lost = "Interrupted: the process died before it ended; it may have taken effect."
    assert [(message.text, message.failed, message.refused, message.at) for message in closed.messages[4:-1]] == [
        (lost, True, False, AT), ("noon", False, False, 2.5), (lost, True, False, AT),
    ]  # fmt: skip
    assert closed.messages[-1].interrupted


async def test_a_process_that_starts_in_the_slot_closes_what_the_last_one_left() -> None:
    """Turns of several sessions are closed in the order they began; a second look finds nothing."""
    store = Recorder(HandClock())
    await begun(store, "t1")
    await begun(store, "t2", session="s2")
    await store.beat(REBORN, LEASE_MS)
    conversations = Conversations(store, store)
    assert await close_orphans(store, conversations, AT) == 2
    assert await close_orphans(store, conversations, AT) == 0
    assert await log_of(store) == [("t1", "interrupted"), ("t2", "interrupted")]


async def test_who_lives_is_left_alone_until_the_lease_runs_out() -> None:
    """Another process waits for the lease; a turn that was committed meanwhile is not touched."""
    clock = HandClock()
    store = Recorder(clock)
    await begun(store, "t1")
    await begun(store, "t2", session="s2")
    await store.commit_turn(ref("t1"), record(ref("t1")))
    conversations = Conversations(store, store)
    clock.at += LEASE_MS / 1000 - 1
    assert await close_orphans(store, conversations, AT) == 0
    clock.at += 1
    assert await close_orphans(store, conversations, AT) == 1
    assert await log_of(store) == [("t1", "end_turn"), ("t2", "interrupted")]


class _Meddled(Recorder):
    """Does something else first when the first turn is to be committed."""

    def __init__(self, meddle: Callable[[Recorder], Awaitable[object]]) -> None:
        super().__init__(HandClock())
        self.meddle: Callable[[Recorder], Awaitable[object]] | None = meddle

    async def commit_turn(self, ref: TurnRef, record: TurnRecord, evict: str | None = None) -> str:
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            await meddle(self)
        return await super().commit_turn(ref, record, evict)


async def test_of_two_that_find_an_orphan_one_closes_it() -> None:
    """Another process takes the turn over before the first has stored it: the first leaves it alone."""

    async def other(store: Recorder) -> None:
        assert await close_orphans(store, Conversations(store, store), AT + 1) == 1

    store = _Meddled(other)
    await begun(store, "t1")
    await store.beat(REBORN, LEASE_MS)
    assert await close_orphans(store, Conversations(store, store), AT) == 0
    (turn,) = [turn.record for turn in (await store.load(PAIR)).turns]
    assert (turn.reason, turn.messages[-1].at) == ("interrupted", AT + 1)


async def test_a_turn_that_was_adopted_and_not_stored_is_found_again() -> None:
    """The store goes away between the two: the same process closes the turn when it looks again."""

    async def away(store: Recorder) -> None:
        await asyncio.sleep(0)
        store.down = True

    store = _Meddled(away)
    await begun(store, "t1")
    await store.beat(REBORN, LEASE_MS)
    with pytest.raises(StoreDown):
        await close_orphans(store, Conversations(store, store), AT)
    store.down = False
    assert await close_orphans(store, Conversations(store, store), AT) == 1
    assert await log_of(store) == [("t1", "interrupted")]


async def test_the_dead_one_cannot_write_any_more() -> None:
    """A process that was only slow is fenced off: its end of the turn does not come on top of ours."""
    store = Recorder(HandClock())
    await begun(store, "t1")
    await store.beat(REBORN, LEASE_MS)
    await close_orphans(store, Conversations(store, store), AT)
    with pytest.raises(Fenced):
        await store.commit_turn(ref("t1"), record(ref("t1")))
    assert await log_of(store) == [("t1", "interrupted")]


async def test_a_store_that_is_away_is_told() -> None:
    """Nothing is closed and nothing is lost: the next look finds it."""
    store = Recorder(HandClock())
    await begun(store, "t1")
    await store.beat(REBORN, LEASE_MS)
    store.down = True
    with pytest.raises(StoreDown):
        await close_orphans(store, Conversations(store, store), AT)
    store.down = False
    assert await close_orphans(store, Conversations(store, store), AT) == 1


async def test_a_conversation_that_is_open_learns_of_the_closed_turn() -> None:
    """A live session of the same user has it in its window, once."""
    store = Recorder(HandClock())
    await begun(store, "t1")
    await store.beat(REBORN, LEASE_MS)
    async with listening(store) as conversations:
        conversation = await conversations.open(PAIR)
        assert _texts(conversation) == []
        await close_orphans(store, conversations, AT)
        assert _texts(conversation) == ["t1?", ""]
        conversations.close(conversation)


class _HeldUp(Recorder):
    """Answers `load` only when it is let, with what it had read before or after that."""

    def __init__(self, *, reads_late: bool) -> None:
        super().__init__(HandClock())
        self.reads_late = reads_late
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def load(self, pair: Pair) -> Snapshot:
        early = await super().load(pair)
        self.asked.set()
        await self.answer.wait()
        return await super().load(pair) if self.reads_late else early


@pytest.mark.parametrize("reads_late", [False, True])
async def test_a_turn_closed_while_a_conversation_loads_is_in_it_once(reads_late: bool) -> None:
    """Whether or not what was loaded has it already."""
    store = _HeldUp(reads_late=reads_late)
    await begun(store, "t1")
    await store.beat(REBORN, LEASE_MS)
    async with listening(store) as conversations, asyncio.TaskGroup() as group:
        opening = group.create_task(conversations.open(PAIR))
        await store.asked.wait()
        await close_orphans(store, conversations, AT)
        store.answer.set()
        conversation = await opening
        assert _texts(conversation) == ["t1?", ""]
        conversations.close(conversation)


async def test_a_mark_on_a_turn_that_the_store_lost_holds_nothing_up() -> None:
    """A store that came back without the turn refuses its heard text for good; the turns behind it are stored."""
    store = Recorder(HandClock())
    async with listening(store) as conversations:
        conversation = await conversations.open(PAIR)
        conversation.keep_heard(Tail(Turn(setup()), ref("lost"), cut=False, guarded_until=0.0, stored=(), moves=-1))
        conversation.journal.submit(lambda: store.commit_turn(ref("t1"), record(ref("t1"))))
        await conversation.journal.drained()
        conversations.close(conversation)
    assert store.commands.count("commit_heard") == 1
    assert await log_of(store) == [("t1", "end_turn")]
