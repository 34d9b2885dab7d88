"""What a run will do, what is wrong with it, and when its turns are due."""

from typing import Any

import msgspec
import pytest

from gateway.bench.plan import BARGE_INS, SHARES, Pace, Plan, due, faults

OWN = Plan(
    url=None, agent="demo", protocol="native", sessions=50, turns=10, interval_s=2.0, warm_up=2, history=0,
    say="!stamps 40", pace=Pace(100, 10, 40),
)  # fmt: skip
FOREIGN = msgspec.structs.replace(OWN, url="ws://gateway", pace=None)


def test_turns_are_due_one_interval_apart_and_the_callers_evenly_between() -> None:
    """Two callers, two turns each, every 2 s."""
    assert list(due(2, 2, 2.0)) == [(0.0, 0), (1.0, 1), (2.0, 0), (3.0, 1)]
    assert list(due(3, 0, 2.0)) == []


@pytest.mark.parametrize("sessions", [2, 4, 10, 40, 50])
def test_sessions_with_and_without_a_history_are_never_due_at_once(sessions: int) -> None:
    """Nor are the direct clients due when one of them is; the two kinds stand half of a pair's time apart."""
    direct = min(sessions, 20)
    sizes = {"history": sessions // 2, "gateway": sessions // 2, "direct": direct, "direct history": direct}
    moments = {name: [round(at, 9) for at, _ in due(size, 3, 2.0, SHARES[name])] for name, size in sizes.items()}
    every = [at for group in moments.values() for at in group]
    assert len({*every}) == len(every)
    apart = {round(plain - deep, 9) for plain, deep in zip(moments["gateway"], moments["history"], strict=True)}
    assert apart == {round(2.0 / sessions, 9)}


def test_a_good_plan_has_no_faults() -> None:
    """Its own or another's gateway."""
    assert faults(OWN) == faults(FOREIGN) == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"sessions": 0}, "--sessions has to be at least 1 (given: 0)"),
        ({"sessions": 1, "history": 2}, "--sessions has to be at least 2 (given: 1)"),
        ({"turns": -3}, "--turns has to be at least 1 (given: -3)"),
        ({"warm_up": 0}, "--warm-up has to be at least 1 (given: 0)"),
        ({"history": -1}, "--history has to be at least 0 (given: -1)"),
        ({"history": 801}, "--history has to be at most 800 (given: 801)"),
        ({"interval_s": 0.0}, "--interval has to be more than 0 seconds (given: 0)"),
        ({"interval_s": -1.5}, "--interval has to be more than 0 seconds (given: -1.5)"),
        ({"say": " "}, "--say has to hold words"),
        ({"pace": Pace(-1, 0, 1)}, "--first-token-ms has to be at least 0 (given: -1)"),
        ({"pace": Pace(0, -0.5, 1)}, "--token-ms has to be at least 0 (given: -0.5)"),
        ({"pace": Pace(0, 0, 0)}, "--tokens has to be at least 1 (given: 0)"),
    ],
)
def test_a_fault_names_its_option(changed: dict[str, Any], told: str) -> None:
    """And what was given."""
    assert faults(msgspec.structs.replace(OWN, **changed)) == [told]


def test_all_faults_are_told_at_once() -> None:
    """Not one after another."""
    assert len(faults(msgspec.structs.replace(OWN, sessions=0, turns=0))) == 2


def test_another_gateway_needs_no_warm_up() -> None:
    """The direct client's request comes out of it, and there is none."""
    assert faults(msgspec.structs.replace(FOREIGN, warm_up=0)) == []
    assert (FOREIGN.direct, FOREIGN.idle) == (0, 0)


@pytest.mark.parametrize("sessions", [1, 7, 50, 200, 500])
def test_barge_ins_are_enough_for_a_percentile_or_as_many_as_there_are_turns(sessions: int) -> None:
    """Every second turn of the phase is one."""
    plan = msgspec.structs.replace(OWN, sessions=sessions)
    assert 2 <= plan.barge_in_turns <= plan.turns
    assert plan.barge_in_turns * sessions // 2 >= min(BARGE_INS, plan.turns * sessions // 2)


def test_a_protocol_without_interrupts_has_none() -> None:
    """Chat Completions knows no barge-in."""
    assert msgspec.structs.replace(FOREIGN, protocol="chat").barge_in_turns == 0


def test_descriptors_are_those_of_the_process_that_needs_most() -> None:
    """Our gateway has two sockets for each session; of another's we have only our own."""
    more = msgspec.structs.replace
    assert more(OWN, sessions=500).descriptors - OWN.descriptors == 2 * 450
    assert more(FOREIGN, sessions=500).descriptors - FOREIGN.descriptors == 450
