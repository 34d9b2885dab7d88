"""Suspended turns for tests: what suspends, what the client answers, and turns that go on somewhere else."""

from typing import Any

import msgspec
from msgspec.structs import replace

from tests.turns import TOOLS, Bench, setup, spec
from voice_agent import events as ev
from voice_agent.resumption import Resumed
from voice_agent.rules.kinds import RequiresApproval
from voice_agent.suspension import Suspension
from voice_agent.turn import Turn
from voice_agent.turn_setup import TurnSetup
from voice_agent.turn_states import State

Answer = ev.ToolReturned | ev.ApprovalGiven
ALL = TOOLS | {
    "phone": spec("phone", effects="none", client_timeout_s=30.0),
    "solo": spec("solo", client_timeout_s=30.0, parallel=False, duplicate="reject"),
}
ASKS = (RequiresApproval(tool="write"), RequiresApproval(tool="phone"))


def suspending(*rules: Any, **changes: Any) -> TurnSetup:
    """The setup of a turn that nobody waits for; writing and phoning is decided by a person."""
    return setup(**{"suspends": True, "tools": ALL, **changes}, rules=(*ASKS, *rules))


def stored(suspension: Suspension | None) -> Suspension:
    """As it comes back from a store."""
    return msgspec.json.decode(msgspec.json.encode(suspension), type=Suspension)


def resume(bench: Bench, *answers: Answer, **changes: Any) -> Bench:
    """The turn goes on somewhere else with these answers."""
    suspension = stored(bench.ended.suspension)
    return Bench(Turn(replace(bench.turn.setup, **changes), resumed=Resumed(suspension, answers)))


def pending(bench: Bench) -> list[tuple[str, str]]:
    """The calls that the suspended turn waits for."""
    suspension = bench.ended.suspension
    assert suspension is not None
    return [(waiting.call_id, waiting.waits_for) for waiting in suspension.pending]


def state_of(bench: Bench) -> State:
    """Where the turn stands now."""
    return bench.turn.state


def yes(number: int) -> ev.ApprovalGiven:
    return ev.ApprovalGiven(f"call_x_{number}", approved=True)


def no(number: int, reason: str | None = None) -> ev.ApprovalGiven:
    return ev.ApprovalGiven(f"call_x_{number}", approved=False, reason=reason)


def gave(number: int, output: str = "ok") -> ev.ToolReturned:
    return ev.ToolReturned(f"call_x_{number}", output)


def results(bench: Bench) -> list[str]:
    """What the model reads of the calls in its newest request."""
    return [message.text for message in bench.of(ev.CallModel)[-1].request.turn if message.role == "tool"]
