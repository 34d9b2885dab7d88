"""Connections to a Redis or Valkey server, each taken by one command at a time.

redis-py's connections, without its pool and client, which spend three times as long on a command as these do.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from redis import exceptions as faults
from redis.asyncio import Redis
from redis.asyncio.connection import Connection as RedisConnection
from redis.asyncio.connection import ConnectionPool, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from voice_agent.store.base import StoreError

Argument = str | bytes | int
CONNECTIONS = 32
TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 2.0


class Lines:
    """What breaks, is cancelled or overdue closes its connection, which redis-py opens anew for the next command."""

    def __init__(self, url: str, where: str, timeout_s: float | None = None) -> None:
        """`timeout_s` is for a whole command, and else the URL's `socket_timeout`. Raises StoreError."""
        try:
            options = _options(url)
            self._timeout_s = timeout_s or options.pop("socket_timeout")
            self._pool = ConnectionPool(**options | {"socket_timeout": None})
            self._client = Redis(connection_pool=self._pool)  # for the shapes that it gives to replies
            self._free = [self._made()]
        except (ValueError, TypeError, faults.RedisError) as fault:
            raise StoreError(f"the URL of the store at {where} has an option that cannot be used: {fault}") from None
        self._closed = False
        self._places = asyncio.Semaphore(options["max_connections"])

    async def ask(self, *command: Argument) -> Any:
        """The reply to one command."""
        async with asyncio.timeout(self._timeout_s), self._line() as line:
            await line.send_command(*command)
            return await self._reply(line, command)

    async def ask_all(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        """The replies to commands that are sent as one. Raises the first that is an error, when all have been read."""
        async with asyncio.timeout(self._timeout_s), self._line() as line:
            await line.send_packed_command(line.pack_commands(commands))
            replies = []
            for command in commands:
                try:
                    replies.append(await self._reply(line, command))
                except faults.ResponseError as fault:
                    replies.append(fault)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    async def aclose(self) -> None:
        """Close every connection that is not in use; those that are close after their commands."""
        self._closed = True
        for line in self._free:
            await line.disconnect()

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[RedisConnection]:
        async with self._places:
            line = self._free.pop() if self._free else self._made()
            try:
                if line.is_connected and await self._has_ended(line):
                    await line.disconnect(nowait=True)
                yield line
            finally:
                if self._closed:
                    await line.disconnect()
                else:
                    self._free.append(line)

    async def _reply(self, line: RedisConnection, command: Sequence[Argument]) -> Any:
        return await self._client.parse_response(line, str(command[0]))

    async def _has_ended(self, line: RedisConnection) -> bool:
        """Whether there is anything to read before anything was asked: its end, or words that nobody waits for."""
        try:
            return await line.can_read()
        except (faults.RedisError, OSError):
            return True

    def _made(self) -> RedisConnection:
        return cast(RedisConnection, self._pool.make_connection())  # type: ignore[no-untyped-call]


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
