"""The bytes of a Responses reply, as they arrive, to model events: pure, incremental, whatever the cuts."""

from typing import Any

import msgspec

from voice_agent.events import FinishReason, ModelEvent, ModelFailed, ModelFinished, TextDelta, ToolCallDelta
from voice_agent.llm import faults
from voice_agent.llm.openai_responses.event import (
    Event,
    Item,
    Place,
    Reply,
    content_texts,
    decode_event,
    decode_item,
    decode_reply,
    reported_usage,
)
from voice_agent.llm.sse import ReplyFrames
from voice_agent.messages import Opaque

_INCOMPLETE: dict[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}
_ENDS = {"response.completed": "completed", "response.incomplete": "incomplete", "response.failed": "failed"}
_THOUGHTS = ("response.reasoning_summary_text.delta", "response.reasoning_text.delta")


class _Call:
    def __init__(self, number: int) -> None:
        self.number = number
        self.pieces: list[str] = []


class ResponsesDecoder:
    """One reply. `model` names who made its opaque parts; `provider` and `secret` are for error texts."""

    def __init__(self, model: str, provider: str, secret: str | None = None) -> None:
        self._model = model
        self._provider = provider
        self._secret = secret
        self._frames = ReplyFrames()
        self._calls: dict[Place, _Call] = {}
        self._begun: set[Place] = set()
        self._spoken: set[Place] = set()
        self._last_text = ""
        self._refused = False
        self._out: list[ModelEvent] = []
        self.finished = False

    def feed(self, chunk: bytes) -> list[ModelEvent]:
        """The events this piece completes; nothing more once `ModelFinished` or `ModelFailed` has come."""
        for data in self._frames.feed(chunk):
            self._data(data)
        return self._take()

    def eof(self) -> list[ModelEvent]:
        """The events of the stream's end: a reply was cut unless one of its last events came."""
        if document := self._frames.document:
            self._data(document)
        for data in self._frames.close():
            if _is_json(data):
                self._data(data)
        self._fail(faults.cut(self._provider))
        return self._take()

    def _take(self) -> list[ModelEvent]:
        out, self._out = self._out, []
        return out

    def _data(self, data: bytes) -> None:
        if self.finished or data.startswith(b"[DONE]"):
            return
        try:
            self._event(decode_event(data), data)
        except faults.NOT_JSON:
            self._fail(faults.garbled(self._provider))

    def _event(self, event: Event, data: bytes) -> None:
        match event.type:
            case "response.output_text.delta":
                self._speak(event.place(), event.delta)
            case "response.refusal.delta":
                self._refused = True
                self._speak(event.place(), event.delta)
            case "response.function_call_arguments.delta":
                self._arguments(event.place(), event.delta)
            case "response.function_call_arguments.done":
                self._rest_of_arguments(event.place(), event.arguments)
            case "response.output_item.added":
                item = decode_item(event.item)
                self._begin(event.place(item.id), item)
            case "response.output_item.done":
                item = decode_item(event.item)
                self._whole(event.place(item.id), item, event.item)
            case kind if kind in _THOUGHTS:
                # Nothing to keep, for the item holds it all, but a sign of life that keeps the turn from giving up.
                self._opaque("reasoning", "", event.place())
            case kind if kind in _ENDS:
                self._end(_ENDS[kind], decode_reply(event.response))
            case _ if event.is_foreign:
                self._fail(faults.foreign(self._provider, "OpenAI Responses"))
            case None if event.object == "response":
                reply = decode_reply(data)
                self._end(reply.status or "completed", reply)
            case "error":
                self._error(event.error or msgspec.json.decode(data))
            case None if event.error is not None:
                self._error(event.error)
            case None:
                self._fail(faults.garbled(self._provider))
            case _:
                pass  # events of kinds that nothing is needed of, and of those to come

    def _begin(self, place: Place, item: Item) -> None:
        match item.type:
            case "message":
                if self._last_text and not self._last_text[-1].isspace():
                    # Two messages in a row: their sentences must not run into each other.
                    self._speak(None, " ")
                if isinstance(item.phase, str):
                    self._opaque("phase", item.phase, place)
            case "reasoning":
                self._opaque("reasoning", "", place)
            case "function_call" if isinstance(item.name, str) and item.name:
                call = self._calls[place] = _Call(len(self._calls))
                call_id = item.call_id if isinstance(item.call_id, str) else None
                self._last_text = ""
                self._out.append(ToolCallDelta(index=call.number, id=call_id, name=item.name))
                self._arguments(place, item.arguments)
            case _:
                pass  # calls of other kinds are not asked for
        self._begun.add(place)

    def _whole(self, place: Place, item: Item, raw: msgspec.Raw) -> None:
        """An item that is complete: what of it has not come yet."""
        if place not in (self._calls if item.type == "function_call" else self._begun | self._spoken):
            self._begin(place, item)
        match item.type:
            case "function_call":
                self._rest_of_arguments(place, item.arguments)
            case "reasoning" if item.encrypted_content:
                # Without its encrypted content it could not go back: the provider keeps nothing.
                self._opaque("reasoning", str(raw, errors="replace"), place)
            case "message" if place not in self._spoken:
                for text, is_refusal in content_texts(item.content):
                    self._refused = self._refused or is_refusal
                    self._speak(place, text)
            case _:
                pass

    def _arguments(self, place: Place, piece: Any) -> None:
        call = self._calls.get(place)
        if call is not None and isinstance(piece, str) and piece:
            call.pieces.append(piece)
            self._out.append(ToolCallDelta(index=call.number, json=piece))

    def _rest_of_arguments(self, place: Place, whole: Any) -> None:
        call = self._calls.get(place)
        so_far = "" if call is None else "".join(call.pieces)
        if isinstance(whole, str) and whole.startswith(so_far):
            self._arguments(place, whole[len(so_far) :])

    def _speak(self, place: Place, text: Any) -> None:
        if isinstance(text, str) and text:
            self._spoken.add(place)
            self._last_text = text
            self._out.append(TextDelta(text))

    def _opaque(self, kind: str, data: str, place: Place) -> None:
        self._out.append(Opaque(self._model, kind, data, block=place if isinstance(place, int) else None))

    def _end(self, status: Any, reply: Reply) -> None:
        if status == "failed":
            self._error(reply.error)
            return
        if status not in ("completed", "incomplete"):
            self._fail(faults.cut(self._provider))
            return
        if not (self._begun or self._spoken):
            for number, raw in enumerate(reply.output or ()):
                self._whole(number, decode_item(raw), raw)
        for place, call in self._calls.items():
            if not call.pieces:
                self._arguments(place, "{}")
        self.finished = True
        self._out.append(ModelFinished(self._reason(status, reply.incomplete_details), reported_usage(reply.usage)))

    def _reason(self, status: Any, details: Any) -> FinishReason | None:
        if self._refused:
            return "refusal"
        if status == "incomplete":
            return _INCOMPLETE.get(str(details.get("reason"))) if isinstance(details, dict) else None
        return "tool_calls" if self._calls else "stop"

    def _error(self, error: Any) -> None:
        told = faults.read_error({"error": error}) or faults.ProviderError()
        self._fail(faults.stream_fault(self._provider, told, self._secret))

    def _fail(self, failure: ModelFailed) -> None:
        if not self.finished:
            self.finished = True
            self._out.append(failure)


def _is_json(data: bytes) -> bool:
    try:
        decode_event(data)
    except faults.NOT_JSON:
        return False
    return True
