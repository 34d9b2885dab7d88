"""One reply asked of several models, as a state machine without IO: what happens goes in, whom to ask comes out.

The models are a chain. Each has its own deadline, from its first attempt on, within which it may be asked again after a
failure that may pass. When it fails for good, or in time has said nothing useful, the next one's turn comes. Beside a
request that is later than most a second one may be sent, and others beside that, if it is as unlucky. The first useful
token wins; it alone goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from voice_agent.events import ModelFailed
from voice_agent.llm.race.form import Form

Kind = Literal["first", "retry", "hedge", "fallback"]

MOST_RETRIES, MOST_HEDGES = 3, 3
_FIRST_WAIT_S, _FACTOR = 0.1, 2.0
# A wait that is longer than this is worse than the next model.
_PATIENCE_S = 0.25
# Where nothing is left for a second request, how soon to look again: those that are in time earn it.
_LOOK_S = 0.1


class Policy(msgspec.Struct, frozen=True):
    """`deadline_s`: seconds that each model has for its first useful token; None: nobody waits on the line.

    `longest_wait_s` is how long a failing model may then ask to be left alone. `hedge_share`: the second requests that
    may be sent, as a share of all requests; only within a deadline.
    """

    deadline_s: float | None = None
    hedge_share: float = 0.0
    longest_wait_s: float = 10.0


class Ask(msgspec.Struct, frozen=True):
    """Send the request to this model of the chain; what comes of it is told of this attempt (0, 1, 2 …)."""

    attempt: int
    model: int
    kind: Kind


class Drop(msgspec.Struct, frozen=True):
    """Cancel this attempt: nothing of it is to be told."""

    attempt: int


class Win(msgspec.Struct, frozen=True):
    """All of this attempt is to be told, what it said until now first. It was sent `late_s` after the first one."""

    attempt: int
    model: int
    kind: Kind
    late_s: float


class GiveUp(msgspec.Struct, frozen=True):
    """There is nobody left to ask."""

    failure: ModelFailed


Action = Ask | Drop | Win | GiveUp


@dataclass
class _Leg:
    """One model's part: until when it may take, how often it was asked again, and when it is to be."""

    until: float | None
    retries: int = 0
    again_at: float | None = None


