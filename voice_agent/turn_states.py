"""The states of a turn as a table: what each takes, where it can lead, and the diagram that is drawn from it."""

from enum import Enum, auto

from voice_agent import events as ev
from voice_agent.messages import ModelBusy, Opaque


class State(Enum):
    """Where a turn stands."""

    THINKING = auto()
    ACTING = auto()
    ENDED = auto()


class IllegalEventError(Exception):
    """An event, or a step to another state, that the table does not name: a fault in the caller."""


TurnInput = (
    ev.ModelEvent
    | ev.UserSpoke
    | ev.UserInterrupted
    | ev.PlaybackMoved
    | ev.ToolReturned
    | ev.ApprovalGiven
    | ev.UserLeft
)

_ALWAYS = (ev.UserSpoke, ev.UserInterrupted, ev.PlaybackMoved, ev.UserLeft, ev.ToolReturned, ev.ApprovalGiven)
# The most frequent come first: a token passes through here.
ACCEPTS: dict[State, tuple[type, ...]] = {
    State.THINKING: (ev.TextDelta, ev.ToolCallDelta, Opaque, ModelBusy, ev.ModelFinished, ev.ModelFailed, *_ALWAYS),
    State.ACTING: _ALWAYS,
    State.ENDED: (),
}

# How a reply was cut short is how the turn ends.
CUT_SHORT: dict[str | None, ev.EndReason] = {
    "length": "max_tokens",
    "content_filter": "content_filter",
    "refusal": "refusal",
}

LEADS_TO: dict[State, dict[State, str]] = {
    State.THINKING: {
        State.ACTING: "the reply is complete",
        State.ENDED: "cut short, failed, or left",
    },
    State.ACTING: {
        State.THINKING: "every call has its result, or more words came",
        State.ENDED: "nothing to do, cut short, or left",
    },
    State.ENDED: {},
}


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    arrows = [f"    {here.name} --> {there.name}: {why}" for here in State for there, why in LEADS_TO[here].items()]
    return "\n".join(["stateDiagram-v2", "    [*] --> THINKING", *arrows, "    ENDED --> [*]"])
