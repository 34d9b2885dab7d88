"""The store that the settings name, for whichever process needs it: a server of its own, or the embedded one."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

from voice_agent.config import Settings
from voice_agent.store.connection import Connection
from voice_agent.store.embedded import embedded
from voice_agent.store.server import connect


@asynccontextmanager
async def attached(settings: Settings) -> AsyncIterator[Connection]:
    """A connection to REDIS_URL, or to the embedded server of the data directory, which runs while anybody is attached.

    Raises StoreDown if the server cannot be reached, StoreError if it or the data directory cannot be used.
    """
    async with AsyncExitStack() as stack:
        url = settings.redis_url
        if url is None:
            url = await stack.enter_async_context(embedded(settings.data_dir, settings.redis_bin))
        connection = await connect(url, shards=settings.shards, allow_volatile=settings.allow_volatile)
        yield await stack.enter_async_context(aclosing(connection))
