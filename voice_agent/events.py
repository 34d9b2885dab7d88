"""The closed alphabets: what a user may do, what a model may answer, what a turn tells, and what it asks for."""

from typing import Any, Literal

import msgspec

from voice_agent.messages import Latency, Message, ModelBusy, ModelRequest, Opaque, Usage
from voice_agent.suspension import Suspension

SpeechKind = Literal["reply", "utterance", "filler", "greeting", "say", "notice"]
ToolStatus = Literal["ok", "error", "timeout", "cancelled", "denied"]
EndReason = Literal[
    "end_turn", "interrupted", "cancelled", "tool_rule", "max_steps", "max_tokens", "content_filter", "refusal",
    "requires_approval", "invalid_tool_call", "invalid_llm_response", "llm_api_error", "context_window_overflow",
    "error",
]  # fmt: skip
Leaving = Literal["hang_up", "transfer"]  # how an agent leaves the call: it hangs up, or puts the caller through
FinishReason = Literal["stop", "tool_calls", "length", "content_filter", "refusal"]
ErrorCode = Literal[
    "bad_frame", "unknown_type", "bad_field", "unknown_id", "provider", "store", "overloaded", "internal"
]  # fmt: skip


class Mark(msgspec.Struct, frozen=True):
    """How much of a turn's speech was heard: code points, or the text itself, or milliseconds. Exactly one is set."""

    chars: int | None = None
    text: str | None = None
    ms: float | None = None


# ---- what the user (or the front end for them) does ----


class UserSpoke(msgspec.Struct, frozen=True):
    """The recogniser's text; one that is not final yet may be thought about, and no more."""

    text: str
    final: bool = True
    turn_id: str | None = None
    revision: int = 0


class UserInterrupted(msgspec.Struct, frozen=True):
    """The caller spoke over the agent. `unsent`: code points of speech that were taken back before they left."""

    heard: Mark | None = None
    turn_id: str | None = None
    unsent: int = 0


class UserPressed(msgspec.Struct, frozen=True):
    """Keys of the telephone were pressed: 0 to 9, *, #, A to D."""

    digits: str


class PlaybackMoved(msgspec.Struct, frozen=True):
    """How far the caller has heard a turn; `done` says that all of it has been played."""

    turn_id: str
    heard: Mark | None = None
    done: bool = False


class ToolReturned(msgspec.Struct, frozen=True):
    """The outcome of a call, from a runner or from the client; `output` is what the model will read."""

    call_id: str
    output: str
    status: ToolStatus = "ok"


class ApprovalGiven(msgspec.Struct, frozen=True):
    """A person has decided on a call; `reason` is for the model, if they said no."""

    call_id: str
    approved: bool
    reason: str | None = None


class ContextAdded(msgspec.Struct, frozen=True):
    """Facts for the agent, without a reply."""

    text: str


class SayRequested(msgspec.Struct, frozen=True):
    """Words to speak as they are, remembered as said."""

    text: str
    kind: SpeechKind = "say"
    interruptible: bool = True


class UserLeft(msgspec.Struct, frozen=True):
    """The call is over. `unsent` as for an interruption."""

    reason: str = "client"
    unsent: int = 0


UserEvent = (
    UserSpoke | UserInterrupted | UserPressed | PlaybackMoved | ToolReturned | ApprovalGiven | ContextAdded
    | SayRequested | UserLeft
)  # fmt: skip

# ---- what a model answers ----


class TextDelta(msgspec.Struct, frozen=True):
    """The next piece of the reply."""

    text: str


class ToolCallDelta(msgspec.Struct, frozen=True):
    """The next piece of a tool call. `index` is unique to the call within the reply; `name` comes with its first."""

    index: int
    id: str | None = None
    name: str | None = None
    json: str = ""


class ModelFinished(msgspec.Struct, frozen=True):
    """The reply is complete. `reason` is None where the stream ended cleanly without naming one."""

    reason: FinishReason | None
    usage: Usage | None = None


class ModelFailed(msgspec.Struct, frozen=True):
    """The reply failed. `error` is fit for the client's eyes. `overflow`: the request was too long for the model;
    `retry_after_s`: when its provider wants to be asked again.
    """

    error: str
    retryable: bool = False
    overflow: bool = False
    retry_after_s: float | None = None


