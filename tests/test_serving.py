"""`voice-gateway serve` as it ships: real store, real gateway, real worker, under one supervisor."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from tests.chromium import browsing
from tests.commands import line_with, run, started

FAST = {"VOICE_SIMULATED_FIRST_TOKEN_MS": "0", "VOICE_SIMULATED_TOKEN_MS": "0"}


class Served(NamedTuple):
    """A product that is ready: its supervisor, its address and its data directory."""

    process: Process
    url: str
    data: Path


@asynccontextmanager
async def served(data: Path, **settings: str) -> AsyncIterator[Served]:
    arguments = ("serve", "--port", "0", "--data-dir", str(data))
    async with started("gateway", *arguments, pass_fds=(), **(FAST | settings)) as process:
        assert process.stdout is not None
        async for line in process.stdout:
            if found := re.search(r"is ready at (\S+)", line.decode()):
                break
        else:
            raise AssertionError("it ended without getting ready")
        yield Served(process, found[1], data)


async def test_it_serves_a_chat_and_stops_when_asked(tmp_path: Path) -> None:
    """From nothing to a spoken answer with no key and no network; SIGTERM ends everything with code 0."""
    async with served(tmp_path / "data") as product:
        chat = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "chat", "--url", product.url), stdin=PIPE, stdout=PIPE
        )
        out, _ = await chat.communicate(b"!say hello there\n")
        assert (chat.returncode, out.decode().splitlines()[0]) == (0, "hello there")
        product.process.terminate()
        assert await product.process.wait() == 0
        await _nobody_is_left(product)


async def test_a_gateway_that_is_killed_comes_back_at_the_same_address(tmp_path: Path) -> None:
    """The supervisor restarts it, and what was said before is still known."""
    async with served(tmp_path / "data") as product, aiohttp.ClientSession() as http:
        await _say(http, product.url, "one")
        [gateway] = [pid for pid, line in _processes(product.data).items() if "gateway\0gateway\0" in line]
        os.kill(gateway, signal.SIGKILL)
        await line_with(product.process, "gateway ended with code -9")
        await _ready(http, product.url)
        await _say(http, product.url, "two")
        async with http.get(f"{product.url}/v1/agents/demo/messages") as reply:
            texts = [item["text"] for item in (await reply.json())["items"] if item["role"] == "user"]
        assert texts == ["!say two", "!say one"]


async def test_a_killed_supervisor_takes_everything_along(tmp_path: Path) -> None:
    """Gateway, worker, keeper and server are gone, and the data directory can be used again."""
    async with served(tmp_path / "data") as product:
        product.process.kill()
        await product.process.wait()
        await _nobody_is_left(product)
    assert (await run("gateway", "keys", "list", "--data-dir", str(tmp_path / "data"))).code == 0


async def test_a_taken_port_and_an_open_door_end_the_start(tmp_path: Path) -> None:
    """A second product at the same port, or one that others could enter without a key: one line, code 2."""
    async with served(tmp_path / "data") as product:
        second = await run(
            "gateway", "serve", "--port", product.url.rpartition(":")[2], "--data-dir", str(tmp_path / "2")
        )
        assert (second.code, second.out, second.err.count("\n")) == (2, "", 1)
        assert "is taken" in second.err
    opened = await run("gateway", "serve", "--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path / "3"))
    assert (opened.code, opened.out) == (2, "")
    assert "VOICE_API_KEY" in opened.err
    assert "Traceback" not in opened.err


@pytest.mark.browser
async def test_the_page_talks_to_the_product(tmp_path: Path) -> None:
    """In a real browser: an answer streams in, a story is interrupted."""
    async with (
        served(tmp_path / "data", VOICE_SIMULATED_TOKEN_MS="20") as product,
        browsing(product.url, tmp_path / "profile") as web,
    ):
        await web.until("document.getElementById('state').className === 'on'")
        await web.type("!say good morning")
        await web.press("Enter", 13)
        await web.shows("end turn")
        assert await web.text(".reply") == ["good morning"]
        await web.type("tell me a story")
        await web.press("Enter", 13)
        await web.until("document.querySelectorAll('.reply').length === 2")
        await web.click("#interrupt")
        await web.shows("interrupted")
        assert web.faults == []


async def _say(http: aiohttp.ClientSession, url: str, words: str) -> None:
    """One turn over a socket, to its end."""
    async with http.ws_connect(f"{url}/v1/agents/demo/session") as socket:
        await socket.send_json({"type": "user.text", "text": f"!say {words}"})
        async for message in socket:
            if message.json()["type"] == "turn.ended":
                return
    raise AssertionError("the turn did not end")


async def _ready(http: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                async with http.get(f"{url}/readyz") as reply:
                    if reply.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0)


async def _nobody_is_left(product: Served) -> None:
    async with asyncio.timeout(10):
        while _processes(product.data):
            await asyncio.sleep(0)


def _processes(data: Path) -> dict[int, str]:
    """The command lines, by process id, that name the data directory: each process of the product does."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(data) in line:
            found[int(path.parent.name)] = line
    return found
