"""Reads what the simulator counts."""

import aiohttp
import msgspec


async def stats(url: str) -> dict[str, int]:
    """The simulator's counters."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/stats") as response:
        return msgspec.json.decode(await response.read(), type=dict[str, int])
