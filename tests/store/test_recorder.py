"""What only the recorder does: it writes down the verbs, and can be told to be down."""

import pytest

from tests.store.turns import OWNER, PAIR, human, record, ref
from voice_agent.clock import SystemClock
from voice_agent.store.base import StoreDown
from voice_agent.store.recorder import Recorder


async def test_it_writes_down_the_verbs() -> None:
    """Commands are the verbs in the order of their calls, of all three protocols."""
    store = Recorder(SystemClock())
    await store.open_session(PAIR, "s1", OWNER)
    await store.read_agent("demo")
    await store.commit_turn(ref("t1"), record(ref("t1")))
    await store.raise_job(PAIR, "request")
    assert store.commands == ["open_session", "read_agent", "commit_turn", "raise_job"]


async def test_while_down_it_refuses_and_changes_nothing() -> None:
    """Every verb raises StoreDown until it is told to be up again, and the refused writes left no trace."""
    store = Recorder(SystemClock())
    store.down = True
    for verb in (
        store.commit_turn(ref("t1"), record(ref("t1"))),
        store.load(PAIR),
        store.write_agent("a", b"", 0),
        store.write_block(PAIR, human("Ann", 1)),
        store.forget(PAIR),
    ):
        with pytest.raises(StoreDown):
            await verb
    store.down = False
    snapshot = await store.load(PAIR)
    assert (snapshot.turns, snapshot.blocks) == ((), ())
    assert await store.read_agent("a") is None
    assert store.commands == [
        "commit_turn", "load", "write_agent", "write_block", "forget", "load", "read_agent",
    ]  # fmt: skip
