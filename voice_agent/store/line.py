"""A connection to a Redis or Valkey server on which commands do not wait for each other: replies come in their order.

redis-py opens it, with all that a URL can ask for, and hands its transport over: a command costs a quarter here of what
it takes through redis-py's client, and commands that are under way together share the server's write to disk.
"""

import asyncio
from collections import deque
from typing import Any, NamedTuple, cast

from hiredis import Reader
from redis import exceptions as faults
from redis.asyncio.connection import Connection, DefaultParser


class _Asked(NamedTuple):
    """Commands that were sent together: how many, what of their replies has come, and by when the rest must have."""

    commands: int
    replies: list[Any]
    answer: asyncio.Future[list[Any]]
    due: float


class Line(asyncio.Protocol):
    """An open connection. What breaks it, or keeps it waiting for `timeout_s`, fails all that is under way on it."""

    def __init__(self, connection: Connection, timeout_s: float) -> None:
        """Take a connection over from redis-py, which just opened it and has nothing under way."""
        self._loop = asyncio.get_running_loop()
        self._writer = cast(asyncio.StreamWriter, connection._writer)  # noqa: SLF001 - closes its transport when dropped
        connection._writer = connection._reader = None  # noqa: SLF001
        self._transport = cast(asyncio.Transport, self._writer.transport)
        self._reader = Reader(protocolError=faults.InvalidResponse, replyError=DefaultParser.parse_error)
        self._timeout_s = timeout_s
        self._waiting: deque[_Asked] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.is_open = not self._transport.is_closing()
        self._transport.set_protocol(self)

    def send(self, packed: bytes, commands: int) -> asyncio.Future[list[Any]]:
        """Send so many commands. Their replies, errors among them; a reply that nobody awaits any more is dropped."""
        answer: asyncio.Future[list[Any]] = self._loop.create_future()
        due = self._loop.time() + self._timeout_s
        self._waiting.append(_Asked(commands, [], answer, due))
        self._transport.write(packed)
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._look)
        return answer

    def close(self) -> None:
        """Let go of the connection, and of all that is under way on it."""
        self._end(faults.ConnectionError("the connection was closed"))

    # ---- asyncio.Protocol ----

    def data_received(self, data: bytes) -> None:
        """Hand replies to those who wait for them."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except faults.RedisError as fault:
            self._end(fault)

    def eof_received(self) -> None:
        """The server has gone."""
        self._end(faults.ConnectionError("the server closed the connection"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection broke."""
        self._end(faults.ConnectionError(str(exc) if exc else "the connection was lost"))

    # ---- bits ----

    def _take(self, reply: Any) -> None:
        if not self._waiting:
            raise faults.InvalidResponse("the server answered what nobody had asked")
        asked = self._waiting[0]
        asked.replies.append(reply)
        if len(asked.replies) == asked.commands:
            self._waiting.popleft()
            if not asked.answer.done():
                asked.answer.set_result(asked.replies)

    def _look(self) -> None:
        """One timer, moved when it fires and is not needed: commands come far more often than stalls."""
        self._timer = None
        if not self._waiting:
            return
        due = self._waiting[0].due
        if due > self._loop.time():
            self._timer = self._loop.call_at(due, self._look)
        else:
            self._end(faults.TimeoutError(f"no answer within {self._timeout_s:g} s"))

    def _end(self, fault: Exception) -> None:
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport.close()
        waiting, self._waiting = self._waiting, deque()
        for asked in waiting:
            if not asked.answer.done():
                asked.answer.set_exception(fault)
