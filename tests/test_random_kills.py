"""Deaths of gateway and store at random moments, each while a turn is open, and users who talk on through them.

The other kill tests choose their moment; this one looks for those that nobody thought of.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

from websockets.exceptions import WebSocketException

from tests.callers import Caller, calling, check_shape, goes_on, history
from tests.processes import Served, endings, eventually, journalled, rest, served, server_of, simulated
from voice_agent.store.base import StoreDown


class Talker:
    """A user who talks without end and calls again whenever the line goes dead: what was said, and which ends came."""

    def __init__(self, number: int) -> None:
        self.user = f"user{number}"
        self.said: dict[str, str] = {}
        self.ends: list[tuple[str, str]] = []
        self.struck: list[str] = []
        self.over = False
        self._token_ms = 15 + 10 * number
        self._line: Caller | None = None

    async def talk(self, url: str) -> None:
        """Talk until `over`."""
        while not self.over:
            try:
                async with calling(url, self.user) as self._line:
                    while not self.over:
                        await self._turn(self._line)
            except (WebSocketException, OSError, EOFError):
                self._line = None
                await rest()

    @property
    def waits_for(self) -> str | None:
        """The turn that was started, on a line that lives, and whose end has not come."""
        if self._line is None:
            return None
        ended = [event["turn_id"] for event in self._line.of("turn.ended")]
        return next((e["turn_id"] for e in self._line.of("turn.started") if e["turn_id"] not in ended), None)

    def ends_one_more(self) -> Callable[[], Awaitable[bool]]:
        """A condition: another turn has ended since this call."""
        before = len(self.ends)

        async def holds() -> bool:
            return len(self.ends) > before

        return holds

    async def _turn(self, caller: Caller) -> None:
        turn_id = f"t{len(self.said) + 1}"
        tool = "!call get_time {} !then " if len(self.said) % 3 else ""
        self.said[turn_id] = f"{tool}!token_ms {self._token_ms} !say answer {turn_id} goes on for quite a few words"
        ended = await caller.ask(self.said[turn_id], turn_id)
        self.ends.append((turn_id, ended["reason"]))


async def strike(product: Served, victim: str, talkers: list[Talker], chance: Random) -> None:
    """Kill `victim` while a turn that a caller waits for is open in the store: looked up while nobody can end it."""
    while True:
        for _ in range(chance.randrange(30)):
            await rest()
        gateway = product.gateway()
        waiting = {talker: turn_id for talker in talkers if (turn_id := talker.waits_for)}
        if gateway is None or not waiting:
            continue
        os.kill(gateway, signal.SIGSTOP)
        try:
            hit = [talker for talker in waiting if await journalled(product.data, talker.user)]
            if hit:
                os.kill(gateway if victim == "gateway" else await server_of(product.data), signal.SIGKILL)
                for talker in hit:
                    talker.struck.append(waiting[talker])
                return
        except StoreDown:
            await rest()
        finally:
            os.kill(gateway, signal.SIGCONT)


async def test_twelve_kills_at_random(tmp_path: Path) -> None:
    """Four users talk on through five deaths of the gateway and seven of the store: no turn is lost, doubled, moved."""
    chance = Random(7)
    kills = ["gateway"] * 5 + ["store"] * 7
    chance.shuffle(kills)
    talkers = [Talker(number) for number in range(4)]
    async with simulated() as provider, served(tmp_path / "data", **provider) as product:
        async with asyncio.TaskGroup() as group:
            for talker in talkers:
                group.create_task(talker.talk(product.url))
            for victim in kills:
                await strike(product, victim, talkers, chance)
            for talker in talkers:
                await eventually(talker.ends_one_more(), "the user talks again")
                talker.over = True
        interrupted = 0
        for talker in talkers:
            stored = await endings(product.data, talker.user)
            ids = [turn_id for turn_id, _ in stored]
            assert ids == [turn_id for turn_id in talker.said if turn_id in ids], "out of order, or twice"
            assert [turn for turn in stored if turn in talker.ends] == talker.ends, "an end was told and is not true"
            assert {reason for _, reason in stored} <= {"end_turn", "interrupted"}
            assert {reason for _, reason in talker.ends} == {"end_turn"}
            interrupted += sum(reason == "interrupted" for _, reason in stored)
            items = await history(product.url, talker.user)
            check_shape(items)
            assert [item["text"] for item in items if item["role"] == "user"] == [talker.said[one] for one in ids]
            assert await journalled(product.data, talker.user) == []
            await goes_on(product.url, talker.user)
            assert set(talker.struck) <= set(ids), "a turn that was journalled is lost"
        assert sum(len(talker.struck) for talker in talkers) >= len(kills)
        assert interrupted >= kills.count("gateway")
