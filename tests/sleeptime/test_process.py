"""The worker process over a real store: it waits, stays through the server's absence, and stops when asked."""

import asyncio
import logging
import os
import signal
import socket
from pathlib import Path

import aiohttp
import pytest

from sleeptime.process import work
from tests.commands import line_with, run, started
from tests.sleeptime.nights import ANN, night
from tests.stores import store_url
from voice_agent.config import read_settings
from voice_agent.store.attach import attached


class Said(logging.Handler):
    """What the worker logs, as it comes."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.put_nowait(record.getMessage())


async def test_it_stays_through_an_absence_of_the_server(tmp_path: Path) -> None:
    """The server is stopped under the worker and comes back: one line for each, and the worker works on."""
    settings = read_settings(data=tmp_path / "data")
    stop, said = asyncio.Event(), Said()
    log = logging.getLogger("sleeptime")
    log.addHandler(said)
    log.setLevel(logging.INFO)
    try:
        async with asyncio.TaskGroup() as group, attached(settings) as connection:
            group.create_task(work(settings, stop))
            assert await said.lines.get() == "waiting for work"
            server = int((await connection.call("INFO"))["process_id"])
            os.kill(server, signal.SIGKILL)
            assert "cannot be reached" in await said.lines.get()
            assert await said.lines.get() == "the store is back"
            stop.set()
    finally:
        log.removeHandler(said)
        log.setLevel(logging.NOTSET)
    assert said.lines.empty()


async def test_it_waits_for_a_server_that_is_not_there_yet() -> None:
    """An unreachable REDIS_URL is named once, and SIGTERM ends the wait with code 0."""
    async with started("sleeptime", REDIS_URL="redis://:hidden@127.0.0.1:1") as process:
        assert "hidden" not in await line_with(process, "127.0.0.1:1")
        process.terminate()
        assert await process.wait() == 0


async def test_it_stops_when_its_supervisor_is_gone(tmp_path: Path) -> None:
    """The end of the lifeline ends it with code 0, as SIGTERM does."""
    read, write = os.pipe()
    where = ("--data-dir", str(tmp_path / "data"))
    async with started("sleeptime", *where, "--lifeline", str(read), pass_fds=(read,)) as process:
        os.close(read)
        await line_with(process, "waiting for work")
        os.close(write)
        assert await process.wait() == 0


async def test_it_turns_a_conversation_into_memory() -> None:
    """The whole process, over a server of somebody else's; its metrics can be read, its port can be taken."""
    port = free_port()
    settings = {
        "REDIS_URL": store_url(),
        "VOICE_SIMULATED_FIRST_TOKEN_MS": "0",
        "VOICE_SIMULATED_TOKEN_MS": "0",
        "VOICE_SLEEPTIME_METRICS_PORT": str(port),
    }
    async with night() as here, started("sleeptime", pass_fds=(), **settings) as process:
        await line_with(process, "waiting for work")
        await here.say("my name is Ada")
        assert await here.memory.raise_job(ANN, "session_end")
        await line_with(process, "is done")
        assert await here.block("human") == "Their name is Ada."
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as reply:
            assert 'voice_sleeptime_jobs_total{outcome="done"} 1.0' in await reply.text()
        second = await run("sleeptime", **settings)
        assert second.code == 2
        process.terminate()
        assert await process.wait() == 0


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("name", "value"), [("VOICE_SHARDS", "17"), ("VOICE_LOG_LEVEL", "loud"), ("VOICE_SLEEPTIME_JOBS", "0")]
)
async def test_a_bad_setting_ends_it_with_code_2(name: str, value: str) -> None:
    """One line that names the setting, no traceback."""
    ended = await run("sleeptime", **{name: value})
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert name in ended.err
