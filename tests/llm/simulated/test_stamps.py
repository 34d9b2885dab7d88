"""`!stamps`: each token holds the moment at which it left, and the server shows what it was asked last."""

import re

import aiohttp
import msgspec

from tests.servers import serving
from voice_agent.clock import SystemClock
from voice_agent.llm.simulated.server import create_app

_REQUEST = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "!stamps 5"}]}


async def test_tokens_tell_when_they_left() -> None:
    """Five of them in order, the first with the request's arrival, all between this client's asking and reading."""
    now = SystemClock().now
    async with serving(create_app(3, 1)) as url, aiohttp.ClientSession() as http:
        asked = now()
        async with http.post(f"{url}/v1/chat/completions", json=_REQUEST) as reply:
            body = await reply.text()
        read = now()
    chunks = [msgspec.json.decode(line[6:]) for line in body.splitlines() if line.startswith("data: {")]
    text = "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])
    assert re.fullmatch(r"\d{16}>\d{16}( \d{16}){4}", text)
    stamps = [int(stamp) / 1e6 for stamp in re.findall(r"\d+", text)]
    assert [asked, *stamps, read] == sorted([asked, *stamps, read])
    assert stamps[1] - stamps[0] >= 0.003 - 1e-6


async def test_the_last_request_can_be_read_as_it_came() -> None:
    """Byte for byte, by path; before there was one, an empty object."""
    body = msgspec.json.encode(_REQUEST)
    headers = {"Content-Type": "application/json"}
    async with serving(create_app(0, 0)) as url, aiohttp.ClientSession() as http:
        last = f"{url}/last_request?path=/v1/chat/completions"
        async with http.get(last) as reply:
            assert await reply.read() == b"{}"
        async with http.post(f"{url}/v1/chat/completions", data=body, headers=headers) as reply:
            await reply.read()
        async with http.get(last) as reply:
            assert await reply.read() == body
