"""The checker itself: it is content with a sound memory, and names each fault that is planted in one."""

from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest

from tests.checker import Checker
from tests.sleeptime.nights import AGENT, ANN, Night, turn
from tests.stores import fresh_store
from voice_agent.store.base import BlockValue
from voice_agent.store.connection import Connection
from voice_agent.store.keys import PairKeys
from voice_agent.store.memory import SearchKey

LIMITS = {"persona": 5000, "human": 300, "summary": 300}


class Scene:
    """Eight turns, six of them dealt with in three jobs and four of those out of the prompt; a checker saw them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.night = Night(connection)
        self.told = [f"t{n}" for n in range(1, 9)]
        self.checker = Checker({ANN: self.told}, LIMITS)

    @property
    def keys(self) -> PairKeys:
        return self.connection.keys.pair(ANN)

    async def build(self) -> None:
        await self.night.directory.write_agent(AGENT.id, AGENT.document(), 0)
        entries: list[str] = []
        for n in range(1, 9):
            evict = entries[n - 3] if n in (3, 4, 6) else None
            entries.append(await self.night.commit(turn(n, f"I like number {n}").record, ANN, evict))
            if n in (3, 4, 6):
                (job,) = await self.night.memory.next_jobs("hand", 16, 0)
                await self.night.consolidator().run(job)
        await self.look()

    async def look(self) -> None:
        await self.checker.look(self.night.memory)

    async def entry(self, stream: str, place: int) -> str:
        """The id of an entry of a stream, from its beginning."""
        rows = await self.connection.call("XRANGE", stream, "-", "+")
        found: bytes = rows[place][0]
        return found.decode()

    async def drop(self, stream: str, place: int) -> None:
        assert await self.connection.call("XDEL", stream, await self.entry(stream, place)) == 1

    async def mark(self, name: str, entry: str) -> None:
        await self.connection.call("HSET", self.keys.meta, name, entry)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with fresh_store() as connection:
        made = Scene(connection)
        await made.build()
        yield made


async def lost_turn(scene: Scene) -> None:
    await scene.drop(scene.keys.log, 0)


async def lost_turn_of_the_prompt(scene: Scene) -> None:
    await scene.drop(scene.keys.log, 7)


async def skipped_key(scene: Scene) -> None:
    await scene.drop(scene.keys.keys, 1)


async def doubled_key(scene: Scene) -> None:
    entry = await scene.entry(scene.keys.log, 0)
    key = msgspec.json.encode(SearchKey(f"{entry}.0", f"{entry}.1", "Again."))
    await scene.connection.call("XADD", scene.keys.keys, "*", "key", key)


async def dangling_key(scene: Scene) -> None:
    key = msgspec.json.encode(SearchKey("1-1.0", "1-1.1", "Nowhere."))
    await scene.connection.call("XADD", scene.keys.keys, "*", "key", key)


async def start_past_cursor(scene: Scene) -> None:
    await scene.mark("start", await scene.entry(scene.keys.log, 6))


async def cursor_moved_back(scene: Scene) -> None:
    await scene.mark("cursor", await scene.entry(scene.keys.log, 1))


async def start_moved_back(scene: Scene) -> None:
    await scene.mark("start", "0-0")


async def doubled_turn(scene: Scene) -> None:
    row = (await scene.connection.call("XRANGE", scene.keys.log, "-", "+"))[0][1]
    await scene.connection.call("XADD", scene.keys.log, "*", *(part for field in row.items() for part in field))


async def turn_in_the_wrong_place(scene: Scene) -> None:
    await scene.night.commit(turn(10, "Ten").record)
    await scene.night.commit(turn(9, "Nine").record)
    scene.told += ["t9", "t10"]


async def gap_in_the_versions(scene: Scene) -> None:
    older = await scene.connection.call("HGET", scene.keys.versions, "1:summary")
    await scene.connection.call("HSET", scene.keys.versions, "2:summary", older)


async def block_over_its_limit(scene: Scene) -> None:
    assert await scene.night.memory.write_block(ANN, BlockValue("human", "x" * 301, 4, "api"))


async def block_written_twice_by_a_job(scene: Scene) -> None:
    (newest, *_) = await scene.night.memory.block_history(ANN, "human")
    assert await scene.night.memory.write_block(ANN, msgspec.structs.replace(newest, version=newest.version + 1))


async def block_gone(scene: Scene) -> None:
    await scene.connection.call("HDEL", scene.keys.blocks, "human")


async def dead_letter(scene: Scene) -> None:
    assert await scene.night.memory.raise_job(ANN, "request")
    (job,) = await scene.night.memory.next_jobs("hand", 16, 0)
    await scene.night.memory.bury_job(job, "the model only talks")


PLANTED: dict[Callable[[Scene], Awaitable[None]], str] = {
    lost_turn: "lost: turn t1 is not in the log, nor in the prompt",
    lost_turn_of_the_prompt: "lost: turn t8 is not in the log, nor in the prompt",
    skipped_key: "was dealt with and no key covers it",
    doubled_key: "'I like number 1') is covered by 2 keys",
    dangling_key: "dangling: a key leads from 1-1.0 to 1-1.1",
    start_past_cursor: "gone too soon: start",
    cursor_moved_back: "moved back: cursor was",
    start_moved_back: "moved back: start was",
    doubled_turn: "lost: the log had",
    turn_in_the_wrong_place: "out of order: the log has",
    gap_in_the_versions: "gap: summary has versions",
    block_over_its_limit: "over its limit: version 4 of human has 301 characters",
    block_written_twice_by_a_job: "wrote human 2 times",
    block_gone: "moved back: human was at version 3",
    dead_letter: "dead letter, the model only talks",
}


async def test_sound(scene: Scene) -> None:
    """It finds nothing wrong, as often as it looks, with some turns out of the prompt and others not dealt with."""
    await scene.look()
    view = scene.checker.last(ANN)
    assert [turn.record.turn_id for turn in view.snapshot.turns] == ["t5", "t6", "t7", "t8"]
    assert (len(view.passages.keys), scene.checker.looks) == (3, 2)


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
async def test_planted(scene: Scene, plant: Callable[[Scene], Awaitable[None]]) -> None:
    """It names the fault."""
    await plant(scene)
    with pytest.raises(AssertionError) as seen:
        await scene.look()
    assert PLANTED[plant] in str(seen.value)
