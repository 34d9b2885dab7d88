"""Waiting for a store that is away: every verb may be repeated, so whoever has nothing better to do repeats it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from voice_agent.store.base import StoreDown

RETRY_S = 0.5
T = TypeVar("T")


async def patiently(verb: Callable[[], Awaitable[T]]) -> T:
    """What the verb returns once the store is there; its other faults pass through."""
    while True:
        try:
            return await verb()
        except StoreDown:
            await asyncio.sleep(RETRY_S)


async def happens_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event is set by then."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
