"""Scripted conditions under which the product is measured, and the playing of them."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import NamedTuple

import msgspec

from gateway.bench import machine
from gateway.bench.board import Board
from gateway.bench.callers import open_all
from gateway.bench.cast import Foretold, Interrupter, MakeCaller
from gateway.bench.household import Household, household
from gateway.bench.load import play
from gateway.bench.native import NativeCaller
from gateway.bench.outcomes import Outcome, Phase, ScenarioName, outcome
from gateway.bench.plan import BenchError, Pace, Plan
from gateway.bench.run import Tell
from gateway.bench.where import Address
from voice_agent.llm.wire import Endpoint, Http, Pool

# How long before the final words a guess is made: by then the provider has answered it.
LEAD_S = 0.6


class Scenario(NamedTuple):
    """`tells` what happens, `options` are the simulated provider's beside its pace, `phases` who calls in which."""

    tells: str
    pace: Pace
    options: tuple[str, ...]
    phases: Mapping[str, MakeCaller]


def _foretold(address: Address, user: str, words: str, guess: str) -> NativeCaller:
    return Foretold(address, user, words, guess=guess.format(words), lead_s=LEAD_S)


SCENARIOS: Mapping[ScenarioName, Scenario] = {
    "stalls": Scenario(
        tells="1 request in 20 waits 8 s for its first token, the others 300 ms",
        pace=Pace(300, 10, 40),
        options=("--stall-share", "0.05", "--stall-ms", "8000"),
        phases={"turns": NativeCaller},
    ),
    "speculation": Scenario(
        tells=f"the provider answers within 400 ms, the words are guessed {LEAD_S * 1000:g} ms before they are final",
        pace=Pace(300, 10, 8),
        options=(),
        phases={"right": partial(_foretold, guess="{}"), "wrong": partial(_foretold, guess="{} or so")},
    ),
    "bargein": Scenario(
        tells=f"the caller cuts into every reply at its piece {Interrupter.cuts_in_after} of 40, 10 ms from the next",
        pace=Pace(100, 10, 40),
        options=(),
        phases={"turns": Interrupter},
    ),
}


async def play_scenario(name: ScenarioName, plan: Plan, tell: Tell) -> Outcome:
    """Start the product, play it and measure. Raises BenchError, StoreError, alone or in a group."""
    scenario = SCENARIOS[name]
    phases: dict[str, Phase] = {}
    callers: list[NativeCaller] = []
    tell("starting store, simulator, gateway and worker")
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(Http())
        home = await stack.enter_async_context(household(scenario.pace, True, True, http, scenario.options))
        address, words = Address(home.url, plan.agent, None), f"!stamps {scenario.pace.tokens}"
        try:
            for phase, make in scenario.phases.items():
                sessions = [make(address, f"{phase}-{number}", words) for number in range(plan.sessions)]
                # They stay until the end: the worker's requests after a call would be counted as the next phase's.
                callers += sessions
                await open_all(sessions)
                phases[phase] = await _play_phase(phase, plan, sessions, Simulator(home, http), tell)
        finally:
            for caller in callers:
                caller.hang_up()
    return outcome(name, phases, machine.describe())


class Simulator:
    """The provider, as far as it tells of itself."""

    def __init__(self, home: Household, http: Http) -> None:
        self._pool = Pool(http, Endpoint("simulator", home.provider.removesuffix("/v1")))

    async def requests(self) -> int:
        """How many it has got."""
        return msgspec.json.decode(await self._pool.get("/stats"), type=dict[str, int])["requests"]


async def _play_phase(name: str, plan: Plan, sessions: list[NativeCaller], simulator: Simulator, tell: Tell) -> Phase:
    boards: dict[str, Board] = {}
    what = "" if name == "turns" else f"guessed {name}, "
    tell(f"{what}warm-up: {plan.warm_up} turns of each of {plan.sessions} sessions")
    await play({"gateway": sessions}, plan.warm_up, plan.interval_s, {})
    if fault := next((session.board.fault for session in sessions if session.board.fault), None):
        raise BenchError(fault)
    before = await simulator.requests()
    tell(f"{what}measured: {plan.turns} turns of each, about {plan.turns * plan.interval_s:.0f} s")
    await play({"gateway": sessions}, plan.turns, plan.interval_s, boards)
    return Phase(boards["gateway"], await simulator.requests() - before)
