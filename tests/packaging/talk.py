"""A caller at the door of a container, with the key and without."""

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.callers import Caller

KEY = "a-key-for-tests"


async def ask(port: int, text: str) -> str:
    """Have one turn with the demo agent; returns what it said, once the turn is stored."""
    header = {"Authorization": f"Bearer {KEY}"}
    async with connect(_url(port), additional_headers=header, proxy=None, compression=None) as socket:
        caller = Caller(socket)
        await caller.until("session.ready")
        return str((await caller.ask(text, "t1"))["generated"])


async def refused(port: int) -> int:
    """The HTTP status that somebody without a key gets."""
    try:
        async with connect(_url(port), proxy=None):
            return 101
    except InvalidStatus as fault:
        return fault.response.status_code


def _url(port: int) -> str:
    return f"ws://127.0.0.1:{port}/v1/agents/demo/session?user=ann"