class Race:
    """`forms` are those of the chain's models, in its order. After `Win` or `GiveUp` nothing is done any more."""

    def __init__(self, forms: Sequence[Form], policy: Policy) -> None:
        self._forms = forms
        self._policy = policy
        self._chain = [*range(len(forms))]
        self._legs: dict[int, _Leg] = {}
        self._live: dict[int, tuple[Ask, float]] = {}
        self._count = 0
        self._began = 0.0
        self._hedged_within = policy.deadline_s if policy.hedge_share > 0 else None
        self._hedge_at: float | None = None
        self._hedges = 0
        self._failure = ModelFailed("no model could be asked")
        self.over = False

    def begin(self, now: float) -> list[Action]:
        """Ask the first model whose circuit is closed; where all are open, whoever is first."""
        self._began = now
        model = self._another(now) or 0
        if self._hedged_within is not None:
            self._forms[model].earn(self._policy.hedge_share)
        return self._begin_leg(model, "fallback" if model else "first", now)

    @property
    def due(self) -> float | None:
        """When `on_time` has something to do, if nothing comes before."""
        if self.over:
            return None
        moments = [self._hedge_at]
        for leg in self._legs.values():
            moments += [leg.until, leg.again_at]
        return min((moment for moment in moments if moment is not None), default=None)

    def useful(self, attempt: int, now: float) -> list[Action]:
        """The attempt has said something that can be heard or acted on."""
        if attempt not in self._live:
            return []
        won, since = self._live.pop(attempt)
        self._forms[won.model].spoke_after(now - since)
        # Slower than another model that was asked later: as good as a failure. Against itself it proves nothing.
        for model in {lost.model for number, (lost, _) in self._live.items() if number < attempt} - {won.model}:
            self._forms[model].failed(now)
        return [*self._stop(), Win(attempt, won.model, won.kind, since - self._began)]

    def failed(self, attempt: int, failure: ModelFailed, now: float) -> list[Action]:
        """The attempt has failed before it said anything useful."""
        if attempt not in self._live:
            return []
        lost, _ = self._live.pop(attempt)
        self._note(failure)
        if failure.retryable:
            self._forms[lost.model].failed(now)
            if not self._live and self._waits(lost.model, failure, now):
                return []
        return self._go_on(now)

    def on_time(self, now: float) -> list[Action]:
        """Do what is due: give up on models that are too late, ask again, ask twice."""
        if self.over:
            return []
        out: list[Action] = []
        for model, leg in self._legs.items():
            if leg.until is not None and now >= leg.until:
                out += self._expire(model, now)
            elif leg.again_at is not None and now >= leg.again_at:
                leg.again_at = None
                if self._forms[model].admits(now) or self._another(now) is None:
                    out.append(self._ask(model, "retry", now))
        if self._hedge_at is not None and now >= self._hedge_at:
            out += self._hedge(now)
        return out + self._go_on(now)

    # ---- how ----

    def _go_on(self, now: float) -> list[Action]:
        """The next model, unless something is still under way."""
        if self._live or any(leg.again_at is not None for leg in self._legs.values()):
            return []
        model = self._another(now)
        if model is None and self._chain and self._is_early(now):
            model = self._chain[0]
        # What is too long for one would be for the others, but for those that were asked already.
        if model is None or self._failure.overflow:
            return [*self._stop(), GiveUp(self._failure)]
        return self._begin_leg(model, "fallback", now)

    def _another(self, now: float) -> int | None:
        """The next model of the chain whose circuit is closed."""
        return next((model for model in self._chain if self._forms[model].admits(now)), None)

    def _is_early(self, now: float) -> bool:
        """Whether there is time left to try a model that keeps failing, when nobody else is left."""
        return self._policy.deadline_s is None or now < self._began + self._policy.deadline_s

    def _note(self, failure: ModelFailed) -> None:
        """This is what is told in the end, unless something else comes; only what was too long can be mended."""
        if not self._failure.overflow:
            self._failure = failure

    def _begin_leg(self, model: int, kind: Kind, now: float) -> list[Action]:
        deadline = self._policy.deadline_s
        self._chain.remove(model)
        self._legs[model] = _Leg(None if deadline is None else now + deadline)
        return [self._ask(model, kind, now)]

    def _ask(self, model: int, kind: Kind, now: float) -> Ask:
        ask, form = Ask(self._count, model, kind), self._forms[model]
        self._count += 1
        self._live[ask.attempt] = ask, now
        form.asked(now)
        if self._hedged_within is not None and self._hedges < MOST_HEDGES:
            self._hedge_at = now + form.hedge_after(self._hedged_within)
        return ask

    def _waits(self, model: int, failure: ModelFailed, now: float) -> bool:
        """Whether the model is asked again, when it has said that it may be, or after a moment that grows."""
        leg = self._legs[model]
        wait = max(_FIRST_WAIT_S * _FACTOR**leg.retries, failure.retry_after_s or 0.0)
        in_time = wait <= self._policy.longest_wait_s if leg.until is None else now + wait < leg.until
        hopeless = wait > _PATIENCE_S or not self._forms[model].admits(now)
        if leg.retries >= MOST_RETRIES or not in_time or (hopeless and self._another(now) is not None):
            return False
        leg.retries += 1
        leg.again_at = now + wait
        return True

    def _expire(self, model: int, now: float) -> list[Action]:
        leg, deadline = self._legs[model], self._policy.deadline_s or 0.0
        leg.until = leg.again_at = None
        late = [attempt for attempt, (ask, _) in self._live.items() if ask.model == model]
        for attempt in late:
            del self._live[attempt]
        if late:
            self._forms[model].failed(now)
            self._note(ModelFailed(f"the model said nothing for {deadline:g} s", retryable=True))
        return [Drop(attempt) for attempt in late]

    def _hedge(self, now: float) -> list[Action]:
        """One more request beside what is late: to the next model, if there is one. Else, later, there may be means."""
        self._hedge_at = None
        if not self._live:
            return []
        # A model that keeps failing earns little: what is saved where its fallback is asked pays for it.
        if not any(form.spend() for form in self._forms):
            self._hedge_at = now + _LOOK_S
            return []
        self._hedges += 1
        model = self._another(now)
        if model is not None:
            return self._begin_leg(model, "hedge", now)
        late, _ = [*self._live.values()][-1]
        return [self._ask(late.model, "hedge", now)]

    def _stop(self) -> list[Drop]:
        dropped = [Drop(attempt) for attempt in self._live]
        self._live.clear()
        self.over = True
        return dropped
