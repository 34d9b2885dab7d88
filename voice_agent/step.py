"""One reply of the model as it is read: its text, its calls and their results, and the messages they become."""

from enum import Enum, auto
from typing import Any

import msgspec

from voice_agent.agent import ToolSpec
from voice_agent.events import EndReason, ToolCallDelta, ToolReturned
from voice_agent.messages import Message, Opaque, ToolCall
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


class Step:
    """The reply under way. Indices are the model's, positions are the order in which calls appeared."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._by_index: dict[int, Call] = {}
        self._by_id: dict[str, Call] = {}
        self._text: list[str] = []
        self._opaque: list[Opaque] = []
        self.speaker: Call | None = None

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def has_text(self) -> bool:
        return bool(self._text)

    @property
    def empty(self) -> bool:
        return not (self._text or self.calls)

    def add_text(self, text: str) -> None:
        self._text.append(text)

    def add_opaque(self, piece: Opaque) -> None:
        """Pieces of one stream of reasoning are kept as one."""
        last = self._opaque[-1] if self._opaque else None
        if last and (last.model, last.kind, last.call) == (piece.model, piece.kind, piece.call):
            self._opaque[-1] = msgspec.structs.replace(last, data=last.data + piece.data)
        else:
            self._opaque.append(piece)

    def call_at(self, delta: ToolCallDelta) -> Call | None:
        return self._by_index.get(delta.index)

    def open_call(self, delta: ToolCallDelta, call_id: str, spec: ToolSpec | None) -> Call:
        call = Call(call_id, delta.name or "", spec)
        self.calls.append(call)
        self._by_index[delta.index] = self._by_id[call_id] = call
        return call

    def find(self, call_id: str) -> Call | None:
        return self._by_id.get(call_id)

    def may_speak(self, call: Call) -> bool:
        """The first utterance of a reply is spoken, unless reply text came first; a tool may be told to be silent."""
        if call.spec is None or not call.spec.say:
            return False
        return self.speaker is call or (self.speaker is None and not self.has_text)

    def close(self) -> None:
        for call in self.calls:
            call.close()

    def must_wait(self, call: Call, *, replying: bool) -> bool:
        """Whether a call that has been read may not run yet; `replying`: the model is still at its reply."""
        spec = call.spec
        if spec is None or call.arguments is None:
            return False
        if spec.effects == "irreversible" and replying:
            return True
        running = [other for other in self.calls if other.running]
        alone = spec.exits or not spec.parallel
        return bool(running) and (alone or any(other.spec and not other.spec.parallel for other in running))

    def fault(self, call: Call, tools: dict[str, ToolSpec], before: tuple[Message, ...]) -> str | None:
        """Why a call may not run, in words for the model; `before` are the turn's finished steps."""
        if call.spec is None:
            return f"There is no tool named {call.name!r}. The tools are: {', '.join(tools) or 'none'}."
        if call.arguments is None:
            return "The arguments are not one JSON object. Call again with valid JSON."
        if call.spec.duplicate == "reject" and self._was_called(call, before):
            return f"{call.name} was already called with these arguments in this turn; use that result."
        return call.spec.check(call.arguments)

    def _was_called(self, call: Call, before: tuple[Message, ...]) -> bool:
        made = [(past.name, past.arguments) for message in before for past in message.tool_calls]
        made += [(past.name, past.canonical) for past in self.calls[: self.calls.index(call)]]
        return (call.name, call.canonical) in made

    @property
    def exits(self) -> list[ToolSpec]:
        """The tools called here, with success, that end a turn."""
        return [
            call.spec
            for call in self.calls
            if call.spec and call.spec.exits and call.result and call.result.status == "ok"
        ]

    @property
    def done(self) -> bool:
        return all(call.state is CallState.DONE for call in self.calls)

    def messages(self, at: float, spoken: dict[str, str]) -> tuple[Message, ...]:
        """The assistant message and one result per call, in call order.

        `spoken` gives what was said of each call's utterance; every call must have its result by now.
        """
        calls = tuple(
            ToolCall(
                id=call.id,
                name=call.name,
                arguments=call.canonical,
                utterance=call.scanner.utterance,
                heard=None if call.scanner.utterance is None else spoken.get(call.id, ""),
            )
            for call in self.calls
        )
        said = Message(role="assistant", text=self.text, at=at, tool_calls=calls, opaque=tuple(self._opaque))
        results = tuple(
            Message(role="tool", text=call.result.output, at=at, tool_call_id=call.id)
            for call in self.calls
            if call.result is not None
        )
        return (said, *results)
