"""The implementations that every promise of the store is tested on, and the makings of a turn."""

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

import pytest

from tests.stores import fresh_store
from voice_agent.clock import SystemClock
from voice_agent.store.base import ConversationStore, Directory
from voice_agent.store.directory import RedisDirectory
from voice_agent.store.memory import MemoryStore
from voice_agent.store.recorder import Recorder
from voice_agent.store.redis import RedisConversations
from voice_agent.store.redis_memory import RedisMemory
from voice_agent.store.redis_runs import RedisRuns
from voice_agent.store.runs import RunStore


class _Request(Protocol):
    param: str


class Stores(NamedTuple):
    """Three sides of one store."""

    talk: ConversationStore
    memory: MemoryStore
    runs: RunStore


@pytest.fixture(params=["server", "recorder"])
async def store(request: _Request) -> AsyncIterator[ConversationStore]:
    """An empty conversation store of each kind."""
    if request.param == "recorder":
        yield Recorder(SystemClock())
        return
    async with fresh_store() as connection:
        yield RedisConversations(connection)


@pytest.fixture(params=["server", "recorder"])
async def directory(request: _Request) -> AsyncIterator[Directory]:
    """An empty directory of each kind."""
    if request.param == "recorder":
        yield Recorder(SystemClock())
        return
    async with fresh_store() as connection:
        yield RedisDirectory(connection)


@pytest.fixture(params=["server", "recorder"])
async def stores(request: _Request) -> AsyncIterator[Stores]:
    """An empty store of each kind, with its memory and its runs."""
    if request.param == "recorder":
        recorder = Recorder(SystemClock())
        yield Stores(recorder, recorder, recorder)
        return
    async with fresh_store() as connection:
        yield Stores(RedisConversations(connection), RedisMemory(connection), RedisRuns(connection))
