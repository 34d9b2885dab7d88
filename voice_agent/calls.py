"""One tool call: its arguments as they are read, its run, and the result that it has in the end, come what may."""

from enum import Enum, auto
from typing import Any

import msgspec

from voice_agent.agent import ToolSpec
from voice_agent.events import EndReason, RunTool, ToolCalled, ToolFinished, ToolReturned
from voice_agent.prompt import UTTERANCE_FIELD
from voice_agent.utterance import ArgumentScanner

_BECAUSE: dict[EndReason, str] = {
    "interrupted": "the caller interrupted",
    "cancelled": "the call ended",
    "llm_api_error": "the model failed",
    "max_tokens": "the reply was cut off at its length limit",
    "content_filter": "the reply was stopped by the content filter",
    "refusal": "the model refused to go on",
}


class CallState(Enum):
    """A call is read, then runs, then is done; a refused one skips the running."""

    READING = auto()
    RUNNING = auto()
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

    @property
    def running(self) -> bool:
        return self.state is CallState.RUNNING

    @property
    def succeeded(self) -> bool:
        return self.result is not None and self.result.status == "ok"

    def start(self, turn_id: str, arguments: dict[str, Any], now: float) -> list[ToolCalled | RunTool]:
        """Run it."""
        self.state, self.started_at = CallState.RUNNING, now
        return [ToolCalled(turn_id, self.id, self.name, arguments), RunTool(self.id, self.name, arguments)]

    def finish(self, turn_id: str, result: ToolReturned, now: float) -> ToolFinished:
        """This is its result."""
        took = (now - self.started_at) * 1000 if self.running else 0.0
        self.state, self.result = CallState.DONE, result
        return ToolFinished(turn_id, self.id, self.name, result.status, round(took, 3))

    def unfinished(self, reason: EndReason) -> ToolReturned:
        """The result of a call that the end of its turn overtakes."""
        because = _BECAUSE.get(reason, "the turn ended")
        if not self.running:
            text = f"Not run: {because} first."
        elif self.outlives(reason):
            text = f"Still running: {because} before it finished. Its outcome will follow."
        elif self.spec and self.spec.threaded:
            text = f"Abandoned: {because}. It could not be stopped, and may have taken effect."
        else:
            text = f"Cancelled: {because} before it finished."
        return ToolReturned(self.id, text, "cancelled")

    def outlives(self, reason: EndReason) -> bool:
        """Writes run to their end when the caller cuts in."""
        cut = reason in ("interrupted", "cancelled")
        return cut and self.running and self.spec is not None and self.spec.on_interrupt == "finish"

    @property
    def canonical(self) -> str:
        """The arguments as the history keeps them."""
        known = {"malformed_arguments": self.scanner.text} if self.arguments is None else self.arguments
        return msgspec.json.encode(known).decode()
