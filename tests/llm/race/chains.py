"""Policies, failures and models whose record is known, for tests of the race."""

from voice_agent.events import ModelFailed
from voice_agent.llm.race.form import FAILURES, Form
from voice_agent.llm.race.race import Action, Ask, Policy

LIVE = Policy(deadline_s=4.0, hedge_share=0.5)
PATIENT = Policy(deadline_s=4.0)
RUN = Policy()
BUSY = ModelFailed("busy", retryable=True)
WRONG = ModelFailed("wrong")
LONG = ModelFailed("too long", overflow=True)


def known(seconds: float = 0.3) -> Form:
    """A model that is known to be this quick."""
    form = Form()
    for _ in range(20):
        form.spoke_after(seconds)
    return form


def failing(now: float = 0.0) -> Form:
    """A model whose circuit has just opened."""
    form = Form()
    for _ in range(FAILURES):
        form.failed(now)
    return form


def asks(actions: list[Action]) -> list[tuple[int, str]]:
    """Whom to ask, and as what."""
    return [(action.model, action.kind) for action in actions if isinstance(action, Ask)]
