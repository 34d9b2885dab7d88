"""The simulated model as OpenAI Responses writes it."""

from itertools import count
from typing import Any

import msgspec

from voice_agent.llm.simulated.answer import Opening, Piece, SimulatedFormat, SimulatedReply, Thought
from voice_agent.llm.simulated.request import SimulatedRequest
from voice_agent.llm.simulated.responses_output import INCOMPLETE, Item, output_items, piece_text
from voice_agent.llm.simulated.responses_rules import read_request


class _Events:
    """Writes numbered events."""

    def __init__(self) -> None:
        self._numbers = count()

    def __call__(self, kind: str, **fields: Any) -> bytes:
        event = {"type": kind, "sequence_number": next(self._numbers), **fields}
        return f"event: {kind}\ndata: ".encode() + msgspec.json.encode(event) + b"\n\n"


def _stream(request: SimulatedRequest, reply: SimulatedReply) -> tuple[tuple[bytes, ...], bytes]:
    event, items = _Events(), output_items(request, reply)
    begun = {**_response(request, reply, []), "status": "in_progress", "incomplete_details": None, "usage": None}
    before = event("response.created", response=begun) + event("response.in_progress", response=begun)
    tokens = []
    for item in items:
        before += event("response.output_item.added", output_index=item.place, item=_begun(item.whole))
        before += _part(event, item, "added")
        for piece in item.pieces:
            tokens.append(before + _delta(event, item, piece))
            before = b""
        before += _whole_text(event, item) + _part(event, item, "done")
        before += event("response.output_item.done", output_index=item.place, item=item.whole)
    response = _response(request, reply, [item.whole for item in items])
    return tuple(tokens), before + event(f"response.{response['status']}", response=response)


def _document(request: SimulatedRequest, reply: SimulatedReply) -> bytes:
    return msgspec.json.encode(_response(request, reply, [item.whole for item in output_items(request, reply)]))


# ---- events of an item ----


def _begun(whole: dict[str, Any]) -> dict[str, Any]:
    """The item as it is when it begins."""
    empty: dict[str, Any] = {"summary": [], "content": [], "arguments": "", "encrypted_content": None}
    return {**whole, **{name: value for name, value in empty.items() if name in whole}, "status": "in_progress"}


def _where(item: Item) -> dict[str, Any]:
    indices = {"reasoning": {"summary_index": 0}, "message": {"content_index": 0}}
    return {"item_id": item.whole["id"], "output_index": item.place, **indices.get(item.whole["type"], {})}


def _part(event: _Events, item: Item, what: str) -> bytes:
    """The one part of a message or of reasoning begins or is done; a call has none."""
    match item.whole:
        case {"type": "message", "content": [part]}:
            name, field = "content_part", "refusal" if part["type"] == "refusal" else "text"
        case {"type": "reasoning", "summary": [part]}:
            name, field = "reasoning_summary_part", "text"
        case _:
            return b""
    shown = {**part, field: ""} if what == "added" else part
    return event(f"response.{name}.{what}", part=shown, **_where(item))


def _delta(event: _Events, item: Item, piece: Piece) -> bytes:
    """Nothing for what opens a call, which the item's own event tells, and for reasoning that is not shown."""
    kind = _kind(item)
    if kind is None or isinstance(piece, Opening):
        return b""
    logprobs: dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
    return event(f"response.{kind}.delta", delta=piece_text(piece), **_where(item), **logprobs)


def _whole_text(event: _Events, item: Item) -> bytes:
    kind = _kind(item)
    if kind is None:
        return b""
    name = {"function_call_arguments": "arguments", "refusal": "refusal"}.get(kind, "text")
    logprobs: dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
    return event(f"response.{kind}.done", **{name: item.text}, **_where(item), **logprobs)


def _kind(item: Item) -> str | None:
    """What the events that carry the item's text are called."""
    match item.whole:
        case {"type": "message", "content": [{"type": kind}]}:
            return str(kind)
        case {"type": "reasoning", "summary": summary}:
            return "reasoning_summary_text" if summary else None
        case _:
            return "function_call_arguments"


# ---- the response ----


def _response(request: SimulatedRequest, reply: SimulatedReply, output: list[dict[str, Any]]) -> dict[str, Any]:
    cause = INCOMPLETE.get(reply.reason)
    tools = [
        {"type": "function", "name": name, "parameters": schema, "strict": False}
        for name, schema in request.tools.items()
    ]
    return {
        "id": f"resp_{len(request.messages)}",
        "object": "response",
        "created_at": 0,
        "model": request.model,
        "status": "incomplete" if cause else "completed",
        "error": None,
        "incomplete_details": {"reason": cause} if cause else None,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": request.tool_choice,
        "tools": tools,
        "store": False,
        "usage": _usage(reply),
    }


def _usage(reply: SimulatedReply) -> dict[str, Any]:
    tokens = reply.tokens
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": 0},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": sum(isinstance(piece, Thought) for piece in reply.pieces)},
        "total_tokens": tokens.input + tokens.output,
    }


def _refusal(status: int, message: str, param: str | None) -> bytes:
    kinds = {401: "authentication_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": param, "code": None}})


def _too_long(_tokens: int, _limit: int) -> bytes:
    message = "Your input exceeds the context window of this model. Please adjust your input and try again."
    kind, code = "invalid_request_error", "context_length_exceeded"
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": "input", "code": code}})


OPENAI_RESPONSES = SimulatedFormat(
    path="/v1/responses",
    read=read_request,
    refusal=_refusal,
    too_long=_too_long,
    stream=_stream,
    document=_document,
    malformed=b'event: response.output_text.delta\ndata: {"type": "response.out\n\n',
)
