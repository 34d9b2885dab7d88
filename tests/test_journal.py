"""The journal: in order, again and again, until the store has taken it."""

import asyncio

from tests.virtual_time import run
from voice_agent.journal import Journal
from voice_agent.store.base import Fenced, StoreDown


class Shelf:
    """Takes writes, after refusing as many as it is told to."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.tries = 0
        self.taken: list[str] = []

    async def put(self, name: str) -> None:
        self.tries += 1
        if self.refusals:
            self.refusals -= 1
            raise StoreDown("away")
        if name == "fenced":
            raise Fenced("newer owner")
        if name == "broken":
            raise TypeError("cannot be encoded")
        self.taken.append(name)


def test_writes_keep_their_order_through_an_outage() -> None:
    """A later write never overtakes one that is being repeated."""

    async def main() -> None:
        shelf, journal = Shelf(refusals=5), Journal()
        for name in ("a", "b", "c"):
            journal.submit(lambda name=name: shelf.put(name))  # type: ignore[misc]
        await journal.flush()
        assert (shelf.taken, shelf.tries) == (["a", "b", "c"], 8)

    run(main())


def test_each_write_is_told_whether_it_was_stored() -> None:
    """One that can never succeed is given up at once, and those after it are tried all the same."""

    async def main() -> None:
        shelf, journal = Shelf(), Journal()
        told: list[tuple[str, str]] = []
        for name in ("fenced", "broken", "b"):
            journal.submit(
                lambda name=name: shelf.put(name),  # type: ignore[misc]
                lambda fault, name=name: told.append((name, type(fault).__name__)),  # type: ignore[misc]
            )
        await journal.flush()
        assert told == [("fenced", "Fenced"), ("broken", "TypeError"), ("b", "NoneType")]

    run(main())


def test_the_delay_grows_to_a_second_and_no_further() -> None:
    """Twenty refusals take some seventeen seconds, not days."""

    async def main() -> None:
        shelf, journal = Shelf(refusals=20), Journal()
        journal.submit(lambda: shelf.put("a"))
        await journal.flush()
        assert 15 < asyncio.get_running_loop().time() < 18

    run(main())


def test_drained_waits_for_what_was_submitted() -> None:
    """And for nothing when nothing was."""

    async def main() -> None:
        shelf, journal = Shelf(refusals=1), Journal(max_held=1)
        await journal.drained()
        journal.submit(lambda: shelf.put("a"))
        assert journal.full
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(journal.flush())
            await journal.drained()
            assert shelf.taken == ["a"]

    run(main())
