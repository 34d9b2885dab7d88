"""A run as server-sent events: each token or each message as it comes, and the run's answer at the end."""

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Literal

from gateway.api.messages import item_of
from gateway.api.run_items import run_item
from gateway.dialects import native
from voice_agent import events as ev
from voice_agent.messages import Message
from voice_agent.run_record import RunRecord
from voice_agent.runs.filing import Told
from voice_agent.runs.run import Run

KEEP_ALIVE_S = 10.0
# A run does not wait for who reads: one that is so many events behind is told of nothing more but the end.
MOST_UNREAD = 8192
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_TYPES: dict[type, str] = {
    ev.TurnStarted: "turn.started",
    ev.Spoke: "speech.delta",
    ev.Flushed: "speech.flush",
    ev.ToolCalled: "tool.started",
    ev.ToolFinished: "tool.finished",
    ev.ClientToolNeeded: "tool.request",
    ev.ApprovalNeeded: "approval.request",
    ev.TurnSpoken: "turn.spoken",
    ev.TurnEnded: "turn.ended",
    ev.Failed: "error",
}


class Feed:
    """It hears everything from the moment it is made, and forgets nothing unless its reader is far behind.

    `include`: the types of events to send, all if None.
    """

    def __init__(self, run: Run, mode: Literal["steps", "tokens"], include: Collection[str] | None) -> None:
        self._run = run
        self._mode = mode
        self._include = include
        self._told: asyncio.Queue[Told] = asyncio.Queue()
        self._deaf = False
        self._seq = 0
        # What is known by now is no news: the words that are answered, and what was told to earlier requests.
        self._shown = set(_places(run.record.messages))
        run.listeners.add(self._hear)

    async def frames(self) -> AsyncIterator[bytes]:
        """The events, several at a time where they are there already; a comment where there is nothing for long."""
        try:
            while True:
                try:
                    async with asyncio.timeout(KEEP_ALIVE_S):
                        waiting = [await self._told.get()]
                except TimeoutError:
                    yield b": nothing yet\n\n"
                    continue
                while not self._told.empty():
                    waiting.append(self._told.get_nowait())
                if frames := "".join(frame for told in waiting for frame in self._frames(told)):
                    yield frames.encode()
                if isinstance(waiting[-1], RunRecord):
                    return
        finally:
            self._run.listeners.discard(self._hear)

    def _hear(self, told: Told) -> None:
        self._deaf = self._deaf or self._told.qsize() >= MOST_UNREAD
        if not self._deaf or isinstance(told, RunRecord):
            self._told.put_nowait(told)

    def _frames(self, told: Told) -> list[str]:
        match told:
            case RunRecord():
                return [*self._messages(told), last_frame(told)]
            case ev.SaveStep():
                return self._messages(self._run.record)
            case _:
                return self._token(told)

    def _token(self, event: ev.TurnEvent) -> list[str]:
        kind = _TYPES[type(event)]
        if self._mode != "tokens" or not self._wanted(kind):
            return []
        self._seq += 1
        return [_frame(kind, native.encode(event, self._seq))]

    def _messages(self, record: RunRecord) -> list[str]:
        """Those that were not sent yet."""
        if self._mode != "steps" or not self._wanted("message"):
            return []
        places = _places(record.messages)
        new = [message for place, message in zip(places, record.messages, strict=True) if place not in self._shown]
        self._shown.update(places)
        return [_frame("message", item_of(message, record.turn_id).model_dump_json()) for message in new]

    def _wanted(self, kind: str) -> bool:
        return self._include is None or kind in self._include


def last_frame(record: RunRecord) -> str:
    """The last event of every stream."""
    return _frame("run.ended", run_item(record).model_dump_json())


def _places(messages: tuple[Message, ...]) -> list[str]:
    """What tells the messages of a turn apart: a result by its call, any other by how many came before it."""
    said = 0
    places = []
    for message in messages:
        said += message.role != "tool"
        places.append(message.tool_call_id or f"#{said}")
    return places


def _frame(kind: str, data: str) -> str:
    return f"event: {kind}\ndata: {data}\n\n"
