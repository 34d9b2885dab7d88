"""What the race decides, rule by rule and for every order of events, with time as an argument."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice_agent.events import ModelFailed
from voice_agent.llm.race.form import FAILURES, FIRST_CREDIT, Form
from voice_agent.llm.race.race import MOST_HEDGES, MOST_RETRIES, Action, Ask, Drop, GiveUp, Policy, Race, Win

LIVE = Policy(deadline_s=4.0, hedge_share=0.5)
PATIENT = Policy(deadline_s=4.0)
RUN = Policy()
BUSY = ModelFailed("busy", retryable=True)
WRONG = ModelFailed("wrong")
FAILED = {"busy": BUSY, "wrong": WRONG, "later": ModelFailed("later", retryable=True, retry_after_s=1.0)}


def known(seconds: float = 0.3) -> Form:
    """A model that is known to be this quick."""
    form = Form()
    for _ in range(20):
        form.spoke_after(seconds)
    return form


def asks(actions: list[Action]) -> list[tuple[int, str]]:
    """Whom to ask, and as what."""
    return [(action.model, action.kind) for action in actions if isinstance(action, Ask)]


def test_the_first_useful_token_wins_and_the_other_is_dropped() -> None:
    """The late one had been joined by a second request after one and a half times its usual time."""
    race = Race([known()], LIVE)
    assert race.begin(0.0) == [Ask(0, 0, "first")]
    assert race.due == pytest.approx(0.45)
    assert race.on_time(0.45) == [Ask(1, 0, "hedge")]
    assert race.useful(1, 0.75) == [Drop(0), Win(1, 0, "hedge", 0.45)]
    assert race.due is None
    assert race.useful(0, 10.8) == race.failed(0, BUSY, 10.8) == race.on_time(99.0) == []


def test_a_second_request_goes_to_the_fallback() -> None:
    """Which has a deadline of its own, from then on; the first keeps its own, too."""
    first = known()
    race = Race([first, known(), known()], LIVE)
    race.begin(0.0)
    assert asks(race.on_time(0.45)) == [(1, "hedge")]
    assert asks(race.on_time(0.9)) == [(2, "hedge")]
    assert asks(race.on_time(1.35)) == [(2, "hedge")]
    assert race.on_time(4.0) == [Drop(0)]
    assert race.on_time(4.45) == [Drop(1)]
    assert isinstance(race.on_time(4.9)[-1], GiveUp)


def test_unlucky_requests_are_joined_by_more_up_to_a_bound() -> None:
    """As long as there is something left to spend."""
    form = known()
    for _ in range(10):
        form.earn(1.0)
    race = Race([form], LIVE)
    race.begin(0.0)
    assert [asks(race.on_time(race.due or 0.0)) for _ in range(MOST_HEDGES)] == [[(0, "hedge")]] * MOST_HEDGES
    assert race.due == 4.0


def test_what_is_not_earned_is_not_spent() -> None:
    """The share is of the requests that were made."""
    form = known()
    hedged = 0
    for number in range(200):
        race = Race([form], Policy(4.0, 0.08))
        race.begin(float(number))
        hedged += len(asks(race.on_time(number + 0.45)))
    assert 15 <= hedged - FIRST_CREDIT <= 16


def test_what_was_too_dear_is_asked_for_again() -> None:
    """Other requests earn what is missing."""
    form = known()
    assert all(form.spend() for _ in range(int(FIRST_CREDIT)))
    race = Race([form], Policy(4.0, 0.08))
    race.begin(0.0)
    assert race.on_time(0.45) == []
    form.earn(1.0)
    assert asks(race.on_time(race.due or 0.0)) == [(0, "hedge")]


@pytest.mark.parametrize("policy", [PATIENT, RUN])
def test_without_a_share_or_a_deadline_nobody_is_asked_twice(policy: Policy) -> None:
    """And without a deadline nothing is ever late."""
    race = Race([known()], policy)
    race.begin(0.0)
    assert race.due == policy.deadline_s


def test_at_the_deadline_the_chain_goes_on() -> None:
    """To its end, which is told as a failure that may pass."""
    race = Race([Form(), Form()], PATIENT)
    race.begin(0.0)
    assert race.on_time(4.0) == [Drop(0), Ask(1, 1, "fallback")]
    assert race.on_time(7.9) == []
    dropped, given_up = race.on_time(8.0)
    assert dropped == Drop(1)
    assert given_up == GiveUp(ModelFailed("the model said nothing for 4 s", retryable=True))


def test_a_failure_that_may_pass_is_tried_again_after_growing_waits() -> None:
    """And then no more."""
    race = Race([Form()], PATIENT)
    race.begin(0.0)
    now = 0.0
    for number in range(MOST_RETRIES):
        assert race.failed(number, BUSY, now) == []
        assert race.due == pytest.approx(now + 0.1 * 2**number)
        now = race.due or 0.0
        assert asks(race.on_time(now)) == [(0, "retry")]
    assert race.failed(MOST_RETRIES, BUSY, now) == [GiveUp(BUSY)]


@pytest.mark.parametrize(
    ("policy", "models", "retry_after_s", "then"),
    [
        (PATIENT, 1, 1.5, 1.5),
        (PATIENT, 1, 4.0, "gives up"),
        (PATIENT, 2, 1.5, "falls back"),
        (PATIENT, 2, 0.2, 0.2),
        (PATIENT, 1, 0.0, 0.1),
        (RUN, 1, 8.0, 8.0),
        (RUN, 1, 60.0, "gives up"),
    ],
)
def test_retry_after_is_honoured_within_the_deadline(
    policy: Policy, models: int, retry_after_s: float, then: float | str
) -> None:
    """Never earlier; not at all if it is too late, or if another model need not wait."""
    race = Race([Form() for _ in range(models)], policy)
    race.begin(0.0)
    out = race.failed(0, ModelFailed("busy", retryable=True, retry_after_s=retry_after_s), 0.0)
    if isinstance(then, float):
        assert out == []
        assert asks(race.on_time(then - 0.001)) == []
        assert asks(race.on_time(then)) == [(0, "retry")]
    else:
        assert [type(action) for action in out] == [GiveUp if then == "gives up" else Ask]


def test_a_failure_for_good_goes_to_the_next_at_once() -> None:
    """A wrong key of one provider is nothing to the other; the last one's failure is told."""
    race = Race([Form(), Form()], PATIENT)
    race.begin(0.0)
    assert race.failed(0, WRONG, 0.1) == [Ask(1, 1, "fallback")]
    assert race.failed(1, WRONG, 0.2) == [GiveUp(WRONG)]


