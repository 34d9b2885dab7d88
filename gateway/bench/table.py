"""The report as a person reads it in a terminal."""

from collections.abc import Iterator
from typing import assert_never

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.bench.figures import Spread
from gateway.bench.outcomes import BargeIns, Guessed, Outcome, Speculation, Stalls
from gateway.bench.report import Report
from gateway.bench.scenarios import SCENARIOS

Row = tuple[str, Spread | None]


def show(made: Report, console: Console) -> None:
    """Print it."""
    _print(console, _title(made), _rows(made), _lines(made))


def show_outcome(made: Outcome, console: Console) -> None:
    """Print what came of a scenario."""
    _print(console, f"{made.scenario}: {SCENARIOS[made.scenario].tells}", _outcome_rows(made), _outcome_lines(made))


def _outcome_rows(made: Outcome) -> Iterator[Row]:
    match made:
        case Stalls():
            yield "first speech", made.first_speech_ms
        case Speculation():
            yield "first speech after the final words, guessed right", made.right.first_speech_ms
            yield "  guessed wrong", made.wrong.first_speech_ms
        case BargeIns():
            yield "barge-in to turn.spoken", made.barge_in.ms
        case _:
            assert_never(made)


def _outcome_lines(made: Outcome) -> Iterator[tuple[str, str]]:
    turns = made.turns
    yield "promised", made.promised
    yield from _figures(made)
    yield "turns", f"{turns.ended} of {turns.planned} ended; lost {turns.lost}, failed {turns.failed}"
    if made.lateness_ms is not None:
        yield "load generator", f"late by {made.lateness_ms.p50:.2f} ms p50, {made.lateness_ms.p99:.2f} ms p99"
    yield "machine", ", ".join(f"{name} {value}" for name, value in made.machine.items())


def _figures(made: Outcome) -> Iterator[tuple[str, str]]:
    match made:
        case Stalls():
            beside = f"{made.hedges} of them sent beside a late one"
            share = f"{made.extra_percent:g} % of {made.turns.planned} turns"
            yield "extra requests", f"{made.extra_requests}, {share}; {beside}"
        case Speculation():
            yield "guessed right", _guess(made.right)
            yield "guessed wrong", _guess(made.wrong)
        case BargeIns():
            seen = made.barge_in
            after = f"at most {seen.speech_after} pieces of speech after an interrupt"
            missed = f"{seen.missed} replies were over before"
            yield "barge-in", f"{after}, in {seen.turns_with_speech_after} turns; {missed}"
            yield "heard", f"exact in {made.heard_exact} of {made.interrupted} turns"
        case _:
            assert_never(made)


def _guess(made: Guessed) -> str:
    cost = f"{made.requests_per_turn:g} requests a turn ({made.requests}, {made.hedges} beside a late one)"
    return f"answered ahead in {made.adopted} of {made.turns} turns; {cost}"


