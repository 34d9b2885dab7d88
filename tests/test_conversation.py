"""Conversations of a process: loaded once, shared by sessions, gone when all is stored."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.calls import OWNER, PAIR, SlowStore
from tests.virtual_time import VirtualClock, run
from voice_agent.conversations import Conversations
from voice_agent.messages import Message, TurnRecord
from voice_agent.store.base import BlockValue, StoreDown, TurnRef
from voice_agent.store.recorder import Recorder

HELLO = (Message("user", "hello", 0.0),)


def play(scene: Callable[[Recorder, Conversations], Awaitable[None]]) -> None:
    """Run a scene while the conversations run."""

    async def main() -> None:
        store = Recorder(VirtualClock())
        slow: Any = SlowStore(store)
        conversations = Conversations(slow, slow, hold_s=5.0)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(conversations.run())
            await asyncio.sleep(0)
            await scene(store, conversations)
            conversations.stop()

    run(main())


def test_sessions_of_one_user_share_a_conversation_that_is_loaded_once() -> None:
    """Even if they open it at the same moment."""

    async def scene(store: Recorder, conversations: Conversations) -> None:
        one, two = await asyncio.gather(conversations.open(PAIR), conversations.open(PAIR))
        assert one is two
        assert store.commands == ["load"]
        conversations.close(one)
        assert await conversations.open(PAIR) is two
        conversations.close(two)
        conversations.close(two)

    play(scene)


def test_a_closed_conversation_stays_until_its_writes_are_stored() -> None:
    """One that opens it again meanwhile finds what was not stored yet."""

    async def scene(store: Recorder, conversations: Conversations) -> None:
        epoch = await store.open_session(PAIR, "s", OWNER)
        first = await conversations.open(PAIR)
        store.down = True
        record = TurnRecord("s:t", "end_turn", HELLO, 0.0)
        first.append("s:t", HELLO)
        first.journal.submit(lambda: store.commit_turn(TurnRef(PAIR, "s", "t", epoch), record))
        conversations.close(first)
        await asyncio.sleep(1)
        again = await conversations.open(PAIR)
        assert again.history() == HELLO
        store.down = False
        conversations.close(again)
        await asyncio.sleep(3)
        assert (await conversations.open(PAIR)) is not first
        assert [message.text for turn in (await store.load(PAIR)).turns for message in turn.record.messages] == [
            "hello"
        ]

    play(scene)


def test_a_conversation_that_cannot_be_loaded_is_not_kept() -> None:
    """The next attempt reads the store again."""

    async def scene(store: Recorder, conversations: Conversations) -> None:
        store.down = True
        with pytest.raises(StoreDown):
            await conversations.open(PAIR)
        store.down = False
        conversations.close(await conversations.open(PAIR))

    play(scene)


def test_a_process_that_ends_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    """What the store never took is named as lost."""

    async def scene(store: Recorder, conversations: Conversations) -> None:
        conversation = await conversations.open(PAIR)
        store.down = True
        conversation.journal.submit(lambda: store.load(PAIR))
        conversations.close(conversation)

    play(scene)
    assert "a/u: not stored" in caplog.text


def test_a_change_that_the_store_interrupts_is_taken_up_when_it_is_back() -> None:
    """It is told once only: what could not be read then is read later, and so are those after it."""

    async def scene(store: Recorder, conversations: Conversations) -> None:
        conversation = await conversations.open(PAIR)
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(conversations.follow())
            await asyncio.sleep(0.1)
            await store.write_block(PAIR, BlockValue("human", "Ada.", 1))
            store.down = True
            await asyncio.sleep(3)
            store.down = False
            await asyncio.sleep(3)
            following.cancel()
        assert [block.value for block in conversation.blocks] == ["Ada."]
        conversations.close(conversation)

    play(scene)


def test_a_change_during_a_load_is_not_overtaken_by_it() -> None:
    """What was loaded may be older than the change."""

    async def scene(store: Recorder, conversations: Conversations) -> None:
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(conversations.follow())
            await asyncio.sleep(0.1)
            opening = tasks.create_task(conversations.open(PAIR))
            await asyncio.sleep(0)
            await store.write_block(PAIR, BlockValue("human", "Ada.", 1))
            conversation = await opening
            await asyncio.sleep(3)
            following.cancel()
        assert [block.value for block in conversation.blocks] == ["Ada."]
        conversations.close(conversation)

    play(scene)
