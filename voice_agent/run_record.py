"""What is kept of a run, a turn without a socket: how it stands, what it said, and what each of its steps took.

Times are in seconds since the epoch, `_ms` is milliseconds.
"""

from typing import Any, Literal

import msgspec

from voice_agent.events import EndReason
from voice_agent.messages import Latency, Message, Usage
from voice_agent.suspension import PendingCall

RunStatus = Literal["running", "requires_approval", "completed", "cancelled", "failed"]
MAX_TRACED = 262_144
_CUT = " [cut: {} characters in all]"
_STATUS: dict[EndReason, RunStatus] = {
    "cancelled": "cancelled",
    "requires_approval": "requires_approval",
    "interrupted": "failed",
    "invalid_tool_call": "failed",
    "invalid_llm_response": "failed",
    "llm_api_error": "failed",
    "context_window_overflow": "failed",
    "error": "failed",
}


class ToolTime(msgspec.Struct, frozen=True, omit_defaults=True):
    """How long one call took, from its start to its result."""

    name: str
    call_id: str
    ms: float


class Trace(msgspec.Struct, frozen=True, omit_defaults=True):
    """One exchange with a provider; secrets are masked before it is made.

    `request` is the JSON body as sent, or, where that is long, a string of its beginning; `status` the HTTP status
    (None: no answer came), `response` the raw text that came. Both are cut as `traced` does it.
    """

    request: msgspec.Raw
    status: int | None
    response: str


class StepRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step: a reply of the model, and the calls in it.

    `model_ms` is from the request to the end of the reply, `first_token_ms` to its first word or call (None: none
    came). `stop` is the model's finish reason, `error` why the reply failed, fit for a client's eyes.
    """

    index: int
    model: str
    started_at: float
    model_ms: float
    first_token_ms: float | None = None
    tools: tuple[ToolTime, ...] = ()
    usage: Usage | None = None
    stop: str | None = None
    error: str | None = None
    traces: tuple[Trace, ...] = ()


class RunOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was asked of a run beside its words; it holds when the run goes on, too.

    `client_tools` are definitions as an agent has them, `response_format` is a JSON Schema of type object that the
    run's last words have to fit; `trace`: its exchanges with the provider are kept.
    """

    max_steps: int | None = None
    client_tools: tuple[dict[str, Any], ...] = ()
    response_format: dict[str, Any] | None = None
    trace: bool = False


class RunRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run as it stands: `status` says whether it goes on, `reason` how it ended.

    `slot` and `incarnation` name the process that runs it, as its lease in the store does. `pending` are the calls
    that the run waits with for the client.
    """

    id: str
    agent: str
    user: str
    turn_id: str
    status: RunStatus
    slot: str
    incarnation: str
    created_at: float
    ended_at: float | None = None
    reason: EndReason | None = None
    messages: tuple[Message, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    usage: Usage | None = None
    latency: Latency | None = None
    pending: tuple[PendingCall, ...] = ()
    error: str | None = None
    background: bool = False
    options: RunOptions = RunOptions()


def status_of(reason: EndReason) -> RunStatus:
    """How a run stands whose turn ended for this reason. What the model ends by its own choice is complete."""
    return _STATUS.get(reason, "completed")


def traced(text: str) -> str:
    """What a provider got or answered as a trace keeps it: cut at 262,144 characters, with a mark that says so."""
    return text if len(text) <= MAX_TRACED else text[:MAX_TRACED] + _CUT.format(len(text))
