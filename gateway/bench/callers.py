"""The callers of a run: sessions over `voice.v1` or Chat Completions, and the direct clients beside them."""

import asyncio
from collections.abc import Iterable

import msgspec

from gateway.bench.chat import ChatCaller
from gateway.bench.household import Household
from gateway.bench.native import NativeCaller
from gateway.bench.plan import BenchError, Plan
from gateway.bench.where import Address
from voice_agent.llm.chat_completions import FORMAT
from voice_agent.llm.wire import Endpoint, Http, Pool

OPENED_AT_ONCE = 32
CAPTURES = 50
# What the turns of a history are made of.
SEED = "!first_token_ms 0 !token_ms 0 !say That is good to know, and I will keep it in mind until we talk again."
CAPTURE_S = 0.1


async def open_sessions(address: Address, prefix: str, count: int, words: str) -> list[NativeCaller]:
    """Sessions of users PREFIX0, PREFIX1 … Raises BenchError (in a group) if one is refused."""
    sessions = [NativeCaller(address, f"{prefix}{number}", words) for number in range(count)]
    await open_all(sessions)
    return sessions


async def open_all(sessions: Iterable[NativeCaller]) -> None:
    """Connect them, some at a time. Raises BenchError (in a group) if one is refused."""
    gate = asyncio.Semaphore(OPENED_AT_ONCE)

    async def enter(session: NativeCaller) -> None:
        async with gate:
            await session.open()

    async with asyncio.TaskGroup() as entering:
        for session in sessions:
            entering.create_task(enter(session))


def chat_callers(plan: Plan, address: Address, prefix: str, http: Http, tasks: asyncio.TaskGroup) -> list[ChatCaller]:
    """One for each session; the first `plan.deep` send a history along."""
    pool = Pool(http, Endpoint("gateway", address.provider(), address.key))
    past = [
        {"role": ("user", "assistant")[number % 2], "content": "That is good to know."}
        for number in range(plan.history)
    ]
    asked = {"role": "user", "content": plan.say}
    callers = []
    for number in range(plan.sessions):
        messages = [*(past if number < plan.deep else ()), asked]
        body = {"model": address.agent, "messages": messages, "stream": True, "user": f"{prefix}{number}"}
        callers.append(ChatCaller(pool, msgspec.json.encode(body), tasks))
    return callers


async def direct_callers(
    plan: Plan, home: Household, http: Http, tasks: asyncio.TaskGroup
) -> dict[str, list[ChatCaller]]:
    """Clients of the provider's own, who ask with the bytes of the gateway's last request, by group.

    Beside sessions with a history there are those who send as much of one.
    """
    bodies = {"direct": await _captured(plan, home, http)}
    if plan.deep:
        asked = msgspec.json.decode(bodies["direct"])
        asked["messages"][-1:-1] = [
            {"role": ("user", "assistant")[number % 2], "content": SEED} for number in range(plan.history)
        ]
        bodies["direct history"] = msgspec.json.encode(asked)
    pool = Pool(http, Endpoint("simulator", home.provider, "bench-key"))
    return {name: [ChatCaller(pool, body, tasks) for _ in range(plan.direct)] for name, body in bodies.items()}


async def _captured(plan: Plan, home: Household, http: Http) -> bytes:
    simulator = Pool(http, Endpoint("simulator", home.provider.removesuffix("/v1")))
    for _ in range(CAPTURES):
        body = await simulator.get(f"/last_request?path=/v1{FORMAT.path}")
        # The worker asks too, and its requests are not what a caller waits for.
        if msgspec.json.decode(body)["messages"][-1] == {"role": "user", "content": plan.say}:
            return body
        await asyncio.sleep(CAPTURE_S)
    raise BenchError("the simulated provider has seen no request of a caller's")
