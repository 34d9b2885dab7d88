"""SIGKILL of worker, gateway and store while conversations become memory: nothing is lost, doubled or out of order.

A checker reads the store all the while. The buffer is so small that nearly every turn raises a job.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from tests.callers import calling, check_shape, history
from tests.checker import Checker
from tests.commands import run
from tests.processes import Served, all_gone, eventually, held_jobs, rest, served, server_of, store_of
from tests.talkers import Talk, Talker
from voice_agent.memory.history import START
from voice_agent.store.base import Pair, StoreDown
from voice_agent.store.redis_memory import RedisMemory

LIMITS = {"persona": 5000, "human": 300, "summary": 300}
AGENT = {
    "id": "small",
    "name": "Small",
    "tools": ["get_time"],
    "buffer": {"max": 6, "min": 5},
    "blocks": [{"label": label, "limit": LIMITS[label]} for label in ("human", "summary")],
}
INSTANT = {
    "VOICE_SIMULATED_FIRST_TOKEN_MS": "0",
    "VOICE_SIMULATED_TOKEN_MS": "0",
    "VOICE_SLEEPTIME_LEASE_MS": "300",
    "VOICE_LEASE_MS": "1000",
}
# Chance may kill five workers with one job in hand: that it is given up then is the poison job's test, not this one.
PATIENT = {"VOICE_SLEEPTIME_DELIVERIES": "16"}
MOST_DELIVERIES = 5
VICTIMS = ["worker"] * 6 + ["gateway"] * 4 + ["store"] * 5


async def ask(product: Served, method: str, path: str, **options: Any) -> Any:
    """What the gateway's HTTP answers."""
    async with aiohttp.ClientSession() as http, http.request(method, product.url + path, **options) as reply:
        assert reply.status < 300, await reply.text()
        return await reply.json()


def pair_of(user: str) -> Pair:
    return Pair("small", user)


# ---- kills at random ----


class Killer:
    """Kills processes of the product; `in_hand` counts the workers, each of which had a job in hand."""

    def __init__(self, product: Served, talk: Talk) -> None:
        self._product = product
        self._talk = talk
        self._dead: set[str] = set()
        self.in_hand = 0

    async def strike(self, victim: str) -> None:
        """Kill the victim as soon as it runs."""
        match victim:
            case "store":
                while not await self._store_dies():
                    await rest()
            case "gateway":
                os.kill(await self._running(self._product.gateway), signal.SIGKILL)
            case _:
                while not await self._worker_dies():
                    await rest()

    async def _store_dies(self) -> bool:
        """Kill the server, unless it is still dead from the last time."""
        try:
            os.kill(await server_of(self._product.data), signal.SIGKILL)
        except StoreDown:
            return False
        return True

    async def _worker_dies(self) -> bool:
        """Kill the worker if it has a job in hand, looked up while it can't finish it; otherwise the users talk on."""
        pid = await self._running(self._product.worker)
        os.kill(pid, signal.SIGSTOP)
        holders: set[str] = set()
        with suppress(StoreDown):
            holders = {held.worker for held in (await held_jobs(self._product.data)).values()} - self._dead
        if not holders:
            with suppress(ProcessLookupError):  # where the looking-up took long, its supervisor may have given it up
                os.kill(pid, signal.SIGCONT)
            self._talk.allowed += self._talk.had >= self._talk.allowed
            return False
        os.kill(pid, signal.SIGKILL)
        self._dead |= holders
        self.in_hand += 1
        return True

    async def _running(self, find: Callable[[], int | None]) -> int:
        while (pid := find()) is None:
            await rest()
        return pid


async def watch(product: Served, checker: Checker, talk: Talk) -> None:
    """Look again and again until the talk is over."""
    async with store_of(product.data) as connection:
        while not talk.over:
            with suppress(StoreDown):
                await checker.look(RedisMemory(connection))
            await rest()


