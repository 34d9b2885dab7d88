"""SIGKILL of gateway, store and supervisor while turns are open: what was promised is kept, and nothing is there twice.

Every turn whose end was told is in the history once; one that died is closed as interrupted; and the conversation goes
on against a provider that answers 400 to any history it would not take.
"""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tests.callers import Caller, calling, check_shape, goes_on, history
from tests.processes import (
    Served,
    all_gone,
    endings,
    eventually,
    journalled,
    none_names,
    parent,
    served,
    server_of,
    simulated,
)

NEVER = "!first_token_ms 60000 !say never heard"
# What each caller says, and so where its turn stands when the kill comes.
PHASES = {
    "thinking": NEVER,
    "speaking": "!first_token_ms 0 !token_ms 40 !tokens 3000",
    "calling": "!token_ms 80 !call get_time {} !call get_time {} !call get_time {}",
    "called": f"!call get_time {{}} !then {NEVER}",
}


@asynccontextmanager
async def open_turns(product: Served) -> AsyncIterator[dict[str, Caller]]:
    """A caller for each phase, after one whole turn, with a second turn open in that phase and journalled so far."""
    async with AsyncExitStack() as calls:
        callers = {phase: await calls.enter_async_context(calling(product.url, phase)) for phase in PHASES}
        for caller in callers.values():
            assert (await caller.ask("!say one it is", "t1"))["reason"] == "end_turn"
        for phase, caller in callers.items():
            await caller.say(PHASES[phase], "t2")
            await caller.until("turn.started", turn_id="t2")
        for _ in range(3):
            await callers["speaking"].until("speech.delta", turn_id="t2", kind="reply")
        for phase in ("calling", "called"):
            await callers[phase].until("tool.finished", turn_id="t2", status="ok")
        await eventually(lambda: _journalled_so_far(product.data), "every open turn is journalled")
        for caller in callers.values():
            await caller.caught_up()
            assert not caller.of("turn.spoken", turn_id="t2")
        yield callers


async def _journalled_so_far(data: Path) -> bool:
    found = {phase: await journalled(data, phase) for phase in PHASES}
    return found == {phase: [{"head", "0"} if phase == "called" else {"head"}] for phase in PHASES}


async def test_killed_gateway(tmp_path: Path) -> None:
    """Four turns in four phases die with it: each is closed as interrupted with its words, and all goes on."""
    async with simulated() as provider, served(tmp_path / "data", **provider) as product:
        victim = product.gateway()
        assert victim is not None
        async with open_turns(product):
            os.kill(victim, signal.SIGKILL)
            await eventually(lambda: all_gone([victim]), "the gateway is dead")
        await product.until_ready()
        assert product.gateway() not in {None, victim}
        for phase, words in PHASES.items():
            items = await history(product.url, phase)
            check_shape(items)
            assert [item["text"] for item in items if item["role"] == "user"] == ["!say one it is", words]
            assert items[1]["text"] == "one it is"
            assert (items[-1]["role"], items[-1]["heard"]) == ("assistant", "")
            assert await endings(product.data, phase) == [("t1", "end_turn"), ("t2", "interrupted")]
            assert await journalled(product.data, phase) == []
            await goes_on(product.url, phase)
        made = [item for item in await history(product.url, "called") if item["tool_calls"]]
        assert [item["tool_calls"][0]["utterance"] for item in made] == ["Let me look at the clock."]


@asynccontextmanager
async def store_away(data: Path) -> AsyncIterator[None]:
    """The store's server is killed, and its keeper held so that no new one starts before the end of the block."""
    server = await server_of(data)
    keeper = parent(server)
    os.kill(keeper, signal.SIGSTOP)
    try:
        os.kill(server, signal.SIGKILL)
        await eventually(lambda: all_gone([server]), "the store is dead")
        yield
    finally:
        os.kill(keeper, signal.SIGCONT)


async def test_killed_store(tmp_path: Path) -> None:
    """Turns go on without it; their ends are told once it is back, once, and everything is stored once."""
    ends = {"thinking": "interrupted", "speaking": "interrupted", "calling": "end_turn", "called": "interrupted"}
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(simulated())
        product = await stack.enter_async_context(served(tmp_path / "data", **provider))
        callers = await stack.enter_async_context(open_turns(product))
        async with store_away(product.data):
            for phase, caller in callers.items():
                if ends[phase] == "interrupted":
                    await caller.send("user.interrupt", turn_id="t2")
            for caller in callers.values():
                await caller.until("turn.spoken", turn_id="t2")
                await caller.caught_up()
                assert not caller.of("turn.ended", turn_id="t2")
            assert callers["calling"].of("speech.delta", turn_id="t2", kind="reply")
            with pytest.raises(InvalidStatus) as refused:
                async with calling(product.url, "another"):
                    pass
            assert refused.value.response.status_code == 503
            gateway = product.gateway()
        for phase, caller in callers.items():
            assert (await caller.until("turn.ended", turn_id="t2"))["reason"] == ends[phase]
            assert (await caller.ask("!say on we go", "t3"))["generated"] == "on we go"
            assert [event["turn_id"] for event in caller.of("turn.ended")] == ["t1", "t2", "t3"]
            assert not caller.of("error")
            check_shape(await history(product.url, phase))
            stored = [("t1", "end_turn"), ("t2", ends[phase]), ("t3", "end_turn")]
            assert await endings(product.data, phase) == stored
        assert product.gateway() == gateway


