"""The gateway as a whole, between real clients, a real store and a real provider."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.gateways import Place, gateway
from tests.servers import serving
from tests.stores import server, store_url, until
from tests.test_connection import check_turns, problem
from voice_agent.llm.simulated.server import create_app
from voice_agent.store.connection import read_scripts
from voice_agent.store.server import connect

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


# ---- the store ----


async def test_a_store_that_goes_away_in_a_turn_unsays_nothing(tmp_path: Path) -> None:
    """Speech goes on, the turn's end comes once when the store is back, and new calls are told when to try again."""
    async with AsyncExitStack() as house, AsyncExitStack() as first_life:
        url = await first_life.enter_async_context(server(tmp_path, *DURABLE))
        store = await house.enter_async_context(aclosing(await connect(url, shards=16, allow_volatile=False)))
        place = await house.enter_async_context(gateway(store))
        caller = await house.enter_async_context(place.call(user="ann"))
        await caller.send("user.text", text="!tokens 40 !token_ms 2", turn_id="t1")
        await caller.until("speech.delta")
        await first_life.aclose()
        await caller.until("turn.spoken")
        assert len(caller.of("speech.delta")) == 40
        refusal = await place.refusal(user="bob")
        assert "store" in problem(refusal, 503)["detail"]
        assert int(refusal.headers["Retry-After"]) > 0
        assert str(tmp_path) not in (refusal.body or b"").decode()
        await caller.send("user.text", text="!say still here", turn_id="t2")
        await caller.until("turn.spoken", turn_id="t2")
        assert caller.of("turn.ended") == []
        await house.enter_async_context(server(tmp_path, *DURABLE))
        await caller.end_of("t2")
        await caller.settle()
        check_turns(caller)
        answer = await place.http.ask("GET", "/v1/agents/demo/messages?user=ann")
        texts = [(item["turn_id"], item["role"]) for item in answer.json["items"]]
        assert texts == [("t2", "assistant"), ("t2", "user"), ("t1", "assistant"), ("t1", "user")]


class Watch:
    """What the store was told by clients, each command as its first word, a script as its name."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._scripts = {script.digest: name for name, script in read_scripts().items()}

    async def until(self, mark: str) -> list[str]:
        """Everything up to the ECHO of `mark`."""
        seen: list[str] = []
        while True:
            line = (await asyncio.wait_for(self._reader.readline(), 10)).decode(errors="replace")
            source, words = line.partition("]")[0], re.findall(r'"((?:[^"\\]|\\.)*)"', line)
            if words == ["ECHO", mark]:
                return seen
            if not source.endswith(" lua"):  # what a script does inside the server costs no round trip
                seen.append(self._scripts.get(words[1], "?") if words[0] == "EVALSHA" else words[0])


@asynccontextmanager
async def watched(place: Place) -> AsyncIterator[Watch]:
    """Look over the store's shoulder (MONITOR)."""
    reader, writer = await asyncio.open_unix_connection(unquote(urlsplit(store_url()).path))
    writer.write(b"MONITOR\r\n")
    assert await reader.readline() == b"+OK\r\n"
    yield Watch(reader)
    writer.close()
    await writer.wait_closed()


async def test_a_turn_reads_nothing_from_the_store_and_is_stored_in_one_round_trip() -> None:
    """What crosses the wire in a turn is the journal's writes, each once; scripts are known to the server by then."""
    async with gateway() as place, place.call() as caller:
        await caller.ask("!call get_time !then !say It is late.", "warm")
        async with watched(place) as watch:
            await caller.ask("!say Hello.", "plain")
            await place.store.call("ECHO", "plain")
            assert await watch.until("plain") == ["begin_turn", "commit_turn"]
            await caller.ask("!call get_time !then !say It is late.", "tool")
            await place.store.call("ECHO", "tool")
            assert await watch.until("tool") == ["begin_turn", "save_step", "commit_turn"]
            await caller.send("user.text", text="!say one two !fault stall", turn_id="cut")
            await caller.until("speech.delta")
            await caller.send("user.interrupt", turn_id="cut", heard={"chars": 2})
            await caller.end_of("cut")
            await place.store.call("ECHO", "cut")
            assert await watch.until("cut") == ["begin_turn", "commit_turn"]


async def test_a_call_finds_the_conversation_where_the_last_one_left_it() -> None:
    """Over another session, and for this user only."""
    async with gateway() as place:
        async with place.call(user="ann") as caller:
            await caller.ask("My name is Ann.", "t1")
            await caller.send("session.end")
            assert await caller.closed() == 1000
        async with place.call(user="ann") as caller:
            assert "Ann" in (await caller.ask("What is my name?", "t1"))["heard"]
        async with place.call(user="bob") as caller:
            assert "Ann" not in (await caller.ask("What is my name?", "t1"))["heard"]


# ---- the provider ----


@asynccontextmanager
async def provided() -> AsyncIterator[tuple[Place, str]]:
    """A gateway that asks a provider over HTTP, and where the provider counts."""
    async with serving(create_app(0, 1)) as provider:
        address: dict[str, Any] = {"openai_base_url": f"{provider}/v1", "openai_api_key": "sk-of-these-tests"}
        async with gateway(model="openai/simulated", **address) as place:
            yield place, provider


async def counted(place: Place, provider: str, name: str) -> int:
    async with place.http._session.get(f"{provider}/stats") as answer:
        return int((await answer.json())[name])


async def test_a_barge_in_closes_the_provider_s_connection() -> None:
    """However the caller cuts in: by an interrupt, by new words, by hanging up."""
    async with provided() as (place, provider), place.call() as caller:

        async def closed_early(count: int) -> None:
            async def holds() -> bool:
                return await counted(place, provider, "closed_early") == count

            await until(holds, f"the provider sees {count} closed connections")
            assert await counted(place, provider, "open") == 0

        for number, frame in enumerate(("user.interrupt", "user.text", "session.end"), start=1):
            await caller.send("user.text", text="!tokens 5000", turn_id=f"t{number}")
            await caller.until("speech.delta", turn_id=f"t{number}")
            await caller.send(frame, **({"text": "!say Yes?", "turn_id": "t"} if frame == "user.text" else {}))
            await caller.end_of(f"t{number}")
            if frame == "user.text":
                await caller.end_of("t")
            await closed_early(number)
        reasons = [event["reason"] for event in caller.of("turn.ended")]
        assert reasons == ["interrupted", "interrupted", "end_turn", "cancelled"]


async def test_a_hundred_callers_each_hear_their_own_words() -> None:
    """All at once, over one provider connection pool and one store; a third of them cuts in."""
    async with provided() as (place, _):
        async with asyncio.TaskGroup() as tasks:
            for number in range(100):
                tasks.create_task(_one_of_many(place, number))
        users = await place.http.ask("GET", "/v1/agents/demo/users?limit=200")
        assert len(users.json["items"]) == 100


async def _one_of_many(place: Place, number: int) -> None:
    words = " ".join(f"w{number}-{count}" for count in range(12))
    async with place.call(user=f"user-{number}") as caller:
        for turn_id in ("t1", "t2"):
            if number % 3 == 0:
                await caller.send("user.text", text=f"!say {words} !fault stall", turn_id=f"cut-{turn_id}")
                await caller.until("speech.delta")
                await caller.send("user.interrupt", heard={"chars": 4})
                assert (await caller.end_of(f"cut-{turn_id}"))["heard"] == words[:4]
            assert (await caller.ask(f"!say {words} {turn_id}", turn_id))["heard"] == f"{words} {turn_id}"
            assert caller.said(turn_id) == f"{words} {turn_id}"
        check_turns(caller)