async def test_kills_at_random(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Four users talk on through deaths of worker, gateway and store; what they said becomes memory exactly once."""
    turns, seed = request.config.getoption("--kill-turns"), request.config.getoption("--kill-seed")
    sys.stdout.write(f"--kill-turns {turns} --kill-seed {seed}\n")
    chance, talk = Random(seed), Talk()
    kills = VICTIMS * max(1, turns // 500)
    chance.shuffle(kills)
    talkers = [Talker(pair_of(f"user{n}"), talk, Random(seed + n)) for n in range(4)]
    checker = Checker({talker.pair: talker.told for talker in talkers}, LIMITS)
    async with served(tmp_path / "data", **INSTANT, **PATIENT) as product:
        await ask(product, "POST", "/v1/agents", json=AGENT)
        killer = Killer(product, talk)
        async with asyncio.TaskGroup() as group:
            group.create_task(watch(product, checker, talk))
            for talker in talkers:
                group.create_task(talker.speak(product.url))
            try:
                for n, victim in enumerate(kills, start=1):
                    before, talk.allowed = talk.allowed, max(talk.allowed, turns * n // len(kills))
                    strike_at = chance.randrange(before, (before + talk.allowed) // 2 + 1)
                    await eventually(partial(_had, talk, strike_at), "the users talk")
                    await killer.strike(victim)
                    await eventually(partial(_had, talk, talk.allowed), f"the users talk on without the {victim}")
                await eventually(lambda: _all_remembered(product, talkers), "the worker has dealt with everything")
            finally:
                talk.over = True
        await _check_end(product, checker, talkers)
    sys.stdout.write(
        f"{talk.had} turns, {len(kills)} kills, {killer.in_hand} with a job in hand, {checker.looks} looks\n"
    )
    assert talk.had >= turns
    assert checker.looks > 4 * len(kills)
    assert killer.in_hand == kills.count("worker")


async def _had(talk: Talk, least: int) -> bool:
    return talk.had >= least


async def _all_remembered(product: Served, talkers: list[Talker]) -> bool:
    """Whether no job waits and none is wanted; each user's last call is asked to be dealt with."""
    with suppress(StoreDown):
        async with store_of(product.data) as connection:
            memory = RedisMemory(connection)
            for talker in talkers:
                await memory.raise_job(talker.pair, "request")
            health = [await memory.memory_health(talker.pair) for talker in talkers]
            return all(one.pending_jobs == 0 and one.cursor == one.wanted for one in health)
    return False


async def _check_end(product: Served, checker: Checker, talkers: list[Talker]) -> None:
    async with store_of(product.data) as connection:
        await checker.look(RedisMemory(connection))
    for talker in talkers:
        view = checker.last(talker.pair)
        assert view.snapshot.start != START
        assert view.snapshot.cursor == view.passages.turns[-1].id, "not all was dealt with"
        assert view.told == tuple(talker.told)
        assert {block.label for block in view.snapshot.blocks} == {"human", "summary"}
        items = await history(product.url, talker.pair.user, talker.pair.agent)
        check_shape(items)
        for item in items:
            if item["role"] == "user":
                assert item["text"] == talker.said[item["turn_id"]]


# ---- a poison job ----


async def _dead(product: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await ask(product, "GET", "/v1/jobs"))["items"]
    return found


async def _kill_whoever_takes_it(product: Served, pair: Pair) -> int:
    """Kill the worker each time it has the pair's job in hand, until the job is given up; how often that was."""
    kills = 0
    while not await _dead(product):
        worker, held = product.worker(), (await held_jobs(product.data)).get(pair)
        if worker is not None and held is not None and kills < held.deliveries <= MOST_DELIVERIES:
            os.kill(worker, signal.SIGKILL)
            await eventually(partial(all_gone, [worker]), "the worker is dead")
            kills += 1
        await rest()
    return kills


async def _remembers(product: Served, user: str, words: str) -> bool:
    block = await ask(product, "GET", f"/v1/agents/small/blocks/human?user={user}")
    return words in block["value"]


async def test_poison_job(tmp_path: Path) -> None:
    """A job that kills its worker five times is a dead letter that holds nobody up; retried, it succeeds."""
    async with served(tmp_path / "data", **INSTANT) as product:
        await ask(product, "POST", "/v1/agents", json=AGENT)
        async with calling(product.url, "ann", "small") as ann, calling(product.url, "bob", "small") as bob:
            # The stalling model keeps the job in hand until its worker is killed.
            await ann.ask("I like pears. !sleeptime fault stall", "t1")
            await ask(product, "POST", "/v1/agents/small/summarize?user=ann")
            async with asyncio.TaskGroup() as group:
                killing = group.create_task(_kill_whoever_takes_it(product, pair_of("ann")))
                await bob.ask("my name is Bob", "t1")
                await ask(product, "POST", "/v1/agents/small/summarize?user=bob")
                await eventually(lambda: _remembers(product, "bob", "Bob"), "another user's memory goes on")
                assert not killing.done()
            assert killing.result() == MOST_DELIVERIES
            (letter,) = await _dead(product)
            assert (letter["user"], letter["deliveries"]) == ("ann", 6)
            assert "no worker came back" in letter["reason"]
            await ann.ask("I live in Lyon. !sleeptime well", "t2")
            await ask(product, "POST", "/v1/agents/small/summarize?user=ann")
            await eventually(lambda: _remembers(product, "ann", "They live in Lyon."), "later messages go on")
            assert not await _remembers(product, "ann", "pears")
            retried = await run("gateway", "jobs", "retry", letter["id"], "--data-dir", str(product.data))
            assert (retried.code, retried.err) == (0, "")
            await eventually(lambda: _remembers(product, "ann", "They like pears."), "the retried job is done")
            assert await _remembers(product, "ann", "They live in Lyon.")
            assert await _dead(product) == []
            assert len(await _user_turns(product, "ann")) == 2


async def _user_turns(product: Served, user: str) -> list[str]:
    return [item["text"] for item in await history(product.url, user, "small") if item["role"] == "user"]


# ---- forty turns ----


async def test_the_forty_first_turn_is_answered_from_a_block(tmp_path: Path) -> None:
    """A name told in the first of forty turns, and long out of the prompt, is known in a new call."""
    async with served(tmp_path / "data", **INSTANT) as product:
        await ask(product, "POST", "/v1/agents", json=AGENT)
        async with calling(product.url, "ann", "small") as line:
            await line.ask("my name is Ann", "t1")
            for n in range(2, 41):
                await line.ask(f"!say this is number {n}", f"t{n}")
            await eventually(lambda: _evicted(product, "ann"), "the old turns have left the prompt")
            await line.caught_up()
            assert line.of("memory.updated")
            await line.send("session.end")
        assert len(await _user_turns(product, "ann")) == 40
        (block,) = [one for one in await _blocks(product, "ann") if one["label"] == "human"]
        assert block["value"] == "Their name is Ann."
        assert block["author"].startswith("sleeptime:")
        async with calling(product.url, "ann", "small") as line:
            async with store_of(product.data) as connection:
                shown = (await RedisMemory(connection).read_memory(pair_of("ann"))).turns
            assert not [one for turn in shown for one in turn.record.messages if "Ann" in one.text]
            ended = await line.ask("what is my name?", "t41")
        assert ended["generated"] == "Your name is Ann."


async def _evicted(product: Served, user: str) -> bool:
    memory = await ask(product, "GET", f"/v1/agents/small/memory?user={user}")
    return memory["window_messages"] <= AGENT["buffer"]["max"] and not memory["pending_jobs"]  # type: ignore[index]


async def _blocks(product: Served, user: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await ask(product, "GET", f"/v1/agents/small/blocks?user={user}"))["items"]
    return found
