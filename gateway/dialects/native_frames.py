"""What a client of `voice.v1` may send: one Struct per frame type."""

from typing import Annotated, Any, Literal

import msgspec

from gateway.dialects.client_tools import MOST_TOOLS

_TurnId = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
_Chars = Annotated[int, msgspec.Meta(ge=0)]
_Ms = Annotated[float, msgspec.Meta(ge=0)]


class Frame(msgspec.Struct, tag_field="type"):
    """Fields that are not known are passed over: later versions may add some."""


class SessionConfigure(Frame, tag="session.configure"):
    """Options of the session."""

    speech: Literal["raw", "spoken"] | msgspec.UnsetType = msgspec.UNSET
    group: Literal["token", "sentence"] | msgspec.UnsetType = msgspec.UNSET
    language: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    variables: dict[str, Any] | None = None
    client_tools: Annotated[list[Any], msgspec.Meta(max_length=MOST_TOOLS)] | None = None
    min_words_to_interrupt: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None


class UserText(Frame, tag="user.text"):
    """What the recogniser heard."""

    text: str
    final: bool = True
    turn_id: _TurnId | None = None
    revision: Annotated[int, msgspec.Meta(ge=0)] = 0


class HeardMark(msgspec.Struct, forbid_unknown_fields=True):
    """How much was heard, in one of three measures."""

    chars: _Chars | None = None
    text: str | None = None
    ms: _Ms | None = None


class UserInterrupt(Frame, tag="user.interrupt"):
    """The caller spoke over the agent."""

    heard: HeardMark | None = None
    turn_id: _TurnId | None = None


class UserDtmf(Frame, tag="user.dtmf"):
    """Keys pressed."""

    digits: str


class Playback(Frame, tag="playback"):
    """How far the caller has heard the turn."""

    turn_id: _TurnId
    chars: _Chars | None = None
    ms: _Ms | None = None
    done: bool = False


class ToolResult(Frame, tag="tool.result"):
    """The answer to a `tool.request`."""

    call_id: str
    output: Any
    is_error: bool = False


class ToolApproval(Frame, tag="tool.approval"):
    """The answer to an `approval.request`."""

    call_id: str
    approved: bool
    reason: str | None = None


class ContextAdd(Frame, tag="context.add"):
    """Facts for the agent, without a reply."""

    text: str


class AgentSay(Frame, tag="agent.say"):
    """Words to speak and to remember."""

    text: str
    interruptible: bool = True


class Ping(Frame, tag="ping"):
    """Answered by a `pong` with the same id."""

    id: str | int | None = None


class SessionEnd(Frame, tag="session.end"):
    """Hang up."""

    reason: Annotated[str, msgspec.Meta(max_length=200)] | None = None


ClientFrame = (
    SessionConfigure | UserText | UserInterrupt | UserDtmf | Playback | ToolResult | ToolApproval | ContextAdd
    | AgentSay | Ping | SessionEnd
)  # fmt: skip
