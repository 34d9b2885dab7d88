"""Silence after runs, in virtual time: it lasts from the last of them on, and is noticed once."""

import asyncio
from typing import Any

import pytest

from gateway.silences import Silences
from tests.virtual_time import VirtualClock, run
from voice_agent.conversations import Conversations
from voice_agent.messages import Message, TurnRecord
from voice_agent.store.base import OpenTurn, Owner, Pair, Snapshot, TurnRef
from voice_agent.store.recorder import Recorder

PAIR, OWNER = Pair("ann", "bob"), Owner("here", "1")
HELLO = (Message("user", "Hello.", 0.0),)


async def _say(store: Recorder, pair: Pair = PAIR) -> None:
    ref = TurnRef(pair, "s1", "t1", await store.open_session(pair, "s1", OWNER))
    await store.begin_turn(OpenTurn(ref, OWNER, 0, 0.0, HELLO))
    await store.commit_turn(ref, TurnRecord(ref.key, "end_turn", HELLO, 0.0))


class Broken(Recorder):
    """What it has of one user cannot be read."""

    async def load(self, pair: Pair) -> Snapshot:
        if pair == PAIR:
            raise ValueError("nonsense")
        return await super().load(pair)


def test_one_user_who_cannot_be_read_is_no_other_users_fault(caplog: pytest.LogCaptureFixture) -> None:
    """The others' silences are noticed all the same."""

    async def scene() -> None:
        store: Any = Broken(VirtualClock())
        other = Pair("ann", "eve")
        await _say(store, other)
        conversations = Conversations(store, store)
        silences = Silences(conversations)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(conversations.run())
            lasting = tasks.create_task(silences.run())
            silences.begin(PAIR, 5.0)
            silences.begin(other, 6.0)
            await asyncio.sleep(7.0)
            assert [job.pair for job in await store.next_jobs("w", 9, 0)] == [other]
            lasting.cancel()
            conversations.stop()

    run(scene())
    assert "cannot be read" in caplog.text


def test_a_silence_begins_anew_with_each_run() -> None:
    """Not five seconds after the first, but five after the last; and then not again."""

    async def scene() -> None:
        store: Any = Recorder(VirtualClock())
        await _say(store)
        conversations = Conversations(store, store)
        silences = Silences(conversations)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(conversations.run())
            lasting = tasks.create_task(silences.run())
            silences.begin(PAIR, 5.0)
            await asyncio.sleep(3.0)
            silences.begin(PAIR, 5.0)
            await asyncio.sleep(4.0)
            assert await store.next_jobs("w", 9, 0) == ()
            await asyncio.sleep(2.0)
            assert [job.reason for job in await store.next_jobs("w", 9, 0)] == ["idle"]
            await asyncio.sleep(60.0)
            assert await store.next_jobs("w", 9, 0) == ()
            lasting.cancel()
            conversations.stop()

    run(scene())
