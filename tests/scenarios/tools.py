"""The tools that scenarios call, beside the product's own."""

import asyncio

from voice_agent.tools.registry import tool


@tool(effects="none")
async def look(q: str) -> str:
    """Look something up."""
    return f"found {q}"


@tool(effects="irreversible")
async def write(text: str) -> str:
    """Write something down."""
    return f"wrote {text}"


@tool(effects="none")
async def dial(number: int) -> str:
    """Dial a number, in vain."""
    raise ConnectionError(f"{number} is busy")


@tool(effects="none")
async def wait() -> str:
    """Wait for ever."""
    await asyncio.Event().wait()
    return "never"


TOOLS = (look, write, dial, wait)
