"""A system's scores: means over questions of what share of their evidence it returned, and how early."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from tests.retrieval.data import CATEGORIES, Talk
from tests.retrieval.system import System
from voice_agent.clock import SystemClock

RESULTS = 20
WORDS = 250


class Score(msgspec.Struct, frozen=True):
    """One question's, or the mean of many. `w250`: recall within the first 250 words that were returned."""

    r5: float
    r10: float
    mrr: float
    w250: float


class Report(msgspec.Struct, frozen=True):
    """Mean scores by category name and `all`, with the number of questions; search times in milliseconds."""

    rows: dict[str, tuple[int, Score]]
    times_ms: tuple[float, ...]


def score(returned: Sequence[str], evidence: Iterable[str], lengths: Mapping[str, int]) -> Score:
    """The score of one search; `lengths` are the turns' words."""
    wanted = frozenset(evidence)
    ranks = [rank for rank, turn in enumerate(returned, start=1) if turn in wanted]
    return Score(
        r5=_share(returned[:5], wanted),
        r10=_share(returned[:10], wanted),
        mrr=1 / ranks[0] if ranks else 0.0,
        w250=_share(_fitting(returned, lengths), wanted),
    )


def evaluate(talks: Iterable[Talk], system: System) -> Report:
    """Ask every question of every conversation."""
    clock = SystemClock()
    scores: dict[str, list[Score]] = {name: [] for name in ("all", *CATEGORIES.values())}
    times: list[float] = []
    for talk in talks:
        system.reset()
        system.add([line.message for line in talk.lines])
        lengths = {line.id: len(line.text.split()) for line in talk.lines}
        for question in talk.questions:
            began = clock.now()
            results = system.search(question.text, RESULTS)
            times.append((clock.now() - began) * 1000)
            each = score([result["id"] for result in results], question.evidence, lengths)
            scores["all"].append(each)
            scores[CATEGORIES[question.category]].append(each)
    rows = {name: (len(given), _mean(given)) for name, given in scores.items() if given}
    return Report(rows, tuple(times))


def table(report: Report) -> str:
    """The report as lines of text."""
    lines = [f"{'':<12}{'n':>6}{'R@5':>8}{'R@10':>8}{'MRR':>8}{'W250':>8}"]
    for name, (count, mean) in report.rows.items():
        values = "".join(f"{value:8.3f}" for value in msgspec.structs.astuple(mean))
        lines.append(f"{name:<12}{count:>6}{values}")
    p50, p99 = np.percentile(report.times_ms, (50, 99))
    return "\n".join([*lines, f"search: p50 {p50:.2f} ms, p99 {p99:.2f} ms"])


def _share(returned: Iterable[str], wanted: frozenset[str]) -> float:
    return len(wanted.intersection(returned)) / len(wanted)


def _fitting(returned: Sequence[str], lengths: Mapping[str, int]) -> list[str]:
    """The first results, as many as fit whole into the allowed words."""
    fitting, spent = [], 0
    for turn in returned:
        spent += lengths[turn]
        if spent > WORDS:
            break
        fitting.append(turn)
    return fitting


def _mean(scores: Sequence[Score]) -> Score:
    columns = zip(*map(msgspec.structs.astuple, scores), strict=True)
    return Score(*(float(np.mean(column)) for column in columns))
