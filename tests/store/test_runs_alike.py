"""The recorder answers what a server answers: random walks of two processes over the runs of one user, step by step."""

from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

import pytest
from msgspec.structs import replace

from tests.store.conftest import Stores
from tests.store.runs import WEEK_S, ref, run, step_under_way, suspension
from tests.store.turns import LEASE_MS, OTHER, OWNER, answered, opened, record
from tests.stores import fresh_store
from voice_agent.clock import SystemClock
from voice_agent.run_record import RunRecord
from voice_agent.store.base import Fenced, OpenTurn, Pair, TurnRef
from voice_agent.store.recorder import Recorder
from voice_agent.store.redis import RedisConversations
from voice_agent.store.redis_memory import RedisMemory
from voice_agent.store.redis_runs import RedisRuns
from voice_agent.store.runs import Suspended

# Of the one shard that the recorder has.
ONE = Pair("demo", "u29")
RUNS = tuple(f"run-1768-{number:016x}" for number in range(4))
OWNERS = (OWNER, OTHER)
Outcome = object
T = TypeVar("T")


class Walk:
    """One walk over both stores at once; what was read in one step is used, by then stale or not, in a later one."""

    def __init__(self, seed: int, both: tuple[Stores, Stores]) -> None:
        self._random = Random(seed)
        self._both = both
        self._refs: list[TurnRef] = [ref(run_id, pair=ONE) for run_id in RUNS]
        self._found: list[Suspended] = []
        self._orphans: list[OpenTurn] = []
        self.seen: set[str] = set()

    async def step(self) -> None:
        """One verb with the same arguments on both; AssertionError if they do not answer alike."""
        pick = self._random.choice
        of, owner, run_id, step = pick(self._refs), pick(OWNERS), pick(RUNS), pick((0, 1))
        told = self._random.randrange(1000)
        verbs: dict[str, Callable[[Stores], Awaitable[Outcome]]] = {
            "open": lambda at: at.talk.open_session(ONE, run_id, owner),
            "begin": lambda at: at.talk.begin_turn(opened(of, owner)),
            "step": lambda at: at.talk.save_step(of, step, (answered(f"{told}"),)),
            "suspend": lambda at: at.runs.suspend_turn(of, suspension(*step_under_way()[:step])),
            "suspended": lambda at: at.runs.suspended(ONE),
            "resume": lambda at: at.runs.resume_turn(pick_of(self._found, told), owner),
            "commit": lambda at: _done(at.talk.commit_turn(of, record(of))),
            "orphans": lambda at: _sorted(at.talk.orphans()),
            "adopt": lambda at: at.talk.adopt(pick_of(self._orphans, told), owner),
            "answered": lambda at: at.runs.last_answered(ONE),
            "read": lambda at: _without_entry(at.runs.read_run(run_id)),
            "write": lambda at: at.runs.write_run(run(run_id, "running", owner, ONE), WEEK_S),
            "waits": lambda at: at.runs.write_run(run(run_id, "requires_approval", owner, ONE), WEEK_S),
            "beat": lambda at: at.talk.beat(replace(owner, incarnation=f"{owner.incarnation}{step or ''}"), LEASE_MS),
            "users": lambda at: at.talk.list_users(ONE.agent, "", 10),
            "forget": lambda at: at.memory.forget(ONE),
        }
        weights = [1 if verb == "forget" else 6 for verb in verbs]
        (verb,) = self._random.choices(list(verbs), weights)
        if (verb == "resume" and not self._found) or (verb == "adopt" and not self._orphans):
            return
        first, second = [await _outcome(verbs[verb](store)) for store in self._both]
        assert first == second, verb
        self._remember(first)
        self.seen.add(f"{verb} {type(first).__name__}")

    def _remember(self, outcome: object) -> None:
        match outcome:
            case Suspended():
                self._found.append(outcome)
                self._refs.append(outcome.ref)
            case TurnRef():
                self._refs.append(outcome)
            case OpenTurn():
                self._refs.append(outcome.ref)
            case list():
                self._orphans += outcome
        del self._refs[len(RUNS) : -4], self._found[:-3], self._orphans[:-3]


def pick_of(held: list[T], told: int) -> T:
    """One of them, the same for the same number."""
    return held[told % len(held)]


async def _done(write: Awaitable[str]) -> str:
    """Entries have ids of their own in each store."""
    await write
    return "done"


async def _without_entry(read: Awaitable[RunRecord | None]) -> RunRecord | None:
    found = await read
    if found is None:
        return None
    nameless = tuple(replace(message, id="") for message in found.messages)
    return replace(found, messages=nameless, ended_at=None if found.ended_at is None else 0.0)


async def _sorted(read: Awaitable[tuple[OpenTurn, ...]]) -> list[OpenTurn]:
    return sorted(await read, key=lambda turn: turn.ref.session_id)


async def _outcome(verb: Awaitable[Outcome]) -> Outcome:
    try:
        return await verb
    except Fenced as fault:
        return str(fault)


@pytest.mark.parametrize("seed", range(4))
async def test_both_stores_answer_alike(seed: int) -> None:
    """Whatever is asked, in whatever order, by whom ever: taken up, fenced, adopted, forgotten."""
    seen: set[str] = set()
    for walk_seed in range(seed * 10, seed * 10 + 10):
        async with fresh_store() as connection:
            recorder = Recorder(SystemClock())
            server = Stores(RedisConversations(connection), RedisMemory(connection), RedisRuns(connection))
            walk = Walk(walk_seed, (server, Stores(recorder, recorder, recorder)))
            for _ in range(120):
                await walk.step()
            seen |= walk.seen
    assert {"resume TurnRef", "resume NoneType", "suspend str", "adopt OpenTurn", "read RunRecord"} <= seen
