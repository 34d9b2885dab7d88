"""The worker process: every object of it is built here, over a store that may not be there yet."""

import asyncio
import logging
import secrets
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry

from sleeptime.consolidate import Consolidator
from sleeptime.metrics import Metrics
from sleeptime.patience import happens_within
from sleeptime.worker import Limits, Worker
from voice_agent.clock import SystemClock
from voice_agent.config import ConfigError, Settings
from voice_agent.llm.catalogue import Catalogue
from voice_agent.llm.wire import Http
from voice_agent.store.attach import attached
from voice_agent.store.base import StoreDown
from voice_agent.store.connection import Connection
from voice_agent.store.directory import RedisDirectory
from voice_agent.store.redis_memory import RedisMemory

ATTACH_S = 5.0
log = logging.getLogger(__name__)


async def work(settings: Settings, stop: asyncio.Event) -> None:
    """Attach and work until `stop`. Raises ConfigError, StoreError; a store that is away is waited for."""
    clock, metrics = SystemClock(), Metrics(CollectorRegistry())
    if settings.sleeptime_metrics_port is not None:
        metrics.serve(settings.sleeptime_metrics_port)
    async with AsyncExitStack() as stack:
        connection = await _attach(settings, stop, stack)
        if connection is None:
            return
        http = await stack.enter_async_context(Http())
        models = Catalogue(settings, clock, http)
        if (fault := models.check(settings.default_model)) is not None:
            raise ConfigError(f"VOICE_MODEL: {fault}")
        memory, directory = RedisMemory(connection), RedisDirectory(connection)
        doer = Consolidator(
            memory, directory, models.open, settings.default_model, clock, settings.sleeptime_job_s
        )  # fmt: skip
        limits = Limits(
            jobs=settings.sleeptime_jobs,
            deliveries=settings.sleeptime_deliveries,
            lease_ms=settings.sleeptime_lease_ms,
            grace_s=settings.sleeptime_grace_s,
        )
        log.info("waiting for work", extra={"store": connection.where})
        await Worker(secrets.token_hex(8), memory, doer, clock, metrics, limits).run(stop)


async def _attach(settings: Settings, stop: asyncio.Event, stack: AsyncExitStack) -> Connection | None:
    said = ""
    while True:
        try:
            return await stack.enter_async_context(attached(settings))
        except StoreDown as fault:
            if str(fault) != said:
                log.warning("%s", fault)
            said = str(fault)
        if await happens_within(stop, ATTACH_S):
            return None
