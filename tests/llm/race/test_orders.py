"""Races in which anything comes in any order, alone and many over the same models: what holds for all of them."""

import heapq
import math
from collections.abc import Callable
from itertools import cycle, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.llm.race.chains import BUSY, LIVE, LONG, PATIENT, RUN, WRONG, failing, known
from voice_agent.events import ModelFailed
from voice_agent.llm.race.form import FIRST_CREDIT, OPEN_S, Form
from voice_agent.llm.race.race import MOST_HEDGES, MOST_RETRIES, Action, Ask, Drop, GiveUp, Policy, Race, Win

FAILED = {"busy": BUSY, "wrong": WRONG, "long": LONG} | {
    f"after {seconds}": ModelFailed("later", retryable=True, retry_after_s=seconds)
    for seconds in (-1.0, 0.0, 0.2, 1.0, 1e9, math.inf, math.nan)
}
moves = st.lists(
    st.tuples(st.sampled_from(["useful", "wait", "time", *FAILED]), st.integers(0, 6), st.floats(0.0, 3.0)), max_size=40
)


class Watcher:
    """Plays a race, and sees to it that it keeps to what it has promised. `punctual`: what is due is done then."""

    def __init__(self, race: Race, *, now: float = 0.0, punctual: bool = True) -> None:
        self.race = race
        self.now = now
        self.punctual = punctual
        self.live: set[int] = set()
        self.asked = self.hedged = self.ends = 0

    def perform(self, actions: list[Action]) -> list[Action]:
        for action in actions:
            assert not self.ends
            match action:
                case Ask(attempt=attempt, kind=kind):
                    self.asked += 1
                    self.hedged += kind == "hedge"
                    self.live.add(attempt)
                case Drop(attempt=attempt):
                    self.live.remove(attempt)
                case Win(attempt=attempt):
                    assert self.live == {attempt}
                    self.ends += 1
                case GiveUp():
                    assert not self.live
                    self.ends += 1
        assert self.race.over == bool(self.ends)
        assert self.race.over or self.live or self.race.due is not None
        return actions

    def move(self, what: str, attempt: int, seconds: float) -> None:
        match what:
            case "wait":
                self.now = min(self.now + seconds, (self.punctual and self.race.due) or 1000.0)
            case "time":
                self.now = max(self.now, self.race.due or 0.0)
                self.perform(self.race.on_time(self.now))
                assert self.race.due is None or self.race.due > self.now
            case "useful":
                self.perform(self.race.useful(attempt, self.now))
            case _:
                self.live.discard(attempt)
                self.perform(self.race.failed(attempt, FAILED[what], self.now))

    def finish(self) -> None:
        """Let time pass, and fail what is under way where that changes nothing."""
        while not self.ends:
            if self.race.due is not None:
                self.move("time", 0, 0.0)
            else:
                self.move("wrong", min(self.live), 0.0)


@settings(max_examples=300, deadline=None)
@given(moves, st.lists(st.booleans(), min_size=1, max_size=3), st.sampled_from([LIVE, PATIENT, RUN]), st.booleans())
def test_every_race_ends_once_and_asks_in_bounds(
    script: list[tuple[str, int, float]], sound: list[bool], policy: Policy, punctual: bool
) -> None:
    """Whatever comes in whichever order: one end, nothing after it, nobody asked too often, no attempt left behind."""
    watcher = Watcher(Race([known() if good else failing() for good in sound], policy), punctual=punctual)
    watcher.perform(watcher.race.begin(0.0))
    for move in script:
        if not watcher.ends:
            watcher.move(*move)
    watcher.finish()
    if policy.deadline_s is not None and punctual:
        assert watcher.now <= len(sound) * policy.deadline_s + 1e-6
    assert watcher.asked <= len(sound) * (1 + MOST_RETRIES) + MOST_HEDGES
    assert watcher.hedged <= MOST_HEDGES


class Crowd:
    """Many races over the same chain. What comes of its first model's requests is `outcomes`, in turn.

    The other model always speaks in time and to the end.
    """

    def __init__(self, outcomes: list[tuple[str, float]], policy: Policy) -> None:
        self.outcomes = cycle(outcomes)
        self.policy = policy
        self.left_out = False
        self.trials: list[float] = []
        self.first, self.second = Form(self._on_circuit), known(0.2)
        self.watchers: list[Watcher] = []
        self.gone: list[Watcher] = []
        self._moments: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = 0

    def play(self, gaps: list[float]) -> None:
        """Begin a race after each gap, and play all of them to their ends."""
        now = 0.0
        for gap in gaps:
            now += gap
            self._at(now, self._begin)
        while self._moments:
            now, _, act = heapq.heappop(self._moments)
            act(now)

    def _on_circuit(self, opens: bool) -> None:
        self.left_out = opens
        self.trials.clear()

    def _at(self, moment: float, act: Callable[[float], None]) -> None:
        self._count += 1
        heapq.heappush(self._moments, (moment, self._count, act))

    def _begin(self, now: float) -> None:
        watcher = Watcher(Race([self.first, self.second], self.policy), now=now)
        self.watchers.append(watcher)
        self._perform(watcher, lambda race: race.begin(now), now)

    def _perform(self, watcher: Watcher, decide: Callable[[Race], list[Action]], now: float) -> None:
        if watcher in self.gone:
            return
        for action in watcher.perform(decide(watcher.race)):
            if isinstance(action, Ask):
                self._ask(watcher, action, now)
        if watcher.race.due is not None:
            self._at(watcher.race.due, lambda then: self._perform(watcher, lambda race: race.on_time(then), then))

    def _ask(self, watcher: Watcher, ask: Ask, now: float) -> None:
        what, seconds = ("useful", 0.2) if ask.model else next(self.outcomes)
        form = self.second if ask.model else self.first
        if form is self.first and self.left_out:
            self.trials.append(now)
            assert all(later - earlier >= OPEN_S - 1e-6 for earlier, later in pairwise(self.trials))

        def come(then: float) -> None:
            if what == "cut in":
                self.gone.append(watcher)
            elif what in FAILED:
                if ask.attempt in watcher.live:
                    watcher.live.remove(ask.attempt)
                    self._perform(watcher, lambda race: race.failed(ask.attempt, FAILED[what], then), then)
            elif ask.attempt in watcher.live and not watcher.ends:
                self._perform(watcher, lambda race: race.useful(ask.attempt, then), then)
                form.failed(then) if what == "cut" else form.finished()

        if what != "hang":
            self._at(now + seconds, come)


outcomes = st.tuples(
    st.sampled_from(["useful", "useful", "cut", "cut in", "hang", "busy", "wrong", "after 1.0"]), st.floats(0.0, 6.0)
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(outcomes, min_size=1, max_size=12),
    st.lists(st.floats(0.0, 4.0), min_size=1, max_size=80),
    st.sampled_from([0.0, 0.08, 0.5, 1.0]),
)
def test_a_crowd_is_served_by_the_model_that_is_sound(
    script: list[tuple[str, float]], gaps: list[float], share: float
) -> None:
    """The failing one is tried by one reply in ten seconds, the sound one never left out, and no share overspent."""
    crowd = Crowd(script, Policy(deadline_s=4.0, hedge_share=share))
    crowd.play(gaps)
    assert all(watcher.ends == 1 for watcher in crowd.watchers if watcher not in crowd.gone)
    assert crowd.second.admits(0.0)
    assert sum(watcher.hedged for watcher in crowd.watchers) <= 2 * FIRST_CREDIT + share * len(gaps)
