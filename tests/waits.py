"""Turns whose caller has to wait: played by hand, and what was said meanwhile."""

from typing import Any

from tests.turns import TOOLS, Bench, setup, spec
from voice_agent import events as ev
from voice_agent.fillers import Fillers
from voice_agent.turn import Turn

# 15 code points each: at speaking rate one second.
FIRST, SECOND, LAST = "One moment, ok.", "Still on it ok.", "Not long now ok"
FILLERS = Fillers(after_s=1.5, model_s=4.0, phrases=(FIRST, SECOND, LAST))
SAID = '{"pre_exec_msg":"Let me see now."}'
CLIENTS = TOOLS | {"phone": spec("phone", effects="none", client_timeout_s=30.0)}


def bench(**changes: Any) -> Bench:
    """A turn with fillers and an apology."""
    return Bench(Turn(setup(**{"fillers": FILLERS, "failure_notice": "Sorry.", **changes})))


def fillers(play: Bench) -> list[str]:
    """Those that were said."""
    return [event.text for event in play.of(ev.Spoke) if event.kind == "filler"]


def kinds(play: Bench) -> list[str]:
    """The kinds of what was said, in its order."""
    return [event.kind for event in play.of(ev.Spoke)]


def times(play: Bench, until: float, step: float = 0.05) -> list[float]:
    """When fillers are said from now on, to a twentieth of a second."""
    found = []
    while play.at < until:
        before = len(fillers(play))
        play.wait(round(play.at + step, 3))
        found += [play.at] * (len(fillers(play)) - before)
    return found
