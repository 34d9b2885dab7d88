"""Exchanges with a provider as somebody looks on: each is handed over when it ends, however it ends.

Whoever is not looked at never comes through here.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping

import msgspec

from voice_agent.llm.faults import masked
from voice_agent.llm.wire import Endpoint, Pool, Reply
from voice_agent.run_record import Trace, traced

Observe = Callable[[Trace], None]
# A shorter one is none ("any", for a server that asks for none), and may be part of any word.
_SHORTEST_KEY = 8


class Exchange:
    """One request and what has come of its answer, until it is `over`."""

    def __init__(self, body: bytes, key: str | None, observe: Observe, status: int | None = None) -> None:
        self.status = status
        self._body = body
        self._key = key
        self._observe = observe
        self._pieces: list[bytes] = []

    def take(self, piece: bytes) -> None:
        """More of the answer's body."""
        self._pieces.append(piece)

    def over(self) -> None:
        """Hand over what there was, without the key."""
        answer = without_key(b"".join(self._pieces), self._key).decode(errors="replace")
        if self.status in (401, 403):  # where providers repeat parts of the key
            answer = masked(answer, None)
        self._observe(Trace(msgspec.Raw(without_key(self._body, self._key)), self.status, traced(answer)))


class ObservedReply:
    """A reply whose bytes are seen on their way; the rest is as with `Reply`."""

    def __init__(self, reply: Reply, exchange: Exchange) -> None:
        self._reply = reply
        self._exchange = exchange
        self.status = exchange.status = reply.status
        self.retry_after_s = reply.retry_after_s

    async def stream(self, take: Callable[[bytes], bool]) -> None:
        """See `Reply.stream`."""

        def seen(piece: bytes) -> bool:
            self._exchange.take(piece)
            return take(piece)

        await self._reply.stream(seen)

    async def read(self) -> bytes:
        """See `Reply.read`."""
        body = await self._reply.read()
        self._exchange.take(body)
        return body


class ObservedPool:
    """A pool's connections; each request on them, and its answer, are handed to `observe`."""

    def __init__(self, pool: Pool, observe: Observe) -> None:
        self._pool = pool
        self._observe = observe

    @property
    def endpoint(self) -> Endpoint:
        """Where the provider listens."""
        return self._pool.endpoint

    async def warm(self, path: str, headers: Mapping[str, str] = {}) -> bytes:
        """See `Pool.warm`: unobserved, for it asks nothing of a model."""
        return await self._pool.warm(path, headers)

    @contextlib.asynccontextmanager
    async def post(self, path: str, body: bytes, headers: Mapping[str, str] = {}) -> AsyncIterator[ObservedReply]:
        """See `Pool.post`."""
        exchange = Exchange(body, self.endpoint.key, self._observe)
        try:
            async with self._pool.post(path, body, headers) as reply:
                yield ObservedReply(reply, exchange)
        finally:
            exchange.over()


async def watched(pieces: AsyncIterator[bytes], exchange: Exchange) -> AsyncIterator[bytes]:
    """The pieces of an answer that comes over no wire, seen on their way."""
    try:
        async for piece in pieces:
            exchange.take(piece)
            yield piece
    finally:
        exchange.over()


def without_key(text: bytes, key: str | None) -> bytes:
    """The text with the key, if it is one, replaced."""
    return text.replace(key.encode(), b"***") if key is not None and len(key) >= _SHORTEST_KEY else text
