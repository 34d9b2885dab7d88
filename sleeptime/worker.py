"""The worker's attachment to the store: it stays through every absence of the server, and waits for work."""

import asyncio
import logging
from contextlib import AsyncExitStack

from voice_agent.config import Settings
from voice_agent.store.attach import attached
from voice_agent.store.base import StoreDown
from voice_agent.store.connection import Connection

PING_S = 5.0
log = logging.getLogger(__name__)


async def work(settings: Settings, stop: asyncio.Event, ping_s: float = PING_S) -> None:
    """Attach and wait until `stop`. Raises StoreError if the store cannot be used; one that is away is waited for."""
    async with AsyncExitStack() as stack:
        connection = await _attach(settings, stop, stack, ping_s)
        if connection is None:
            return
        log.info("waiting for work", extra={"store": connection.where})
        away = False
        while not await _stopped_within(stop, ping_s):
            try:
                await connection.call("PING")
            except StoreDown as fault:
                if not away:
                    log.warning("%s", fault)
                away = True
            else:
                if away:
                    log.info("the store is back", extra={"store": connection.where})
                away = False


async def _attach(settings: Settings, stop: asyncio.Event, stack: AsyncExitStack, retry_s: float) -> Connection | None:
    said = ""
    while True:
        try:
            return await stack.enter_async_context(attached(settings))
        except StoreDown as fault:
            if str(fault) != said:
                log.warning("%s", fault)
            said = str(fault)
        if await _stopped_within(stop, retry_s):
            return None


async def _stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await stop.wait()
    except TimeoutError:
        return False
