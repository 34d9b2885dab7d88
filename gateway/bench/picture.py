"""The picture of `--plot`: how the first tokens' latencies are distributed, gateway beside direct client."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from gateway.bench.report import Report

_NAMES = {
    "gateway": "gateway",
    "history": "gateway, behind {history} messages",
    "direct": "direct client",
    "direct history": "direct client, with {history} messages",
}
_COLOURS = {"gateway": "#1f5fbf", "history": "#7a3fa8", "direct": "#c2571a", "direct history": "#a88a3f"}


def missing() -> str | None:
    """What to install before a picture can be drawn, or None."""
    if find_spec("matplotlib"):
        return None
    return "--plot needs matplotlib: pip install matplotlib, or leave --plot out"


def draw(groups: Mapping[str, Sequence[float]], made: Report, file: Path) -> None:
    """Write a PNG. `groups` are sorted milliseconds by group, drawn as empirical distributions over a log axis."""
    from matplotlib.figure import Figure  # the figure alone: no window, no global state
    from matplotlib.ticker import LogLocator, NullLocator

    plan = made.plan
    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    axes = figure.subplots()
    for name, values in groups.items():
        if values:
            shares = [100 * (place + 1) / len(values) for place in range(len(values))]
            label = _NAMES[name].format(history=plan.history)
            p50, p99 = (values[max(0, -(-len(values) * share // 100) - 1)] for share in (50, 99))
            label = f"{label}: p50 {p50:.2f} ms, p99 {p99:.2f} ms"
            axes.step(values, shares, where="post", label=label, color=_COLOURS[name], linewidth=1.8)
    for share in (50, 99):
        axes.axhline(share, color="#999999", linewidth=0.7, linestyle=":")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel(_axis(made))
    axes.set_ylabel("turns, %")
    axes.set_yticks([0, 25, 50, 75, 99])
    axes.set_ylim(0, 101)
    axes.grid(axis="x", color="#dddddd", linewidth=0.5)
    figure.legend(loc="outside upper left", frameon=False)
    part = "" if made.complete else " (partial: the run broke off)"
    axes.set_title(f"{plan.sessions} sessions, a turn every {plan.interval_s:g} s{part}", loc="left")
    machine = made.machine
    figure.supxlabel(f"{machine['cpu']}, {machine['cores']} cores, {machine['kernel']}", fontsize=7, color="#666666")
    figure.savefig(file, format="png")


def _axis(made: Report) -> str:
    if made.gateway.added_first_token_ms is not None:
        return "first token, milliseconds beyond the provider's own time (log)"
    return "first reply, milliseconds after the turn was due (log)"
