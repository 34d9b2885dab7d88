"""Scripted conditions under which the product is measured, each by what it promises for them, and their report."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Literal, NamedTuple

import msgspec

from gateway.bench import figures, machine
from gateway.bench.board import Board
from gateway.bench.callers import open_sessions
from gateway.bench.figures import Spread, Turns
from gateway.bench.household import household
from gateway.bench.load import play
from gateway.bench.plan import BenchError, Pace, Plan
from gateway.bench.run import Tell
from gateway.bench.where import Address
from voice_agent.llm.wire import Http

ScenarioName = Literal["stalls"]


class Scenario(NamedTuple):
    """`tells` what happens, `options` are the simulated provider's beside its pace, `most` what may be reached.

    `most_extra_percent` is of all turns: the requests that may be sent beyond one for each.
    """

    tells: str
    pace: Pace
    options: tuple[str, ...]
    most_p99_ms: float
    most_extra_percent: float


SCENARIOS: Mapping[ScenarioName, Scenario] = {
    "stalls": Scenario(
        tells="1 request in 20 waits 8 s for its first token, the others 300 ms",
        pace=Pace(300, 10, 8),
        options=("--stall-share", "0.05", "--stall-ms", "8000"),
        most_p99_ms=1200,
        most_extra_percent=8,
    ),
}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a scenario. `extra_requests` are those beyond one for each step, `hedges` those beside another.

    `exit_code` 0: it kept its promise in a valid run; `said` is what to say of any other.
    """

    exit_code: int
    said: str | None
    scenario: ScenarioName
    tells: str
    machine: dict[str, str]
    turns: Turns
    first_speech_ms: Spread | None
    extra_requests: int
    hedges: int
    extra_percent: float
    lateness_ms: Spread | None


async def play_scenario(name: ScenarioName, plan: Plan, tell: Tell) -> Outcome:
    """Start the product, play it and measure. Raises BenchError, StoreError, alone or in a group."""
    scenario = SCENARIOS[name]
    boards: dict[str, Board] = {}
    tell("starting store, simulator, gateway and worker")
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(Http())
        home = await stack.enter_async_context(household(scenario.pace, True, True, http, scenario.options))
        sessions = await open_sessions(Address(home.url, plan.agent, None), "scenario-", plan.sessions, plan.say)
        try:
            tell(f"warm-up: {plan.warm_up} turns of each of {plan.sessions} sessions")
            await play({"gateway": sessions}, plan.warm_up, plan.interval_s, {})
            if fault := next((session.board.fault for session in sessions if session.board.fault), None):
                raise BenchError(fault)
            tell(f"measured turns: {plan.turns} turns of each, about {plan.turns * plan.interval_s:.0f} s")
            await play({"gateway": sessions}, plan.turns, plan.interval_s, boards)
        finally:
            for session in sessions:
                session.hang_up()
    return outcome(name, [*boards.values()], machine.describe())


def outcome(name: ScenarioName, boards: Sequence[Board], where: dict[str, str]) -> Outcome:
    """The figures of what was noted, and whether the scenario's promise was kept."""
    scenario = SCENARIOS[name]
    takes = [take for board in boards for take in board.takes]
    counts, late = figures.turns(boards), figures.lateness(boards)
    first = figures.spread(None if take.first_speech is None else take.first_speech - take.due for take in takes)
    extra = sum(take.lost for take in takes)
    percent = round(100 * extra / max(1, len(takes)), 1)
    fault = next((board.fault for board in boards if board.fault is not None), None)
    # A turn that waits for the one before it is what the caller of a stalled provider may meet: its time is counted.
    code, said = figures.verdict(fault, msgspec.structs.replace(counts, overdue=0), late)
    if code == 0 and first is not None and first.p99 > scenario.most_p99_ms:
        code, said = 1, f"p99 of the first speech is {first.p99:.0f} ms, more than {scenario.most_p99_ms:g} ms"
    if code == 0 and percent > scenario.most_extra_percent:
        code, said = 1, f"{percent:g} % extra requests are more than {scenario.most_extra_percent:g} %"
    return Outcome(
        exit_code=code,
        said=said,
        scenario=name,
        tells=scenario.tells,
        machine=where,
        turns=counts,
        first_speech_ms=first,
        extra_requests=extra,
        hedges=sum(take.hedges for take in takes),
        extra_percent=percent,
        lateness_ms=late,
    )