async def test_killed_store_and_keeper(tmp_path: Path) -> None:
    """Nobody is left to restart the server but the supervisor: the open turn ends as it should, with no process new."""
    async with served(tmp_path / "data") as product, calling(product.url, "ann") as caller:
        await caller.say("!token_ms 40 !tokens 40", "t1")
        await eventually(lambda: _is_open(product.data, "ann"), "the turn is journalled")
        family = await product.family()
        server = await server_of(product.data)
        keeper = parent(server)
        for pid in (keeper, server):
            os.kill(pid, signal.SIGKILL)
        await caller.until("turn.spoken", turn_id="t1")
        await caller.caught_up()
        assert (await caller.until("turn.ended", turn_id="t1"))["reason"] == "end_turn"
        assert await endings(product.data, "ann") == [("t1", "end_turn")]
        assert set(family) - set(await product.family()) == {keeper, server}


async def test_gateway_killed_while_the_store_is_away(tmp_path: Path) -> None:
    """A turn that was spoken and could not be stored is closed as interrupted, with the words that had been stored."""
    async with simulated() as provider, served(tmp_path / "data", **provider) as product:
        async with calling(product.url, "ann") as caller:
            assert (await caller.ask("!say one it is", "t1"))["reason"] == "end_turn"
            await caller.say("!first_token_ms 60000 !say never heard", "t2")
            await eventually(lambda: _is_open(product.data, "ann"), "the turn is journalled")
            gateway = product.gateway()
            assert gateway is not None
            async with store_away(product.data):
                await caller.send("user.interrupt", turn_id="t2")
                await caller.until("turn.spoken", turn_id="t2")
                await caller.caught_up()
                assert not caller.of("turn.ended", turn_id="t2")
                os.kill(gateway, signal.SIGKILL)
                await eventually(lambda: all_gone([gateway]), "the gateway is dead")
        await product.until_ready()
        items = await history(product.url, "ann")
        assert [item["text"] for item in items] == ["!say one it is", "one it is", NEVER, ""]
        assert await endings(product.data, "ann") == [("t1", "end_turn"), ("t2", "interrupted")]
        await goes_on(product.url, "ann")


async def _is_open(data: Path, user: str) -> bool:
    return await journalled(data, user) == [{"head"}]


async def test_another_gateway_takes_over(tmp_path: Path) -> None:
    """Of two on one store, the one that lives closes the other's turn once its lease has run out."""
    async with AsyncExitStack() as stack:
        settings = await stack.enter_async_context(simulated()) | {"VOICE_LEASE_MS": "900"}
        dying, living = [await stack.enter_async_context(served(tmp_path / "data", **settings)) for _ in range(2)]
        here = await stack.enter_async_context(calling(living.url, "ann"))
        there = await stack.enter_async_context(calling(dying.url, "ann"))
        await there.say(NEVER, "t1")
        await eventually(lambda: _is_open(dying.data, "ann"), "the turn is journalled")
        gateway = dying.gateway()
        assert gateway is not None
        for pid in (dying.process.pid, gateway):  # its supervisor first: nobody is to start another one there
            os.kill(pid, signal.SIGKILL)
        await eventually(lambda: _is_closed(living.data, "ann"), "the turn is closed")
        assert (await here.ask("!say on we go", "t2"))["reason"] == "end_turn"
        assert await endings(living.data, "ann") == [("t1", "interrupted"), ("t2", "end_turn")]
        await goes_on(living.url, "ann")


async def _is_closed(data: Path, user: str) -> bool:
    return await endings(data, user) == [("t1", "interrupted")]


async def test_killed_supervisor(tmp_path: Path) -> None:
    """Within a second nothing of it runs, its turn is closed, and the next start on the directory works at once."""
    data = tmp_path / "data"
    async with simulated() as provider:
        async with served(data, **provider) as product, calling(product.url, "ann") as caller:
            await caller.say(NEVER, "t1")
            await eventually(lambda: _is_open(data, "ann"), "the turn is journalled")
            pids, socket = await product.family(), (data / "keeper").read_text()
            assert len(pids) == 5
            os.kill(product.process.pid, signal.SIGKILL)
            await eventually(lambda: all_gone(pids), "everything is gone", patience_s=1)
            assert await none_names(str(data))
            assert not Path(socket).exists()
        async with served(data, **provider) as product:
            assert [item["text"] for item in await history(product.url, "ann")] == [NEVER, ""]
            await goes_on(product.url, "ann")
