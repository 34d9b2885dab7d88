"""A measured figure beside what it has to be, and the table of them with the machine they were measured on."""

import os
import platform
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np


class Figure(msgspec.Struct, frozen=True):
    """`value` has to be under `limit`, or over it; both in `unit`."""

    name: str
    value: float
    unit: str
    limit: float
    over: bool = False

    @property
    def holds(self) -> bool:
        """Whether it is what it has to be."""
        return self.value > self.limit if self.over else self.value < self.limit


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of them do not exceed."""
    return float(np.percentile(values, percent))


def table(figures: Iterable[Figure]) -> str:
    """One line for each figure."""
    lines = [f"{'':<58}{'measured':>10}  {'wanted':>8}"]
    for figure in figures:
        wanted = f"{'>' if figure.over else '<'} {figure.limit:g}"
        verdict = "" if figure.holds else "  MISSED"
        lines.append(f"{figure.name:<58}{figure.value:>10.3g}  {wanted:>8} {figure.unit}{verdict}")
    return "\n".join(lines)


def machine(engine: str) -> str:
    """Where the figures come from; `engine` is the store's server."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {engine}"
