"""The bytes of an Anthropic Messages reply, as they arrive, to model events: pure, incremental, whatever the cuts."""

from typing import Any

import msgspec

from voice_agent.events import FinishReason, ModelEvent, ModelFailed, ModelFinished, TextDelta, ToolCallDelta
from voice_agent.llm import faults
from voice_agent.llm.anthropic_messages.event import Block, Counts, Delta, Event, read_event
from voice_agent.llm.anthropic_messages.thoughts import REDACTED, SIGNATURE, THINKING
from voice_agent.llm.sse import ReplyFrames
from voice_agent.messages import Opaque

_FIRM_REASONS: dict[str | None, FinishReason] = {
    "max_tokens": "length",
    "refusal": "refusal",
}


class _Call(msgspec.Struct):
    """A tool call under way. `input` is the whole of its arguments only where no pieces come."""

    number: int
    input: Any
    has_pieces: bool = False


class MessagesDecoder:
    """One reply. `model` names who made its opaque parts; `provider` and `secret` are for error texts."""

    def __init__(self, model: str, provider: str, secret: str | None = None) -> None:
        self._model = model
        self._provider = provider
        self._secret = secret
        self._frames = ReplyFrames()
        self._calls = 0
        self._open_calls: dict[int, _Call] = {}
        self._thinking: int | None = None
        self._ignored: set[int] = set()
        self._reason: str | None = None
        self._counts = Counts()
        self._out: list[ModelEvent] = []
        self.finished = False

    def feed(self, chunk: bytes) -> list[ModelEvent]:
        """The events this piece completes; nothing more once `ModelFinished` or `ModelFailed` has come."""
        for data in self._frames.feed(chunk):
            self._data(data)
        return self._take()

    def eof(self) -> list[ModelEvent]:
        """The events of the stream's end: a reply without a stop reason was cut, unless `message_stop` came."""
        if document := self._frames.document:
            self._data(document)
        for data in self._frames.close():
            if _is_json(data):
                self._data(data)
        if self._reason is None:
            self._fail(faults.cut(self._provider))
        self._finish()
        return self._take()

    def _take(self) -> list[ModelEvent]:
        out, self._out = self._out, []
        return out

    def _data(self, data: bytes) -> None:
        if self.finished or data.startswith(b"[DONE]"):
            return
        try:
            event = read_event(data)
        except faults.NOT_JSON:
            self._fail(faults.garbled(self._provider))
            return
        if event.is_foreign:
            self._fail(faults.foreign(self._provider, "Anthropic Messages"))
        elif event.error is not None:
            error = faults.read_error({"error": event.error}) or faults.ProviderError()
            self._fail(faults.stream_fault(self._provider, error, self._secret))
        else:
            self._event(event)

    def _event(self, event: Event) -> None:
        index = event.index or 0
        match event:
            case Event(type="message_start", message=message) if message is not None:
                self._counts.read(message.usage)
            case Event(type="content_block_start", content_block=block) if block is not None:
                self._start(index, block)
            case Event(type="content_block_delta", delta=delta) if delta is not None:
                self._piece(index, delta)
            case Event(type="content_block_stop"):
                self._stop(index)
            case Event(type="message_delta"):
                self._counts.read(event.usage)
                self._reason = (event.delta and event.delta.stop_reason) or self._reason
            case Event(type="message_stop"):
                self._finish()
            case Event(type="message", content=content) if content is not None:
                self._document(event, content)
            case Event(type="ping") if self._thinking is not None:
                # A sign of life in the middle of a thought that is not shown: it keeps the turn from giving up.
                self._opaque(THINKING, "", self._thinking)
            case Event(type="") | Event(type="message"):
                self._fail(faults.garbled(self._provider))
            case _:
                pass  # a version may get further events

    def _document(self, event: Event, content: list[Block]) -> None:
        for index, block in enumerate(content):
            self._start(index, block)
            self._stop(index)
        self._counts.read(event.usage)
        self._reason = event.stop_reason
        self._finish()

    def _start(self, index: int, block: Block) -> None:
        match block.type:
            case "text":
                self._speak(block.text)
            case "thinking":
                self._thinking = index
                self._opaque(THINKING, block.thinking or "", index)
                self._sign(block.signature, index)
            case "redacted_thinking":
                self._opaque(REDACTED, block.data or "", index)
            case "tool_use" if block.name:
                self._open_calls[index] = _Call(self._calls, block.input)
                self._out.append(ToolCallDelta(index=self._calls, id=block.id or None, name=block.name))
                self._calls += 1
            case "tool_use":
                self._fail(faults.garbled(self._provider))
            case _:
                self._ignored.add(index)

    def _piece(self, index: int, delta: Delta) -> None:
        if index in self._ignored:
            return
        match delta.type:
            case "text_delta":
                self._speak(delta.text)
            case "thinking_delta":
                self._opaque(THINKING, delta.thinking or "", index)
            case "signature_delta":
                self._sign(delta.signature, index)
            case "input_json_delta" if delta.partial_json and (call := self._open_calls.get(index)):
                call.has_pieces = True
                self._out.append(ToolCallDelta(index=call.number, json=delta.partial_json))
            case _:
                pass

    def _stop(self, index: int) -> None:
        if index == self._thinking:
            self._thinking = None
        call = self._open_calls.pop(index, None)
        if call is not None and not call.has_pieces:
            whole = msgspec.json.encode(call.input or {}).decode()
            self._out.append(ToolCallDelta(index=call.number, json=whole))

    def _speak(self, text: str | None) -> None:
        if text:
            self._out.append(TextDelta(text))

    def _sign(self, signature: str | None, index: int) -> None:
        if signature:
            self._thinking = None
            self._opaque(SIGNATURE, signature, index)

    def _opaque(self, kind: str, data: str, index: int) -> None:
        self._out.append(Opaque(self._model, kind, data, block=index))

    def _fail(self, failure: ModelFailed) -> None:
        if not self.finished:
            self.finished = True
            self._out.append(failure)

    def _finish(self) -> None:
        if self.finished:
            return
        if self._reason == "model_context_window_exceeded":
            self._fail(faults.overflow(self._provider))
            return
        for index in sorted(self._open_calls):
            self._stop(index)
        self.finished = True
        self._out.append(ModelFinished(self._finish_reason(), self._counts.total()))

    def _finish_reason(self) -> FinishReason | None:
        if self._reason in _FIRM_REASONS:
            return _FIRM_REASONS[self._reason]
        # What was called counts: servers that imitate this API end calls with other reasons, too.
        if self._calls:
            return "tool_calls"
        return None if self._reason is None else "stop"


def _is_json(data: bytes) -> bool:
    try:
        read_event(data)
    except faults.NOT_JSON:
        return False
    return True
