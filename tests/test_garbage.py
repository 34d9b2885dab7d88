"""What turns leave behind for the cyclic collector, which the gateway lets look at old objects hardly ever."""

import gc

from tests.gateways import Caller, gateway
from tests.servers import serving
from voice_agent.llm.simulated.server import create_app

OURS = ("gateway", "sleeptime", "voice_agent")
TURNS = 5


async def talk(caller: Caller, name: str) -> None:
    """A turn with a tool, one that is interrupted, twice for nothing and then for good, one that fails."""
    await caller.ask("!call get_time !then !say It is late, late.", f"{name}-tool")
    await caller.send("user.text", text="!tokens 100 !token_ms 5", turn_id=f"{name}-cut")
    for _ in range(2):
        await caller.until("speech.delta")
        await caller.send("user.interrupt", heard={"chars": 2})
        await caller.until("turn.ended")
    await caller.until("speech.delta")
    await caller.ask("!fault cut", f"{name}-fault")


async def test_turns_leave_no_cycles_behind() -> None:
    """All of a turn goes when the last reference to it does, as the gateway's thresholds suppose."""
    async with (
        serving(create_app(0, 0)) as url,
        gateway(openai_api_key="any", openai_base_url=f"{url}/v1") as place,
    ):
        agent = {"id": "a", "name": "A", "model": "openai/m", "tools": ["get_time"], "voice": {"resume_after_ms": 50}}
        assert (await place.http.ask("POST", "/v1/agents", json=agent)).status == 201
        async with place.call("a", user="ada") as caller:
            await check(caller)


async def check(caller: Caller) -> None:
    """Turns of a call that is warm leave nothing."""
    await talk(caller, "warming")
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for number in range(TURNS):
            await talk(caller, f"t{number}")
        gc.collect()
        left = {type(thing).__module__ for thing in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    # The client, the simulator and the test's event loop live in this process, too.
    assert not [name for name in left if name.startswith(OURS) and "simulated" not in name]
