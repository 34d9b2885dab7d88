"""One tool call: its arguments as they are read, its run, and the result that it has in the end, come what may."""

from enum import Enum, auto
from typing import Any, Literal

import msgspec

from voice_agent.agent import ToolSpec
from voice_agent.events import (
    ApprovalGiven,
    ApprovalNeeded,
    ClientToolNeeded,
    EndReason,
    RunTool,
    ToolCalled,
    ToolFinished,
    ToolReturned,
    ToolStatus,
)
from voice_agent.messages import Message, ToolCall
from voice_agent.prompt import UTTERANCE_FIELD, provider_arguments
from voice_agent.utterance import ArgumentScanner

_MALFORMED = "malformed_arguments"
_BECAUSE: dict[EndReason, str] = {
    "interrupted": "the caller interrupted",
    "cancelled": "the call ended",
    "llm_api_error": "the model failed",
    "max_tokens": "the reply was cut off at its length limit",
    "content_filter": "the reply was stopped by the content filter",
    "refusal": "the model refused to go on",
}


class CallState(Enum):
    """A call is read, then a person may be asked, then it runs, here or at the client (AWAITED), then it is done.

    A refused one skips the running.
    """

    READING = auto()
    ASKED = auto()
    RUNNING = auto()
    AWAITED = auto()
    DONE = auto()


class Call:
    """One tool call of a reply. `arguments` is set when all of it has been read and it is one JSON object."""

    def __init__(self, call_id: str, name: str, spec: ToolSpec | None) -> None:
        self.id = call_id
        self.name = name
        self.spec = spec
        self.state = CallState.READING
        self.scanner = ArgumentScanner(UTTERANCE_FIELD)
        self.read = False
        self.arguments: dict[str, Any] | None = None
        self.result: ToolReturned | None = None
        self.started_at = 0.0
        self.ran = False
        self.flushed = False

    def feed(self, piece: str) -> str:
        """Take the next piece of the arguments; returns what became readable of the utterance."""
        said = self.scanner.feed(piece)
        if self.scanner.complete and not self.read:
            self.close()
        return said

    def close(self) -> None:
        """Nothing more of the arguments will come. No arguments at all are an empty object; broken ones stay None."""
        if self.state is CallState.READING:
            self.read = True
            self.arguments = {} if not self.scanner.text.strip() else self.scanner.arguments()

    def recall(
        self, made: ToolCall, result: Message | None, waits_for: Literal["decision", "result"] | None, now: float
    ) -> None:
        """Stand where the history says that it stood: done with `result`, pending since `now`, or not admitted yet."""
        self.feed(_as_written(made))
        self.close()
        if result is not None:
            status: ToolStatus = "denied" if result.denied else "error" if result.failed else "ok"
            self.state, self.ran = CallState.DONE, not result.refused
            self.result = ToolReturned(self.id, result.text, status)
        elif waits_for is not None:
            self.started_at, self.ran = now, waits_for == "result"
            self.state = CallState.AWAITED if self.ran else CallState.ASKED

    @property
    def running(self) -> bool:
        """Whether it runs here."""
        return self.state is CallState.RUNNING

    @property
    def started(self) -> bool:
        """Whether it runs, here or at the client."""
        return self.state in (CallState.RUNNING, CallState.AWAITED)

    @property
    def under_way(self) -> bool:
        """Whether it was admitted and has no result yet: it runs, or a person is asked about it."""
        return self.started or self.state is CallState.ASKED

    @property
    def succeeded(self) -> bool:
        return self.result is not None and self.result.status == "ok"

    @property
    def pending(self) -> Literal["decision", "result"] | None:
        """What of the client's it waits for."""
        if self.state is CallState.ASKED:
            return "decision"
        return "result" if self.state is CallState.AWAITED else None

    @property
    def due(self) -> float | None:
        """When the client has taken too long with it."""
        if self.state is not CallState.AWAITED or self.spec is None or self.spec.client_timeout_s is None:
            return None
        return self.started_at + self.spec.client_timeout_s

    def ask(self, turn_id: str, now: float) -> ApprovalNeeded:
        """Have a person decide."""
        self.state, self.started_at = CallState.ASKED, now
        return ApprovalNeeded(turn_id, self.id, self.name, self.arguments or {})

    def start(self, turn_id: str, now: float) -> list[ToolCalled | ClientToolNeeded | RunTool]:
        """Run it, here or at the client."""
        self.state, self.started_at, self.ran = CallState.RUNNING, now, True
        arguments = self.arguments or {}
        if self.spec is not None and self.spec.client_timeout_s is not None:
            self.state = CallState.AWAITED
            return [ClientToolNeeded(turn_id, self.id, self.name, arguments)]
        return [ToolCalled(turn_id, self.id, self.name, arguments), RunTool(self.id, self.name, arguments)]

    def take(
        self, turn_id: str, answer: ToolReturned | ApprovalGiven, now: float
    ) -> list[ToolCalled | ClientToolNeeded | RunTool | ToolFinished]:
        """What follows from an outcome or a decision; nothing from one that nobody waits for any more."""
        match answer:
            case ToolReturned():
                return [self.finish(turn_id, answer, now)] if self.started else []
            case ApprovalGiven(approved=True):
                return [*self.start(turn_id, now)] if self.state is CallState.ASKED else []
            case ApprovalGiven(reason=reason):
                if self.state is not CallState.ASKED:
                    return []
                said = f"Denied by a person: {reason}" if reason else "Denied by a person."
                return [self.finish(turn_id, ToolReturned(self.id, said, "denied"), now)]

    def finish(self, turn_id: str, result: ToolReturned, now: float) -> ToolFinished:
        """This is its result."""
        took = (now - self.started_at) * 1000 if self.started else 0.0
        self.state, self.result = CallState.DONE, result
        return ToolFinished(turn_id, self.id, self.name, result.status, round(took, 3))

    def unfinished(self, reason: EndReason) -> ToolReturned:
        """The result of a call that the end of its turn overtakes."""
        because = _BECAUSE.get(reason, "the turn ended")
        if self.state is CallState.ASKED:
            text = f"Not run: {because} before a person had decided."
        elif not self.started:
            text = f"Not run: {because} first."
        elif self.outlives(reason):
            text = f"Still running: {because} before it finished. Its outcome will follow."
        elif self.spec and self.spec.threaded:
            text = f"Abandoned: {because}. It could not be stopped, and may have taken effect."
        else:
            text = f"Cancelled: {because} before it finished."
        return ToolReturned(self.id, text, "cancelled")

    def outlives(self, reason: EndReason) -> bool:
        """Writes that run here run to their end when the caller cuts in."""
        cut = reason in ("interrupted", "cancelled")
        return cut and self.running and self.spec is not None and self.spec.on_interrupt == "finish"

    @property
    def canonical(self) -> str:
        """The arguments as the history keeps them."""
        known = {_MALFORMED: self.scanner.text} if self.arguments is None else self.arguments
        return msgspec.json.encode(known).decode()


def _as_written(made: ToolCall) -> str:
    """The text that a call of the history was read from, or one that reads as the same."""
    known: dict[str, Any] = msgspec.json.decode(made.arguments)
    raw = known.get(_MALFORMED) if len(known) == 1 else None
    if isinstance(raw, str) and raw.strip():
        scanner = ArgumentScanner(UTTERANCE_FIELD)
        scanner.feed(raw)
        if scanner.arguments() is None:
            return raw
    return provider_arguments(msgspec.structs.replace(made, heard=None))
