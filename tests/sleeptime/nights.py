"""The sleeptime worker's world for tests: a real store with an agent, conversations in it, and the simulated model."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from sleeptime.consolidate import Consolidator
from tests.models import Unseen
from tests.stores import fresh_store
from voice_agent.agent import Agent
from voice_agent.clock import SystemClock
from voice_agent.events import ModelEvent
from voice_agent.llm.base import Model
from voice_agent.llm.simulated.answer import Pace
from voice_agent.llm.simulated.model import SimulatedModel
from voice_agent.messages import Message, ModelRequest, TurnRecord
from voice_agent.store.base import LoggedTurn, Pair, Snapshot, TurnRef
from voice_agent.store.connection import Connection
from voice_agent.store.directory import RedisDirectory
from voice_agent.store.memory import Job
from voice_agent.store.redis import RedisConversations
from voice_agent.store.redis_memory import RedisMemory

AGENT = Agent(id="demo", name="Demo", system="Be brief.")
ANN, BOB = Pair("demo", "ann"), Pair("demo", "bob")


def turn(number: int, text: str, reply: str = "I see.") -> LoggedTurn:
    """A turn of two messages; entry `number-0`."""
    said = Message("user", text, 60.0 * number)
    answered = Message("assistant", reply, 60.0 * number + 1, heard=reply)
    return LoggedTurn(f"{number}-0", TurnRecord(f"s:t{number}", "end_turn", (said, answered), 60.0 * number))


def snapshot(*texts: str, **changes: Any) -> Snapshot:
    """A memory whose turns 1, 2 … begin with these words, all of them wanted."""
    turns = tuple(turn(number, text) for number, text in enumerate(texts, start=1))
    return msgspec.structs.replace(Snapshot(turns, 0, wanted=turns[-1].id if turns else "0-0"), **changes)


class Counted(Unseen):
    """The simulated model without pauses; keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[ModelRequest] = []
        self.names: list[str] = []
        self._model = SimulatedModel(Pace(0, 0), SystemClock())

    def open(self, name: str) -> Model:
        self.names.append(name)
        return self

    async def reply(self, request: ModelRequest, emit: Callable[[ModelEvent], None]) -> None:
        self.requests.append(request)
        await self._model.reply(request, emit)


class Night:
    """An empty store with the agent in it."""

    def __init__(self, connection: Connection) -> None:
        self.talk = RedisConversations(connection)
        self.memory = RedisMemory(connection)
        self.directory = RedisDirectory(connection)
        self.model = Counted()
        self.said = 0

    def consolidator(self, job_s: float = 20.0, model: Model | None = None) -> Consolidator:
        """What does a job here, with another model than the simulated one if need be."""
        opened = self.model.open if model is None else lambda _: model
        return Consolidator(self.memory, self.directory, opened, "simulated", SystemClock(), job_s)

    async def say(self, *texts: str, pair: Pair = ANN) -> list[str]:
        """Turns in which the user says these words; returns the log's entries."""
        entries = []
        for text in texts:
            self.said += 1
            entries.append(await self.commit(turn(self.said, text).record, pair))
        return entries

    async def commit(self, record: TurnRecord, pair: Pair = ANN, evict: str | None = None) -> str:
        """Store a turn of session `s`, and ask for the eviction of those before it; returns the log's entry."""
        return await self.talk.commit_turn(TurnRef(pair, "s", record.turn_id, 1), record, evict)

    async def job(self, *texts: str, pair: Pair = ANN) -> Job:
        """Have these words said, and a job raised and handed out for them."""
        await self.say(*texts, pair=pair)
        assert await self.memory.raise_job(pair, "request")
        (job,) = await self.memory.next_jobs("hand", 16, 0)
        return job

    async def block(self, label: str, pair: Pair = ANN) -> str:
        """A block's value; empty if it was never written."""
        written = (await self.memory.read_memory(pair)).blocks
        return next((block.value for block in written if block.label == label), "")


@asynccontextmanager
async def night(agent: Agent = AGENT) -> AsyncIterator[Night]:
    """See `Night`."""
    async with fresh_store() as connection:
        here = Night(connection)
        await here.directory.write_agent(agent.id, agent.document(), 0)
        yield here
