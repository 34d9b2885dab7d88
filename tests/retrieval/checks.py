"""Two checks that no question set is needed for: every message is found by its own words, and none is ever missing."""

from collections.abc import Sequence

import msgspec
import numpy as np

from tests.retrieval.data import Line, Talk
from tests.retrieval.system import System

_SAMPLE = 200
_SEED = 3
_SLICE = 6
_LEAST_WORDS = 8
_TOP = 10
_HOUR_S = 3600.0


class Probe(msgspec.Struct, frozen=True):
    """Shares of messages found in the top ten: by all their words, by six of them, within a time window around them.

    `leaks` counts messages from outside such a window, `fresh` those of five new messages found at once.
    """

    whole: float
    part: float
    windowed: float
    leaks: int
    fresh: int

    @property
    def passed(self) -> bool:
        return self.whole == self.windowed == 1.0 and self.part >= 0.98 and not self.leaks and self.fresh == 5


class Conservation(msgspec.Struct, frozen=True):
    """The most messages that were missing at any time; how many are in the archive, and are found by their words."""

    fed: int
    lost: int
    archived: int
    found: int

    @property
    def passed(self) -> bool:
        return self.lost == 0 and self.found == self.archived


def probe(talks: Sequence[Talk], system: System) -> Probe:
    """Look for a sample of the longest conversation's messages by their own words."""
    random = np.random.default_rng(_SEED)
    talk = max(talks, key=lambda each: len(each.lines))
    when = {line.id: line.at for line in talk.lines}
    lines = [line for line in talk.lines if len(line.text.split()) >= _LEAST_WORDS]
    chosen = sorted(random.choice(len(lines), min(_SAMPLE, len(lines)), replace=False))
    system.reset()
    system.add([line.message for line in talk.lines])
    whole = part = windowed = leaks = 0
    for line in (lines[index] for index in chosen):
        whole += line.id in _found(system, line.text)
        spoken = line.text.split()
        begin = int(random.integers(0, max(1, len(spoken) - _SLICE)))
        part += line.id in _found(system, " ".join(spoken[begin : begin + _SLICE]))
        inside = _found(system, line.text, line.at - _HOUR_S, line.at + _HOUR_S)
        windowed += line.id in inside
        leaks += any(abs(when[turn] - line.at) > _HOUR_S for turn in inside)
    fresh = sum(_found_at_once(system, lines[-1], place) for place in range(5))
    return Probe(whole / len(chosen), part / len(chosen), windowed / len(chosen), leaks, fresh)


def conserve(talk: Talk, system: System) -> Conservation:
    """Feed a conversation message by message; after each, everything fed so far must be held somewhere."""
    system.reset()
    lost = 0
    for fed, line in enumerate(talk.lines, start=1):
        system.add([line.message])
        held = {turn for turns in system.state().values() for turn in turns}
        lost = max(lost, len({each.id for each in talk.lines[:fed]} - held))
    archived = set(system.state()["archive"])
    found = sum(line.id in _found(system, line.message["text"]) for line in talk.lines if line.id in archived)
    return Conservation(len(talk.lines), lost, len(archived), found)


def _found(system: System, query: str, start: float | None = None, end: float | None = None) -> list[str]:
    return [result["id"] for result in system.search(query, _TOP, start=start, end=end)]


def _found_at_once(system: System, last: Line, place: int) -> bool:
    code = f"zq{place}x7k"
    text = f"the locker code is {code}"
    system.add([Line(f"fresh{place}", last.session, last.at + place, "user", text).message])
    return f"fresh{place}" in _found(system, f"what is the locker code {code}")
