"""The simulated model's reply as a provider would send it: status, bytes piece by piece, and how the stream ends."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal, assert_never

import msgspec

from voice_agent.clock import Clock
from voice_agent.llm.simulated.chat_rules import ChatRequest, Refused, read_request
from voice_agent.llm.simulated.script import Act, Call, Say, Script, Think
from voice_agent.llm.simulated.talk import script_for

Ending = Literal["close", "cut", "stall"]
_TOKEN = re.compile(r"\s*\S+\s*$|\s*\S+")
_STATUS_FAULTS = {
    "401": "Incorrect API key provided: sk-simu***ated.",
    "404": "The model does not exist.",
    "429": "Rate limit reached.",
    "500": "The server had an error.",
}


class Pace(msgspec.Struct, frozen=True):
    """Milliseconds to the first token, and from each to the next."""

    first_token_ms: float
    token_ms: float


class Answer(msgspec.Struct, frozen=True):
    """`tokens` are sent at the model's pace, `tail` right after the last; then the stream ends as `end` says."""

    status: int
    is_stream: bool
    tokens: tuple[bytes, ...]
    tail: bytes = b""
    end: Ending = "close"
    first_token_ms: float | None = None
    token_ms: float | None = None


def answer(body: bytes) -> Answer:
    """The answer to a Chat Completions request; a refusal (400) if it breaks a rule of OpenAI's."""
    try:
        request = read_request(body)
    except Refused as fault:
        return _refusal(400, str(fault), fault.param)
    script = script_for(request)
    if script.fault in _STATUS_FAULTS:
        return _refusal(int(script.fault), _STATUS_FAULTS[script.fault], None)
    return _reply(request, script)


async def paced(reply: Answer, pace: Pace, clock: Clock) -> AsyncIterator[bytes]:
    """The reply's bytes in time. A stalled one never ends by itself."""
    token_ms = pace.token_ms if reply.token_ms is None else reply.token_ms
    due = clock.now() + (pace.first_token_ms if reply.first_token_ms is None else reply.first_token_ms) / 1000
    for token in reply.tokens:
        await asyncio.sleep(max(0.0, due - clock.now()))
        due += token_ms / 1000
        yield token
    if reply.tail:
        yield reply.tail
    if reply.end == "stall":
        await asyncio.get_running_loop().create_future()


def _refusal(status: int, message: str, param: str | None) -> Answer:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    if status == 429 or status >= 500:
        error["type"] = "rate_limit_error" if status == 429 else "server_error"
    return Answer(status, is_stream=False, tokens=(), tail=msgspec.json.encode({"error": error}))


def _reply(request: ChatRequest, script: Script) -> Answer:
    deltas, reason = _outcome(request, script)
    usage = _usage(request, len(deltas))
    first_token_ms, token_ms = script.first_token_ms, script.token_ms
    if not request.stream or script.fault == "nonsse":
        # Pacing silent tokens makes the document as late as a stream's end would be.
        silent = (b"",) * len(deltas)
        document = _document(request.model, deltas, reason, usage)
        return Answer(200, False, silent, document, first_token_ms=first_token_ms, token_ms=token_ms)
    tokens = tuple(_event(request.model, [{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas)
    end: Ending = "close"
    match script.fault:
        case "cut" | "stall":
            tail, end = b"", script.fault
        case "malformed":
            tail = b'data: {"choices": [{"del\n\n'
        case _:
            tail = _event(request.model, [{"index": 0, "delta": {}, "finish_reason": reason}])
            tail += _event(request.model, [], usage) if request.include_usage else b""
            tail += b"data: [DONE]\n\n"
    return Answer(200, True, tokens, tail, end, first_token_ms, token_ms)


def _outcome(request: ChatRequest, script: Script) -> tuple[list[dict[str, Any]], str]:
    """The deltas that are sent and the finish reason that goes with them."""
    if script.fault == "empty":
        return [], "stop"
    deltas = list(_deltas(script.acts))
    if script.fault in ("cut", "stall", "malformed", "length", "content_filter"):
        deltas = deltas[: max(1, len(deltas) // 2)]
    if script.fault in ("length", "content_filter"):
        return deltas, script.fault
    if request.max_tokens is not None and len(deltas) > request.max_tokens:
        return deltas[: request.max_tokens], "length"
    return deltas, "tool_calls" if any(isinstance(act, Call) for act in script.acts) else "stop"


def _deltas(acts: tuple[Act, ...]) -> Iterator[dict[str, Any]]:
    calls = 0
    for act in acts:
        match act:
            case Think(text=text):
                yield from ({"reasoning_content": token} for token in _tokens(text))
            case Say(text=text):
                yield from ({"content": token} for token in _tokens(text))
            case Call(name=name, arguments=arguments, piece=size):
                opening = {"id": f"call_{calls}", "type": "function", "function": {"name": name, "arguments": ""}}
                yield {"tool_calls": [{"index": calls, **opening}]}
                for start in range(0, len(arguments), size):
                    piece = arguments[start : start + size]
                    yield {"tool_calls": [{"index": calls, "function": {"arguments": piece}}]}
                calls += 1
            case _:
                assert_never(act)


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def _event(model: str, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
    chunk = {
        "id": "chatcmpl-simulated",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": model,
        "choices": choices,
        "usage": usage,
    }
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


def _document(model: str, deltas: list[dict[str, Any]], reason: str, usage: dict[str, Any]) -> bytes:
    calls: list[dict[str, Any]] = []
    for delta in deltas:
        for call in delta.get("tool_calls", ()):
            if "id" in call:
                calls.append({**call, "function": dict(call["function"])})
            else:
                calls[-1]["function"]["arguments"] += call["function"]["arguments"]
    text = "".join(delta.get("content", "") for delta in deltas)
    message: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else "")}
    thought = "".join(delta.get("reasoning_content", "") for delta in deltas)
    message.update({"tool_calls": calls} if calls else {}, **({"reasoning_content": thought} if thought else {}))
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return msgspec.json.encode(
        {
            "id": "chatcmpl-simulated",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [choice],
            "usage": usage,
        }
    )


def _usage(request: ChatRequest, output: int) -> dict[str, Any]:
    """Four bytes to a token. What a perfect prefix cache would hold: the request that the last reply answered."""
    sizes = [len(msgspec.json.encode(message)) // 4 for message in request.messages]
    replies = [position for position, message in enumerate(request.messages) if message["role"] == "assistant"]
    tools = len(msgspec.json.encode(request.tools)) // 4 if request.tools else 0
    cached = tools + sum(sizes[: replies[-1]]) if replies else 0
    total = tools + sum(sizes)
    return {
        "prompt_tokens": total,
        "completion_tokens": output,
        "total_tokens": total + output,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
