"""The connections to a Redis or Valkey server: one that all commands share, and one for each command that blocks."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from hiredis import pack_command
from redis import exceptions as faults
from redis.asyncio import Redis
from redis.asyncio.connection import Connection as RedisConnection
from redis.asyncio.connection import ConnectionPool, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from voice_agent.store.base import StoreError
from voice_agent.store.line import Line

Argument = str | bytes | int
CONNECTIONS = 32
TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 2.0


class Lines:
    """A connection that was lost is opened anew for the next command."""

    def __init__(self, url: str, where: str, wait_timeout_s: float) -> None:
        """Commands have the URL's `socket_timeout`, those that block `wait_timeout_s`. Raises StoreError."""
        try:
            options = _options(url)
            self._timeout_s = float(options["socket_timeout"])
            self._pool = ConnectionPool(**options)
            # For the shapes that redis-py gives to replies.
            self._shapes = Redis(connection_pool=self._pool).response_callbacks
            self._made()
        except (ValueError, TypeError, faults.RedisError) as fault:
            raise StoreError(f"the URL of the store at {where} has an option that cannot be used: {fault}") from None
        self._wait_timeout_s = wait_timeout_s
        self._shared: Line | None = None
        self._opening = asyncio.Lock()
        self._free: list[Line] = []
        self._places = asyncio.Semaphore(options["max_connections"])
        self._closed = False

    async def ask(self, *command: Argument) -> Any:
        """The reply to one command."""
        line = self._shared
        if line is None or not line.is_open:
            line = await self._shared_line()
        (reply,) = await line.send(_packed(command), 1)
        return self._shaped(command, reply)

    async def ask_all(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        """The replies to commands that are sent as one. Raises the first that is an error."""
        if not commands:
            return []
        line = await self._shared_line()
        replies = await line.send(b"".join(map(_packed, commands)), len(commands))
        return [self._shaped(command, reply) for command, reply in zip(commands, replies, strict=True)]

    async def wait(self, *command: Argument) -> Any:
        """The reply to a command that blocks."""
        async with self._own_line() as line:
            (reply,) = await line.send(_packed(command), 1)
        return self._shaped(command, reply)

    async def aclose(self) -> None:
        """Close every connection that is not in use; those that are close after their commands."""
        self._closed = True
        for line in (*self._free, *([self._shared] if self._shared else ())):
            line.close()

    def _shaped(self, command: Sequence[Argument], reply: Any) -> Any:
        if isinstance(reply, Exception):
            raise reply
        shape = self._shapes.get(str(command[0]))
        return reply if shape is None else shape(reply)

    async def _shared_line(self) -> Line:
        async with self._opening:
            if self._shared is None or not self._shared.is_open:
                self._shared = await self._opened(self._timeout_s)
            return self._shared

    @asynccontextmanager
    async def _own_line(self) -> AsyncIterator[Line]:
        """A connection for one command: cancelled, it is closed, as what it was asked may be answered much later."""
        async with self._places:
            self._free = [line for line in self._free if line.is_open]
            line = self._free.pop() if self._free else await self._opened(self._wait_timeout_s)
            try:
                yield line
            except asyncio.CancelledError:
                line.close()
                raise
            if self._closed:
                line.close()
            else:
                self._free.append(line)

    async def _opened(self, timeout_s: float) -> Line:
        connection = self._made()
        async with asyncio.timeout(self._timeout_s):
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
        return Line(connection, timeout_s)

    def _made(self) -> RedisConnection:
        return cast(RedisConnection, self._pool.make_connection())  # type: ignore[no-untyped-call]


def _packed(command: tuple[Argument, ...]) -> bytes:
    return cast(bytes, pack_command(cast(Any, command)))


def _options(url: str) -> dict[str, Any]:
    """What redis-py makes of a URL. Replies have one shape here, whatever it says."""
    fixed: dict[str, Any] = {
        "protocol": 2,
        "legacy_responses": False,
        "decode_responses": False,
        "retry": Retry(NoBackoff(), 0),
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        "driver_info": None,
    }
    defaults: dict[str, Any] = {
        "max_connections": CONNECTIONS,
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
    }
    return defaults | dict(parse_url(url)) | fixed
