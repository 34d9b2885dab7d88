"""A request's messages as every wire format needs them: each call with its result beside it, gaps filled."""

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import msgspec

from voice_agent.messages import Message, Opaque, ToolCall
from voice_agent.prompt import provider_text

W = TypeVar("W")
_NO_RESULT = "no result was recorded"
_EMPTY_RESULT = "(empty)"
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
_NAME_CHARS = 64


class Result(NamedTuple):
    """What a call gave, as the model reads it, never blank; the call has a name that every provider takes."""

    call: ToolCall
    text: str
    failed: bool


class Line(NamedTuple):
    """One message that is no result: what it says (may be empty), its opaque parts to replay, its calls' results.

    `before`: the fillers that were heard before it. They are one message with it: not every server takes two of the
    assistant's in a row.
    """

    message: Message
    text: str
    opaque: tuple[Opaque, ...]
    results: tuple[Result, ...]
    is_live: bool
    before: str = ""


def lines(messages: tuple[Message, ...], maker: str, *, is_live: bool) -> Iterator[Line]:
    """Messages of whole turns, oldest first; linear in their number.

    A result stands with its call wherever among them it was recorded, one per call and in call order: a history with a
    gap would be refused in every turn to come. Opaque parts are those that `maker` made; where they are not `is_live`
    (of a turn that is over), reasoning is not to go back (facts/providers.md, sections 1.5 and 2.5).
    """
    waiting: defaultdict[str | None, deque[Message]] = defaultdict(deque)
    for message in messages:
        if message.role == "tool":
            waiting[message.tool_call_id].append(message)
    fillers: list[Message] = []
    for message in messages:
        if message.role == "tool":
            continue
        if message.filler:
            fillers.append(message)
            continue
        if fillers and not message.is_reply:
            yield _alone(fillers, is_live=is_live)
        results = tuple(_result(call, waiting[call.id]) for call in message.tool_calls)
        opaque = tuple(part for part in message.opaque if part.model == maker)
        before = _heard(fillers) if message.is_reply else ""
        yield Line(message, provider_text(message, before), opaque, results, is_live, before)
        fillers = []
    if fillers:
        yield _alone(fillers, is_live=is_live)


def _alone(fillers: list[Message], *, is_live: bool) -> Line:
    """Fillers that nothing was said after."""
    before = _heard(fillers[:-1])
    return Line(fillers[-1], provider_text(fillers[-1], before), (), (), is_live, before)


def _heard(fillers: list[Message]) -> str:
    texts = (filler.text if filler.heard is None else filler.heard for filler in fillers)
    return " ".join(text for text in texts if text.strip())


class Kept:
    """The settled history as a format wrote it for the last request: it only grows at its end, so that the next request
    costs what is new in it. One is good for one format, maker and capability.
    """

    def __init__(self) -> None:
        self._messages: tuple[Message, ...] = ()
        self._written: Any = None

    def history(
        self, messages: tuple[Message, ...], maker: str, new: Callable[[], W], write: Callable[[W, Line], None]
    ) -> W:
        """All of a history, each line put by `write` on what `new` makes; kept, and not the caller's to change."""
        if self._written is None or messages[: len(self._messages)] != self._messages:
            self._messages, self._written = (), new()
        written: W = self._written
        for line in lines(messages[len(self._messages) :], maker, is_live=False):
            write(written, line)
        self._messages = messages
        return written


def _result(call: ToolCall, waiting: deque[Message]) -> Result:
    # A model may have called what has no such name, and a history that holds one is refused in every turn to come.
    call = msgspec.structs.replace(call, name=_NOT_IN_NAMES.sub("_", call.name)[:_NAME_CHARS] or "_")
    if not waiting:
        return Result(call, _NO_RESULT, failed=True)
    message = waiting.popleft()
    text = provider_text(message)
    return Result(call, text if text.strip() else _EMPTY_RESULT, message.failed)
