"""The tools that scenarios call, beside the product's own. Those of BASIC are every scenario's that names no others."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from tests.tools.misbehaving import isolated
from voice_agent.tools.base import ToolContext
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


# ---- where a tool runs ----


@tool(effects="none")
def ponder(q: str) -> str:
    """Think in a thread."""
    return f"pondered {q}"


@tool(effects="none", isolate=True)
def compute(q: str) -> str:
    """Think in a process."""
    return f"computed {q}"


@tool(effects="none")
def grind() -> str:
    """Take a thread for longer than anybody waits."""
    time.sleep(3)
    return "ground"


# ---- how a tool is run ----


@tool(effects="none", timeout_s=0.1)
async def dawdle() -> str:
    """Take longer than allowed."""
    await asyncio.Event().wait()
    return "never"


@tool(effects="none", return_char_limit=10)
async def recite(text: str) -> str:
    """Return more than allowed."""
    return text


@tool(effects="none", return_char_limit=20)
async def dump() -> str:
    """Return ten megabytes."""
    return "x" * 10_000_000


@tool(effects="none")
async def garble() -> bytes:
    """Return bytes that are not UTF-8."""
    return b"gr\xfc\xdfe"


_RUNNING: defaultdict[str, int] = defaultdict(int)


@asynccontextmanager
async def _counted(context: ToolContext) -> AsyncIterator[None]:
    _RUNNING[context.agent_id] += 1
    try:
        yield
    finally:
        _RUNNING[context.agent_id] -= 1


@tool(effects="none")
async def meet(context: ToolContext) -> str:
    """Wait until another call runs at the same time."""
    async with _counted(context):
        while _RUNNING[context.agent_id] < 2:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        return "met"


@tool(effects="none", parallel=False)
async def alone(context: ToolContext) -> str:
    """Tell how many calls run at the same time."""
    async with _counted(context):
        await asyncio.sleep(0.05)
        return f"{_RUNNING[context.agent_id]} at once"


@tool(effects="none", duplicate="reject")
async def once(q: str) -> str:
    """Do a thing once in a turn."""
    return f"once {q}"


@tool(effects="none", say=False)
async def hush(q: str) -> str:
    """Look something up without a word."""
    return f"hushed {q}"


_SAVED: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)


@tool(effects="irreversible", on_interrupt="finish")
async def save(context: ToolContext) -> str:
    """Save, which takes until `stop_saving` is called."""
    await _SAVED[context.agent_id].wait()
    return "saved"


@tool(effects="none")
async def stop_saving(context: ToolContext) -> str:
    """Have `save` come to its end."""
    _SAVED[context.agent_id].set()
    return "it ends"


# ---- what rules ask about ----


@tool(effects="none")
async def answer(value: Any) -> object:
    """Return what was given."""
    return value


def _fails(_: dict[str, Any]) -> str | None:
    raise RuntimeError("a fault of the gateway's own")


@tool(effects="none")
async def crash() -> str:
    """Have the turn fail where no tool's fault is expected."""
    return "never"


_CRASH = msgspec.structs.replace(crash, spec=msgspec.structs.replace(crash.spec, check=_fails))

BASIC = (look, write, dial, wait)
TOOLS = (
    *BASIC, ponder, compute, grind, dawdle, recite, dump, garble, meet, alone, once, hush, save, stop_saving, answer,
    _CRASH, isolated,
)  # fmt: skip