def test_a_request_that_is_too_long_is_nobody_s_to_try_again() -> None:
    """The turn makes it shorter."""
    race = Race([Form(), Form()], PATIENT)
    race.begin(0.0)
    too_long = ModelFailed("too long", overflow=True)
    assert race.failed(0, too_long, 0.1) == [GiveUp(too_long)]


def test_a_failure_beside_another_request_waits_for_that() -> None:
    """Whichever of them it is."""
    race = Race([known()], LIVE)
    race.begin(0.0)
    race.on_time(0.45)
    assert race.failed(0, BUSY, 0.5) == []
    assert race.useful(1, 0.7) == [Win(1, 0, "hedge", 0.45)]


def test_a_model_that_keeps_failing_is_left_out_while_there_is_another() -> None:
    """Where all of them do, the first is asked all the same."""
    failing, sound = Form(), Form()
    for _ in range(FAILURES):
        failing.failed(0.0)
    assert asks(Race([failing, sound], PATIENT).begin(1.0)) == [(1, "fallback")]
    assert asks(Race([failing], PATIENT).begin(1.0)) == [(0, "first")]


def test_to_be_late_is_a_failure_where_another_model_was_quicker() -> None:
    """So a provider that hangs is left out sooner or later, though every call of it is saved in time."""
    hanging, sound = Form(), known()
    for number in range(FAILURES):
        hanging.earn(1.0)
        race = Race([hanging, sound], LIVE)
        now = 10.0 * number
        race.begin(now)
        race.on_time(now + 2.0)
        race.useful(1, now + 2.3)
    assert not hanging.admits(10.0 * FAILURES - 5)


moves = st.lists(
    st.tuples(
        st.sampled_from(["useful", "busy", "wrong", "later", "wait", "time"]),
        st.integers(0, 6),
        st.floats(0.0, 3.0),
    ),
    max_size=40,
)


class Watcher:
    """Plays a race, and sees to it that it keeps to what it has promised."""

    def __init__(self, race: Race) -> None:
        self.race = race
        self.now = 0.0
        self.live: set[int] = set()
        self.asked = 0
        self.ends = 0
        self.perform(race.begin(0.0))

    def perform(self, actions: list[Action]) -> None:
        for action in actions:
            assert not self.ends
            match action:
                case Ask(attempt=attempt):
                    self.asked += 1
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

    def move(self, what: str, attempt: int, seconds: float) -> None:
        match what:
            case "wait":
                self.now = min(self.now + seconds, self.race.due or 1000.0)
            case "time":
                self.now = self.race.due or self.now
                self.perform(self.race.on_time(self.now))
            case "useful":
                self.perform(self.race.useful(attempt, self.now))
            case _ if attempt in self.live:
                self.live.remove(attempt)
                self.perform(self.race.failed(attempt, FAILED[what], self.now))
            case _:
                self.perform(self.race.failed(attempt, FAILED[what], self.now))


@settings(max_examples=300)
@given(moves, st.integers(1, 3), st.sampled_from([LIVE, PATIENT, RUN]), st.floats(0.05, 3.0))
def test_every_race_ends_once_and_asks_in_bounds(
    script: list[tuple[str, int, float]], models: int, policy: Policy, usual: float
) -> None:
    """Whatever comes in whichever order: one end, nothing after it, nobody asked too often, no attempt left behind."""
    watcher = Watcher(Race([known(usual) for _ in range(models)], policy))
    for move in script:
        if not watcher.ends:
            watcher.move(*move)
    while policy.deadline_s is not None and not watcher.ends:
        watcher.move("time", 0, 0.0)
    assert policy.deadline_s is None or watcher.now <= models * policy.deadline_s + 1e-6
    assert watcher.asked <= models * (1 + MOST_RETRIES) + MOST_HEDGES
