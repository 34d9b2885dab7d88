"""Tools that tell when they were started, in microseconds of the machine's monotonic clock."""

import asyncio

from voice_agent.clock import SystemClock
from voice_agent.tools.registry import tool

PAUSE_S = 0.2


@tool(effects="none", say=False)
async def pause(number: int) -> str:
    """Take 200 ms."""
    await asyncio.sleep(PAUSE_S)
    return str(number)


@tool(effects="none", say=False)
async def mark() -> str:
    """Tell when this was called."""
    return str(round(SystemClock().now() * 1e6))