ModelEvent = TextDelta | ToolCallDelta | Opaque | ModelBusy | ModelFinished | ModelFailed

# ---- what a turn tells ----


class TurnStarted(msgspec.Struct, frozen=True):
    """A turn that will be heard has begun. `resumes`: it goes on with that turn, not interrupted after all."""

    turn_id: str
    revision: int = 0
    resumes: str | None = None


class Spoke(msgspec.Struct, frozen=True):
    """Words to speak now."""

    turn_id: str
    text: str
    kind: SpeechKind


class Flushed(msgspec.Struct, frozen=True):
    """Do not wait for more text before speaking what you have."""

    turn_id: str
    kind: SpeechKind


class ToolCalled(msgspec.Struct, frozen=True):
    """A tool runs. `arguments` are the validated ones, the utterance taken out."""

    turn_id: str
    call_id: str
    name: str
    arguments: dict[str, Any]


class ApprovalNeeded(msgspec.Struct, frozen=True):
    """A person has to decide on a call before it runs."""

    turn_id: str
    call_id: str
    name: str
    arguments: dict[str, Any]


class ClientToolNeeded(msgspec.Struct, frozen=True):
    """The connected client runs this call, and answers with its outcome."""

    turn_id: str
    call_id: str
    name: str
    arguments: dict[str, Any]


class ToolFinished(msgspec.Struct, frozen=True):
    """A call has its result; without a `ToolCalled` before it if it was refused."""

    turn_id: str
    call_id: str
    name: str
    status: ToolStatus
    duration_ms: float


class Failed(msgspec.Struct, frozen=True):
    """Something went wrong that the client should know of; the session goes on."""

    code: ErrorCode
    message: str
    retryable: bool = False
    turn_id: str | None = None
    field: str | None = None


class TurnSpoken(msgspec.Struct, frozen=True):
    """Nothing more will be said in this turn."""

    turn_id: str


class TurnEnded(msgspec.Struct, frozen=True):
    """The turn is over, exactly once, with a history that any provider accepts.

    `leaves`: the agent leaves the call once its words were heard. `suspension` is set exactly where the reason is
    `requires_approval`: some calls have no result yet. `wasted`: what was spent in vain on interim texts before it.
    """

    turn_id: str
    reason: EndReason
    messages: tuple[Message, ...]
    heard: str
    generated: str
    usage: Usage
    latency: Latency
    leaves: Leaving | None = None
    suspension: Suspension | None = None
    wasted: Usage = Usage()


class TurnHeard(msgspec.Struct, frozen=True):
    """A mark that came after the end moved the heard text."""

    turn_id: str
    heard: str


class MemoryUpdated(msgspec.Struct, frozen=True):
    """New memory was committed; the next turn uses it. `lag_ms`: since it was asked for."""

    version: int
    labels: tuple[str, ...]
    lag_ms: float


class SessionEnded(msgspec.Struct, frozen=True):
    """The last event of a session."""

    reason: str


TurnEvent = (
    TurnStarted | Spoke | Flushed | ToolCalled | ApprovalNeeded | ClientToolNeeded | ToolFinished | Failed | TurnSpoken
    | TurnEnded | TurnHeard | MemoryUpdated | SessionEnded
)  # fmt: skip

# ---- what a turn asks for (between turn and run only) ----


class CallModel(msgspec.Struct, frozen=True):
    """Send this request and hand its events back."""

    request: ModelRequest


class RunTool(msgspec.Struct, frozen=True):
    """Run this call and hand its outcome back as `ToolReturned`."""

    call_id: str
    name: str
    arguments: dict[str, Any]


class SaveStep(msgspec.Struct, frozen=True):
    """A step is complete: `messages` (its assistant message and the results) can be journalled as step `index`."""

    index: int
    messages: tuple[Message, ...]


class StopWork(msgspec.Struct, frozen=True):
    """Close the model's stream and cancel the tools, but for those in `keep`, which run to their end."""

    keep: frozenset[str] = frozenset()


Effect = CallModel | RunTool | SaveStep | StopWork
