"""The simulated model's reply as a provider would send it: status, bytes piece by piece, and how the stream ends."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Literal, NamedTuple, assert_never

import msgspec

from voice_agent.clock import Clock
from voice_agent.events import FinishReason
from voice_agent.llm.simulated.request import Refused, SimulatedRequest
from voice_agent.llm.simulated.script import ARRIVED, LEFT, Act, Call, Say, Script, Think, read_limit
from voice_agent.llm.simulated.talk import script_for

Ending = Literal["close", "cut", "stall"]
_TOKEN = re.compile(r"\s*\S+\s*$|\s*\S+")
_STATUS_FAULTS = {
    "401": "Incorrect API key provided: sk-simu***ated.",
    "404": "The model does not exist.",
    "429": "Rate limit reached.",
    "500": "The server had an error.",
    "529": "Overloaded.",
}


class Pace(msgspec.Struct, frozen=True):
    """Milliseconds to the first token, and from each to the next."""

    first_token_ms: float
    token_ms: float


# ---- a reply in no wire format ----


class Thought(msgspec.Struct, frozen=True):
    """A token of reasoning, or all of it where it is redacted."""

    text: str
    redacted: bool = False


class Word(msgspec.Struct, frozen=True):
    """A token of speech."""

    text: str


class Opening(msgspec.Struct, frozen=True):
    """A tool call begins; its number within the reply makes its id."""

    number: int
    name: str


class Arguments(msgspec.Struct, frozen=True):
    """A piece of the arguments of the call that was opened last."""

    number: int
    json: str


Piece = Thought | Word | Opening | Arguments


class Tokens(msgspec.Struct, frozen=True):
    """What the reply cost: `input` includes `cached`."""

    input: int
    cached: int
    output: int


class SimulatedReply(msgspec.Struct, frozen=True):
    """One reply, before it gets a wire format."""

    pieces: tuple[Piece, ...]
    reason: FinishReason
    tokens: Tokens


class SimulatedFormat(NamedTuple):
    """One provider's API from its own side: it reads strictly, and writes what the provider would.

    `read(body)` raises Refused. `refusal(status, message, param)` is the body of an error, `too_long(tokens, limit)` of
    the one (400) for a request that the model does not take. `stream(request, reply)`
    gives the bytes of each piece (what opens a stream or a block goes before the piece it precedes) and those that end
    the stream; `document(request, reply)` is the answer where no stream was asked for. `malformed` is an event that is
    no JSON.
    """

    path: str
    read: Callable[[bytes], SimulatedRequest]
    refusal: Callable[[int, str, str | None], bytes]
    too_long: Callable[[int, int], bytes]
    stream: Callable[[SimulatedRequest, SimulatedReply], tuple[tuple[bytes, ...], bytes]]
    document: Callable[[SimulatedRequest, SimulatedReply], bytes]
    malformed: bytes


# ---- the answer ----


class Answer(msgspec.Struct, frozen=True):
    """`tokens` are sent at the model's pace, `tail` right after the last; then the stream ends as `end` says.

    `retry_after_ms`: when to come again.
    """

    status: int
    is_stream: bool
    tokens: tuple[bytes, ...]
    tail: bytes = b""
    end: Ending = "close"
    first_token_ms: float | None = None
    token_ms: float | None = None
    retry_after_ms: float | None = None


def answer(body: bytes, wire: SimulatedFormat) -> Answer:
    """The answer to a request; a refusal (400) if it breaks a rule of its API's."""
    try:
        request = wire.read(body)
    except Refused as fault:
        return Answer(400, is_stream=False, tokens=(), tail=wire.refusal(400, str(fault), fault.param))
    script = script_for(request)
    size, limit = _tokens(request, 0).input, read_limit(_system(request))
    if script.fault == "overflow" or (limit is not None and size > limit):
        return Answer(400, is_stream=False, tokens=(), tail=wire.too_long(size, size - 1 if limit is None else limit))
    if script.fault in _STATUS_FAULTS:
        status = int(script.fault)
        refusal, again = wire.refusal(status, _STATUS_FAULTS[script.fault], None), script.retry_after_ms
        return Answer(status, is_stream=False, tokens=(), tail=refusal, retry_after_ms=again)
    return _reply(request, script, wire)


