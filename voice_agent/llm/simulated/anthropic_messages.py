"""The simulated model as Anthropic Messages writes it."""

import hashlib
from typing import Any, assert_never

import msgspec

from voice_agent.llm.simulated.answer import (
    Arguments,
    Opening,
    Piece,
    SimulatedFormat,
    SimulatedReply,
    Thought,
    Tokens,
    Word,
)
from voice_agent.llm.simulated.messages_rules import read_request
from voice_agent.llm.simulated.messages_shape import signature_of
from voice_agent.llm.simulated.request import SimulatedRequest

_REASONS = {
    "stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal",
    "refusal": "refusal",
}  # fmt: skip
_ERRORS = {
    400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error",
    529: "overloaded_error",
}  # fmt: skip
_SUPPORTED = {"supported": True}
# The answer to a GET of /v1/models.
MODELS = {
    "data": [
        {
            "id": "simulated",
            "type": "model",
            "display_name": "Simulated",
            "created_at": "2026-01-01T00:00:00Z",
            "lifecycle": "active",
            "max_input_tokens": 200_000,
            "max_tokens": 64_000,
            "capabilities": {
                "thinking": {
                    "supported": True,
                    "types": {
                        "adaptive": _SUPPORTED,
                        "between_tools": {"supported": False},
                        "disabled": _SUPPORTED,
                        "enabled": _SUPPORTED,
                    },
                },
            },
        }
    ],
    "has_more": False,
    "first_id": "simulated",
    "last_id": "simulated",
}


class _Blocks:
    """The reply's blocks under construction, which number themselves."""

    def __init__(self, request: SimulatedRequest) -> None:
        # Ids are never given twice in a conversation, and depend on nothing but the request.
        self._prefix = f"toolu_{len(request.messages)}"
        self.done: list[dict[str, Any]] = []

    def opens(self, piece: Piece) -> bool:
        """Whether the piece begins a block of its own."""
        latest = self.done[-1]["type"] if self.done else None
        match piece:
            case Word():
                return latest != "text"
            case Thought(redacted=redacted):
                return redacted or latest != "thinking"
            case Opening():
                return True
            case Arguments():
                return False
            case _:
                assert_never(piece)

    def begin(self, piece: Piece) -> dict[str, Any]:
        """The block as it begins, before the piece is added."""
        block: dict[str, Any]
        match piece:
            case Word():
                block = {"type": "text", "text": ""}
            case Thought(text=text, redacted=True):
                block = {"type": "redacted_thinking", "data": hashlib.sha256(text.encode()).hexdigest()}
            case Thought():
                block = {"type": "thinking", "thinking": "", "signature": ""}
            case Opening(number=number, name=name):
                block = {"type": "tool_use", "id": f"{self._prefix}_{number}", "name": name, "input": {}}
            case _:
                raise ValueError("arguments begin no block")
        self.done.append({**block, "json": ""})
        return block

    def add(self, piece: Piece) -> dict[str, Any] | None:
        """The delta that the piece makes; None if the block as it began says it all."""
        block = self.done[-1]
        match piece:
            case Word(text=text):
                block["text"] += text
                return {"type": "text_delta", "text": text}
            case Thought(text=text, redacted=False):
                block["thinking"] += text
                return {"type": "thinking_delta", "thinking": text}
            case Arguments(json=json):
                block["json"] += json
                return {"type": "input_json_delta", "partial_json": json}
            case Thought() | Opening():
                return None
            case _:
                assert_never(piece)


def _stream(request: SimulatedRequest, reply: SimulatedReply) -> tuple[tuple[bytes, ...], bytes]:
    blocks, tokens = _Blocks(request), []
    before = _event("message_start", message=_message(request, reply.tokens)) + _event("ping")
    for piece in reply.pieces:
        sent, before = before, b""
        if blocks.opens(piece):
            sent += _end(blocks)
            block = blocks.begin(piece)
            sent += _event("content_block_start", index=len(blocks.done) - 1, content_block=block)
        delta = blocks.add(piece)
        if delta is not None:
            sent += _event("content_block_delta", index=len(blocks.done) - 1, delta=delta)
        tokens.append(sent)
    ending = {"stop_reason": _REASONS[reply.reason], "stop_sequence": None}
    tail = before + _end(blocks) + _event("message_delta", delta=ending, usage={"output_tokens": reply.tokens.output})
    return tuple(tokens), tail + _event("message_stop")


def _end(blocks: _Blocks) -> bytes:
    """What closes the block under way; a thought is signed."""
    if not blocks.done:
        return b""
    index, block = len(blocks.done) - 1, blocks.done[-1]
    sent = b""
    if block["type"] == "thinking":
        delta = {"type": "signature_delta", "signature": signature_of(block["thinking"])}
        sent = _event("content_block_delta", index=index, delta=delta)
    return sent + _event("content_block_stop", index=index)


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + msgspec.json.encode({"type": kind, **fields}) + b"\n\n"


def _document(request: SimulatedRequest, reply: SimulatedReply) -> bytes:
    blocks = _Blocks(request)
    for piece in reply.pieces:
        if blocks.opens(piece):
            blocks.begin(piece)
        blocks.add(piece)
    content = []
    for block in blocks.done:
        json = block.pop("json")
        if block["type"] == "thinking":
            block["signature"] = signature_of(block["thinking"])
        if block["type"] == "tool_use":
            block["input"] = _parsed(json)
        content.append(block)
    message = _message(request, reply.tokens)
    usage = {**message["usage"], "output_tokens": reply.tokens.output}
    return msgspec.json.encode({**message, "content": content, "stop_reason": _REASONS[reply.reason], "usage": usage})


def _message(request: SimulatedRequest, tokens: Tokens) -> dict[str, Any]:
    usage = {
        "input_tokens": tokens.input - tokens.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": tokens.cached,
        "output_tokens": 1,
    }
    ending = {"stop_reason": None, "stop_sequence": None}
    made = {"id": "msg_simulated", "type": "message", "role": "assistant", "model": request.model, "content": []}
    return {**made, **ending, "usage": usage}


def _parsed(json: str) -> Any:
    """The input of a call in a document, which cannot hold what is no JSON."""
    try:
        return msgspec.json.decode(json)
    except msgspec.DecodeError:
        return {}


def _refusal(status: int, message: str, _: str | None) -> bytes:
    error = {"type": _ERRORS.get(status, "api_error"), "message": message}
    return msgspec.json.encode({"type": "error", "error": error, "request_id": "req_simulated"})


def _too_long(tokens: int, limit: int) -> bytes:
    return _refusal(400, f"prompt is too long: {tokens} tokens > {limit} maximum", None)


ANTHROPIC_MESSAGES = SimulatedFormat(
    path="/v1/messages",
    read=read_request,
    refusal=_refusal,
    too_long=_too_long,
    stream=_stream,
    document=_document,
    malformed=b'event: content_block_delta\ndata: {"type": "content_bl\n\n',
)
