"""The simulated model as a Chat Completions server writes it."""

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
from voice_agent.llm.simulated.chat_rules import read_request
from voice_agent.llm.simulated.request import SimulatedRequest


def _stream(request: SimulatedRequest, reply: SimulatedReply) -> tuple[tuple[bytes, ...], bytes]:
    words = _words(reply)
    chunks = [{"index": 0, "delta": _delta(piece, words), "finish_reason": None} for piece in reply.pieces]
    tail = _event(request.model, [{"index": 0, "delta": {}, "finish_reason": _reason(reply)}])
    tail += _event(request.model, [], _usage(reply.tokens)) if request.include_usage else b""
    return tuple(_event(request.model, [chunk]) for chunk in chunks), tail + b"data: [DONE]\n\n"


def _delta(piece: Piece, words: str) -> dict[str, Any]:
    match piece:
        case Thought(text=text):
            return {"reasoning_content": text}
        case Word(text=text):
            return {words: text}
        case Opening(number=number, name=name):
            opening = {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": ""}}
            return {"tool_calls": [{"index": number, **opening}]}
        case Arguments(number=number, json=json):
            return {"tool_calls": [{"index": number, "function": {"arguments": json}}]}
        case _:
            assert_never(piece)


def _event(model: str, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
    return b"data: " + msgspec.json.encode(_chunk("chat.completion.chunk", model, choices, usage)) + b"\n\n"


def _chunk(kind: str, model: str, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> dict[str, Any]:
    made = {"id": "chatcmpl-simulated", "object": kind, "created": 0, "model": model}
    return {**made, "choices": choices, "usage": usage}


def _document(request: SimulatedRequest, reply: SimulatedReply) -> bytes:
    calls: list[dict[str, Any]] = []
    for piece in reply.pieces:
        match piece:
            case Opening(number=number, name=name):
                function = {"name": name, "arguments": ""}
                calls.append({"index": number, "id": f"call_{number}", "type": "function", "function": function})
            case Arguments(json=json):
                calls[-1]["function"]["arguments"] += json
            case _:
                pass
    text = "".join(piece.text for piece in reply.pieces if isinstance(piece, Word))
    content = text or (None if calls else "")
    message: dict[str, Any] = {"role": "assistant", "content": None, _words(reply): content}
    thought = "".join(piece.text for piece in reply.pieces if isinstance(piece, Thought))
    message.update({"tool_calls": calls} if calls else {}, **({"reasoning_content": thought} if thought else {}))
    choice = {"index": 0, "message": message, "finish_reason": _reason(reply)}
    return msgspec.json.encode(_chunk("chat.completion", request.model, [choice], _usage(reply.tokens)))


def _words(reply: SimulatedReply) -> str:
    """The field that the words come in."""
    return "refusal" if reply.reason == "refusal" else "content"


def _reason(reply: SimulatedReply) -> str:
    return "stop" if reply.reason == "refusal" else reply.reason


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached},
    }


def _refusal(status: int, message: str, param: str | None) -> bytes:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    if status == 429 or status >= 500:
        error["type"] = "rate_limit_error" if status == 429 else "server_error"
    return msgspec.json.encode({"error": error})


def _too_long(tokens: int, limit: int) -> bytes:
    message = (
        f"This model's maximum context length is {limit} tokens. However, your messages resulted in {tokens} tokens. "
        "Please reduce the length of the messages."
    )
    kind, code = "invalid_request_error", "context_length_exceeded"
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": "messages", "code": code}})


CHAT_COMPLETIONS = SimulatedFormat(
    path="/v1/chat/completions",
    read=read_request,
    refusal=_refusal,
    too_long=_too_long,
    stream=_stream,
    document=_document,
    malformed=b'data: {"choices": [{"del\n\n',
)
