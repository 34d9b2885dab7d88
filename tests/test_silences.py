"""Silence after runs, in virtual time: it lasts from the last of them on, and is noticed once."""

import asyncio
from typing import Any

from gateway.silences import Silences
from tests.virtual_time import VirtualClock, run
from voice_agent.conversations import Conversations
from voice_agent.messages import Message, TurnRecord
from voice_agent.store.base import OpenTurn, Owner, Pair, TurnRef
from voice_agent.store.recorder import Recorder

PAIR, OWNER = Pair("ann", "bob"), Owner("here", "1")
HELLO = (Message("user", "Hello.", 0.0),)


async def _say(store: Recorder) -> None:
    ref = TurnRef(PAIR, "s1", "t1", await store.open_session(PAIR, "s1", OWNER))
    await store.begin_turn(OpenTurn(ref, OWNER, 0, 0.0, HELLO))
    await store.commit_turn(ref, TurnRecord(ref.key, "end_turn", HELLO, 0.0))


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
