"""The HTTP that MCP servers are reached by: answers are read up to a bound, streams for as long as they last."""

import gzip

import httpx2
import pytest

from tests.llm.rawserver import Connection, raw_server
from voice_agent.tools.mcp.process import LONGEST_MESSAGE
from voice_agent.tools.mcp.streams import _Bounded

JSON = "200 OK\r\nContent-Type: application/json"


async def read(status: str, body: bytes) -> int:
    """How many bytes come through of such an answer."""

    async def serve(connection: Connection) -> None:
        await connection.request()
        connection.send(body, status)
        await connection.closed()

    async with raw_server(serve) as url, httpx2.AsyncClient(transport=_Bounded(trust_env=False)) as http:
        return len((await http.post(url, content=b"{}")).content)


async def test_an_answer_without_end_is_broken_off() -> None:
    """One byte too many, or packed, so that nobody knows; a stream's events are bounded one by one elsewhere."""
    assert await read(JSON, b"x" * LONGEST_MESSAGE) == LONGEST_MESSAGE
    with pytest.raises(httpx2.ReadError):
        await read(JSON, b"x" * (LONGEST_MESSAGE + 1))
    with pytest.raises(httpx2.DecodingError):
        await read(f"{JSON}\r\nContent-Encoding: gzip", gzip.compress(b"x"))
    stream = "200 OK\r\nContent-Type: text/event-stream"
    assert await read(stream, b"x" * (LONGEST_MESSAGE + 1)) == LONGEST_MESSAGE + 1