async def paced(reply: Answer, pace: Pace, clock: Clock, arrived: float) -> AsyncIterator[bytes]:
    """The reply's bytes in time, counted from the request's arrival. A stalled one never ends by itself."""
    token_ms = pace.token_ms if reply.token_ms is None else reply.token_ms
    due = arrived + (pace.first_token_ms if reply.first_token_ms is None else reply.first_token_ms) / 1000
    for token in reply.tokens:
        await asyncio.sleep(max(0.0, due - clock.now()))
        due += token_ms / 1000
        yield _stamped(token, arrived, clock.now()) if _LEFT in token else token
    if reply.tail:
        yield reply.tail
    if reply.end == "stall":
        await asyncio.get_running_loop().create_future()


_ARRIVED, _LEFT = ARRIVED.encode(), LEFT.encode()


def _stamped(token: bytes, arrived: float, now: float) -> bytes:
    return token.replace(_ARRIVED, b"%016d" % (arrived * 1e6)).replace(_LEFT, b"%016d" % (now * 1e6))


def _reply(request: SimulatedRequest, script: Script, wire: SimulatedFormat) -> Answer:
    reply = _outcome(request, script)
    first_token_ms, token_ms = script.first_token_ms, script.token_ms
    if not request.stream or script.fault == "nonsse":
        # Pacing silent tokens makes the document as late as a stream's end would be.
        silent = (b"",) * len(reply.pieces)
        document = wire.document(request, reply)
        return Answer(200, False, silent, document, first_token_ms=first_token_ms, token_ms=token_ms)
    tokens, tail = wire.stream(request, reply)
    end: Ending = "close"
    match script.fault:
        case "cut" | "stall":
            tail, end = b"", script.fault
        case "malformed":
            tail = wire.malformed
        case _:
            pass
    return Answer(200, True, tokens, tail, end, first_token_ms, token_ms)


def _outcome(request: SimulatedRequest, script: Script) -> SimulatedReply:
    pieces = () if script.fault == "empty" else tuple(_pieces(script.acts))
    reason: FinishReason = "tool_calls" if any(isinstance(piece, Opening) for piece in pieces) else "stop"
    if script.fault in ("cut", "stall", "malformed", "length", "content_filter", "refusal"):
        pieces = pieces[: max(1, len(pieces) // 2)]
    if script.fault in ("length", "content_filter", "refusal"):
        reason = script.fault
    elif request.max_tokens is not None and len(pieces) > request.max_tokens:
        pieces, reason = pieces[: request.max_tokens], "length"
    return SimulatedReply(pieces, reason, _tokens(request, len(pieces)))


def _pieces(acts: tuple[Act, ...]) -> Iterator[Piece]:
    calls = 0
    for act in acts:
        match act:
            case Think(text=text, redacted=redacted):
                yield from (Thought(token, redacted) for token in ([text] if redacted else _TOKEN.findall(text)))
            case Say(text=text):
                yield from map(Word, _TOKEN.findall(text))
            case Call(name=name, arguments=arguments, piece=size):
                yield Opening(calls, name)
                for start in range(0, len(arguments), size):
                    yield Arguments(calls, arguments[start : start + size])
                calls += 1
            case _:
                assert_never(act)


def _system(request: SimulatedRequest) -> str:
    """Its system text, where that is one text."""
    texts = (message.get("content") for message in request.messages if message["role"] in ("system", "developer"))
    return " ".join(text for text in texts if isinstance(text, str))


def _tokens(request: SimulatedRequest, output: int) -> Tokens:
    """Four bytes to a token. What a perfect prefix cache would hold: the request that the last reply answered."""
    sizes = [len(msgspec.json.encode(message)) // 4 for message in request.messages]
    replies = [position for position, message in enumerate(request.messages) if message["role"] == "assistant"]
    tools = len(msgspec.json.encode(request.tools)) // 4 if request.tools else 0
    cached = tools + sum(sizes[: replies[-1]]) if replies else 0
    return Tokens(tools + sum(sizes), cached, output)
