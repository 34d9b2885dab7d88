"""The bytes of a Chat Completions reply, as they arrive, to model events: pure, incremental, whatever the cuts.

It reads every server's shape that facts name: OpenAI, Azure, vLLM, Ollama, Groq, Gemini, DeepSeek, Mistral, OCI.
"""

from typing import Any

from voice_agent.events import FinishReason, ModelEvent, ModelFailed, ModelFinished, TextDelta
from voice_agent.llm import faults
from voice_agent.llm.chat_completions.call_pieces import CallPieces
from voice_agent.llm.chat_completions.chunk import (
    Call,
    Chunk,
    Delta,
    Function,
    content_parts,
    decode_chunk,
    reported_usage,
    thought_signature,
)
from voice_agent.llm.chat_completions.think import Piece, ThinkTags
from voice_agent.llm.sse import ReplyFrames
from voice_agent.messages import Opaque, Usage

_FIRM_REASONS: dict[str | None, FinishReason] = {
    "length": "length",
    "content_filter": "content_filter",
    "refusal": "refusal",
}


class ChatDecoder:
    """One reply. `model` names who made its opaque parts; `provider` and `secret` are for error texts."""

    def __init__(self, model: str, provider: str, secret: str | None = None) -> None:
        self._model = model
        self._provider = provider
        self._secret = secret
        self._frames = ReplyFrames()
        self._tags = ThinkTags()
        self._calls = CallPieces()
        self._reason: str | None = None
        self._refused = False
        self._usage = Usage(steps=1)
        self._out: list[ModelEvent] = []
        self.finished = False

    def feed(self, chunk: bytes) -> list[ModelEvent]:
        """The events this piece completes; nothing more once `ModelFinished` or `ModelFailed` has come."""
        for data in self._frames.feed(chunk):
            self._event(data)
        return self._take()

    def eof(self) -> list[ModelEvent]:
        """The events of the stream's end: a reply without a finish reason was cut, unless `[DONE]` came."""
        if (document := self._frames.document) is not None:
            self._document(document)
        for data in self._frames.close():
            if _is_json(data) or data.startswith(b"[DONE]"):
                self._event(data)
        if self._reason is None:
            self._fail(faults.cut(self._provider))
        self._finish()
        return self._take()

    def _take(self) -> list[ModelEvent]:
        out, self._out = self._out, []
        return out

    def _event(self, data: bytes) -> None:
        if self.finished:
            return
        if data.startswith(b"[DONE]"):
            self._finish()
            return
        try:
            self._chunk(decode_chunk(data), data)
        except faults.NOT_JSON:
            self._fail(faults.garbled(self._provider))

    def _document(self, body: bytes) -> None:
        if not body:
            return
        try:
            chunk = decode_chunk(body)
        except faults.NOT_JSON:
            error = faults.read_body(body)
            known = error != faults.ProviderError()
            self._fail(
                faults.stream_fault(self._provider, error, self._secret) if known else faults.garbled(self._provider)
            )
            return
        self._chunk(chunk, body)
        if chunk.choices:
            self._finish()
        else:
            self._fail(faults.garbled(self._provider))

    def _chunk(self, chunk: Chunk, data: bytes) -> None:
        if chunk.error or chunk.object == "error":
            error = faults.read_body(data)
            self._fail(faults.stream_fault(self._provider, error, self._secret))
            return
        if chunk.choices is None and chunk.is_foreign:
            self._fail(faults.foreign(self._provider, "Chat Completions"))
            return
        if chunk.usage is not None or chunk.x_groq is not None:
            self._usage = reported_usage(chunk) or self._usage
        for choice in chunk.choices or ():
            if choice.index:
                continue
            delta = choice.delta or choice.message
            if delta is not None:
                self._delta(delta)
            if choice.finish_reason == "error":
                self._fail(faults.stream_fault(self._provider, faults.ProviderError(), self._secret))
            # Some proxies send a reason with every chunk: the last one counts, at the end of the stream.
            self._reason = choice.finish_reason or self._reason

    def _delta(self, delta: Delta) -> None:
        if delta.reasoning_content:
            self._opaque("reasoning_content", delta.reasoning_content)
        if delta.reasoning:
            self._opaque("reasoning", delta.reasoning)
        if isinstance(delta.content, str):
            if self._tags.at_rest and "<" not in delta.content:
                if delta.content:
                    self._out.append(TextDelta(delta.content))
            else:
                self._speak(self._tags.feed(delta.content))
        elif delta.content is not None:
            self._parts(delta.content)
        if delta.refusal:
            self._refused = True
            self._out.append(TextDelta(delta.refusal))
        for call in delta.tool_calls or ():
            self._call(call)
        if delta.extra_content is not None:
            self._signature(delta.extra_content)

    def _parts(self, content: Any) -> None:
        for text, is_thought in content_parts(content):
            if is_thought:
                self._opaque("thinking", text)
            else:
                self._speak(self._tags.feed(text))

    def _call(self, call: Call) -> None:
        self._speak(self._tags.flush())
        if call.function is not None or call.id:
            function = call.function or Function()
            self._out += self._calls.feed(call.index, call.id or None, function.name, function.arguments)
        self._signature(call.extra_content)

    def _signature(self, extra_content: Any) -> None:
        signature = thought_signature(extra_content)
        if signature is not None:
            self._out.append(Opaque(self._model, "thought_signature", signature, self._calls.latest))

    def _speak(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            if piece.thought:
                self._opaque("think", piece.text)
            else:
                self._out.append(TextDelta(piece.text))

    def _opaque(self, kind: str, data: str) -> None:
        self._out.append(Opaque(self._model, kind, data))

    def _fail(self, failure: ModelFailed) -> None:
        if not self.finished:
            self.finished = True
            self._out.append(failure)

    def _finish(self) -> None:
        if self.finished:
            return
        self._speak(self._tags.flush())
        if self._calls.nameless:
            self._fail(faults.garbled(self._provider))
            return
        self._out += self._calls.finish()
        self.finished = True
        self._out.append(ModelFinished(self._finish_reason(), self._usage))

    def _finish_reason(self) -> FinishReason | None:
        if self._refused:
            return "refusal"
        if self._reason in _FIRM_REASONS:
            return _FIRM_REASONS[self._reason]
        # What was called counts, not the reason: many servers, and OpenAI for a forced tool, say `stop` with calls.
        if len(self._calls):
            return "tool_calls"
        return None if self._reason is None else "stop"


def _is_json(data: bytes) -> bool:
    try:
        decode_chunk(data)
    except faults.NOT_JSON:
        return False
    return True