def _print(console: Console, title: str, rows: Iterator[Row], lines: Iterator[tuple[str, str]]) -> None:
    console.print(Text(title, style="bold"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("milliseconds")
    for name in ("p50", "p95", "p99", "of"):
        table.add_column(name, justify="right")
    for name, spread in rows:
        if spread is not None:
            three = (f"{value:.2f}" for value in (spread.p50, spread.p95, spread.p99))
            table.add_row(name, *three, str(spread.n) if spread.n else "")
    console.print(table)
    for name, told in lines:
        console.print(Text.assemble((f"{name:<20}", "dim"), told), soft_wrap=True)


def _title(made: Report) -> str:
    plan = made.plan
    what = "" if made.complete else "PARTIAL, it broke off: "
    pace = ""
    if plan.pace is not None:
        pace = f", {plan.pace.tokens} tokens at {plan.pace.token_ms:g} ms after {plan.pace.first_token_ms:g} ms"
    return f"{what}{plan.sessions} sessions, a turn every {plan.interval_s:g} s{pace}"


def _rows(made: Report) -> Iterator[Row]:
    yield "first speech", made.gateway.first_speech_ms
    yield "first reply", made.gateway.first_reply_ms
    yield "whole turn", made.gateway.total_ms
    yield "first token, added by the gateway", made.gateway.added_first_token_ms
    if made.with_history is not None:
        yield f"  the same, behind {made.plan.history} messages", made.with_history.first_token_ms
    if made.direct is not None:
        yield "  direct client", made.direct.added_first_token_ms
    if made.over_direct is not None:
        yield "  gateway over direct", made.over_direct.first_token_ms
    yield "each token, added by the gateway", made.gateway.added_token_ms
    if made.direct is not None:
        yield "  direct client", made.direct.added_token_ms
    if made.over_direct is not None:
        yield "  gateway over direct", made.over_direct.token_ms
    if made.barge_in is not None:
        yield "barge-in to turn.spoken", made.barge_in.ms
    yield "turn commit (spoken to ended)", made.commit.ms
    yield "  of that, waiting for the store", made.commit.store_ms


def _lines(made: Report) -> Iterator[tuple[str, str]]:
    turns, plan = made.turns, made.plan
    if made.history_cost_ms is not None:
        first = "the first token" if made.gateway.added_first_token_ms else "the first reply"
        cost = f"{plan.history} messages cost {made.history_cost_ms:.2f} ms until {first} (p50 against p50)"
        beyond = made.history_cost_over_direct_ms
        yield "history", cost if beyond is None else f"{cost}, {beyond:.2f} ms beyond what they cost a direct client"
    errors = ", ".join(f"{name} ({count})" for name, count in turns.errors.items()) or "none"
    yield "turns", f"{turns.ended} of {turns.planned} ended; lost {turns.lost}, failed {turns.failed}, errors: {errors}"
    yield "warm-up", f"{plan.warm_up * plan.sessions} turns before these are in no figure"
    if made.barge_in is not None:
        apart = f"{plan.barge_in_turns * plan.sessions} of the turns, in a phase of its own"
        after = f"at most {made.barge_in.speech_after} pieces of speech after an interrupt"
        yield "barge-in", f"{apart}; {after}, in {made.barge_in.turns_with_speech_after} turns"
    if turns.overdue:
        waited = f"{turns.overdue} turns waited for the one before them"
        yield "overdue", f"{waited}; that counts as the gateway's time, so let --interval be longer than a turn"
    yield from _costs(made)
    if made.lateness_ms is not None:
        yield "load generator", f"late by {made.lateness_ms.p50:.2f} ms p50, {made.lateness_ms.p99:.2f} ms p99"
    if made.placement is not None:
        yield "placement", made.placement
    yield "machine", ", ".join(f"{name} {value}" for name, value in made.machine.items())


def _costs(made: Report) -> Iterator[tuple[str, str]]:
    if made.cpu is not None and made.cpu.ms_per_turn:
        yield "CPU per turn", ", ".join(f"{name} {ms:.2f} ms" for name, ms in made.cpu.ms_per_turn.items())
    elif made.plan.pace is not None:
        yield "CPU per turn", "this system does not tell (no /proc)"
    if made.cpu is not None:
        yield "CPU of a core", _percent(made.cpu.core_percent)
        yield "waited for one", f"{_percent(made.cpu.waited_percent)} of the time"
    if made.stolen_percent:
        yield "stolen by the host", ", ".join(f"{core} {share:g} %" for core, share in made.stolen_percent.items())
    if made.memory is not None:
        held = f"gateway {made.memory.gateway_kib / 1024:.0f} MiB before"
        yield "idle session", f"{made.memory.kib_per_session:.1f} KiB (of {made.memory.idle_sessions}; {held})"
    elif made.plan.pace is not None:
        yield "idle session", "this system does not tell (no /proc)"


def _percent(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.0f} %" for name, share in shares.items())
