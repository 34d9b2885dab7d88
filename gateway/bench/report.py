"""The report of a run, as `--json` writes it, made of what was noted until its end or until something broke."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.bench import figures
from gateway.bench.board import Board
from gateway.bench.figures import BargeIn, Commit, Cpu, Memory, Seen, Spread, Turns
from gateway.bench.plan import Plan


class OverDirect(msgspec.Struct, frozen=True):
    """What the gateway's percentiles have beyond the direct client's."""

    first_token_ms: Spread | None
    token_ms: Spread | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All figures. `complete`: the run came to its end; `exit_code` 0 is a valid run, and `said` what is to say of any
    other. `stolen_percent`: of each core's time, what the host of a virtual machine took while turns were measured,
    empty where the system does not tell. `with_history`: those sessions that had one; `gateway`: the others.
    `history_cost_ms`: how much later the first token of the former is, p50 against p50; `…_over_direct_ms`: how much of
    that is beyond what a history of that length costs a direct client."""

    complete: bool
    exit_code: int
    said: str | None
    plan: Plan
    machine: dict[str, str]
    placement: str | None
    turns: Turns
    gateway: Seen
    with_history: Seen | None
    history_cost_ms: float | None
    history_cost_over_direct_ms: float | None
    direct: Seen | None
    over_direct: OverDirect | None
    commit: Commit
    barge_in: BargeIn | None
    cpu: Cpu | None
    stolen_percent: dict[str, float]
    memory: Memory | None
    lateness_ms: Spread | None


class Notes(msgspec.Struct):
    """What a run has brought so far. `measured` by group: `gateway`, `history`, `direct`, `direct history`.
    `stopped`: the number of the signal that ended it, or 0."""

    machine: dict[str, str] = {}
    placement: str | None = None
    memory: Memory | None = None
    measured: dict[str, Board] = {}
    interrupted: dict[str, Board] = {}
    cpu: Cpu | None = None
    stolen_percent: dict[str, float] = {}
    stopped: int = 0
    fault: str | None = None


def report(plan: Plan, notes: Notes) -> Report:
    """The figures of the notes."""
    saw = {name: figures.seen(board) for name, board in notes.measured.items()}
    sessions = [board for name, board in notes.measured.items() if not name.startswith("direct")]
    counts = figures.turns([*sessions, *notes.interrupted.values()])
    late = figures.lateness([*notes.measured.values(), *notes.interrupted.values()])
    code, said = figures.verdict(notes.fault, counts, late)
    if notes.stopped:
        code = 128 + notes.stopped
    return Report(
        complete=notes.fault is None,
        exit_code=code,
        said=said,
        plan=plan,
        machine=notes.machine,
        placement=notes.placement,
        turns=counts,
        gateway=saw["gateway"],
        with_history=saw.get("history"),
        history_cost_ms=(cost := _history_cost(saw.get("history"), saw["gateway"])),
        history_cost_over_direct_ms=_less(cost, _history_cost(saw.get("direct history"), saw.get("direct"))),
        direct=saw.get("direct"),
        over_direct=_over(saw),
        commit=figures.commit(sessions),
        barge_in=figures.barge_in(list(notes.interrupted.values())) if notes.interrupted else None,
        cpu=notes.cpu,
        stolen_percent=notes.stolen_percent,
        memory=notes.memory,
        lateness_ms=late,
    )


def _over(saw: Mapping[str, Seen]) -> OverDirect | None:
    if "direct" not in saw:
        return None
    mine, direct = saw["gateway"], saw["direct"]
    return OverDirect(
        figures.beyond(mine.added_first_token_ms, direct.added_first_token_ms),
        figures.beyond(mine.added_token_ms, direct.added_token_ms),
    )


def _history_cost(deep: Seen | None, plain: Seen | None) -> float | None:
    if deep is None or plain is None:
        return None
    more = figures.beyond(deep.first_token_ms, plain.first_token_ms)
    return None if more is None else more.p50


def _less(cost: float | None, other: float | None) -> float | None:
    return None if cost is None or other is None else round(cost - other, 3)


def document(made: msgspec.Struct) -> bytes:
    """The report as JSON, indented."""
    return msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n"


def first_tokens(notes: Notes) -> dict[str, list[float]]:
    """For each group, the sorted milliseconds that were added to the first token; where the provider does not tell,
    those until the first reply."""
    found: dict[str, Any] = {}
    for name, board in notes.measured.items():
        added = [take.added for take in board.takes if take.added is not None]
        plain = [take.first_reply - take.due for take in board.takes if take.first_reply is not None]
        found[name] = sorted(value * 1000 for value in added or plain)
    return found
