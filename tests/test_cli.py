"""The command line as real processes: what it prints, and that every expected fault is one line and an exit code."""

import asyncio
import errno
import json
import re
import signal
import socket
from contextlib import AsyncExitStack, aclosing, closing
from pathlib import Path

import aiohttp
import pytest

from gateway.cli import explain
from tests.commands import run, started
from voice_agent.config import ConfigError
from voice_agent.messages import Message, TurnRecord
from voice_agent.store.base import OpenTurn, Owner, Pair, StoreDown, StoreError, TurnRef
from voice_agent.store.connection import Connection
from voice_agent.store.embedded import attach
from voice_agent.store.redis import RedisConversations
from voice_agent.store.redis_memory import RedisMemory
from voice_agent.store.server import connect


async def test_version_and_help() -> None:
    """The version is the distribution's; a call without a command shows the commands."""
    told = await run("gateway", "--version")
    assert re.fullmatch(r"voice-gateway \d+\.\d+\.\d+\n", told.out)
    told = await run("gateway", "--help")
    assert told.code == 0
    for command in ("serve", "gateway", "sleeptime", "chat", "simulate", "keys", "jobs"):
        assert re.search(rf"\b{command}\b", told.out)


async def test_keys_are_made_listed_and_revoked_on_the_embedded_store(tmp_path: Path) -> None:
    """The key is shown once, alone on standard output; listing shows its id and name, never the key."""
    where = ("--data-dir", str(tmp_path / "data"))
    made = await run("gateway", "keys", "create", "front door", *where)
    key = made.out.strip()
    assert re.fullmatch(r"vg_[0-9a-f]+_\S+", key)
    key_id = key.split("_")[1]
    listed = await run("gateway", "keys", "list", *where)
    assert re.fullmatch(rf"{key_id}  \d{{4}}-\S+  front door\n", listed.out)
    assert (await run("gateway", "keys", "revoke", key_id, *where)).code == 0
    assert (await run("gateway", "keys", "list", *where)).out == ""
    again = await run("gateway", "keys", "revoke", key_id, *where)
    assert again.code == 1
    assert again.err.startswith(f"voice-gateway: there is no key with the id '{key_id}'")


async def buried(store: Connection, user: str, reason: str) -> None:
    """A job of the agent `ann` and a user, given up."""
    pair, owner = Pair("ann", user), Owner("127.0.0.1:0", "first")
    conversations, memory = RedisConversations(store), RedisMemory(store)
    ref = TurnRef(pair, "s", "t", await conversations.open_session(pair, "s", owner))
    said = (Message("user", "hello", 1.0),)
    await conversations.begin_turn(OpenTurn(ref, owner, 0, 1.0, said))
    await conversations.commit_turn(ref, TurnRecord(ref.key, "end_turn", said, 1.0))
    assert await memory.raise_job(pair, "request")
    (job,) = await memory.next_jobs("worker", 1, 0)
    await memory.bury_job(job, reason)


async def test_dead_letters_are_listed_shown_retried_and_dropped(tmp_path: Path) -> None:
    """A line each; `show` tells everything; what is not there is a line on stderr and code 1."""
    data = tmp_path / "data"
    where = ("--data-dir", str(data))
    async with AsyncExitStack() as stack:
        url = stack.enter_context(closing(attach(data, None))).url
        store = await stack.enter_async_context(aclosing(await connect(url, shards=16, allow_volatile=False)))
        assert (await run("gateway", "jobs", "list", *where)).out == ""
        await buried(store, "eve", "the model never\nfinished\x1b[2J")
        await buried(store, "bob", "timed out")
        lines = (await run("gateway", "jobs", "list", *where)).out.splitlines()
        found = [re.fullmatch(r"(\S+)  \d{4}-\S+  ann/(\w+)  (.*)", line) for line in lines]
        told = {row[2]: (row[1], row[3]) for row in found if row}
        assert {user: reason for user, (_, reason) in told.items()} == {
            "eve": "the model never finished[2J",
            "bob": "timed out",
        }
        eve, bob = told["eve"][0], told["bob"][0]
        shown = await run("gateway", "jobs", "show", eve, *where)
        assert shown.code == 0
        for line in (f"id: +{eve}", "agent: +ann", "user: +eve", "deliveries: +1", r"given up: +\d{4}-\S+"):
            assert re.search(f"^{line}$", shown.out, re.MULTILINE), shown.out
        assert shown.out.endswith("reason:     the model never\nfinished[2J\n")
        assert (await run("gateway", "jobs", "retry", eve, *where)).code == 0
        assert (await run("gateway", "jobs", "drop", bob, *where)).code == 0
        assert (await run("gateway", "jobs", "list", *where)).out == ""
        assert [job.pair.user for job in await RedisMemory(store).next_jobs("worker", 9, 0)] == ["eve"]
        for verb in ("show", "retry", "drop"):
            gone = await run("gateway", "jobs", verb, bob, *where)
            assert (gone.code, gone.out) == (1, "")
            assert gone.err.startswith(f"voice-gateway: there is no dead letter '{bob}'")


async def test_faults_are_one_line_and_a_code(tmp_path: Path) -> None:
    """Bad settings and directories end with 2, a server that is away with 1, and none with a traceback."""
    (tmp_path / "file").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as shut:
        shut.bind(("127.0.0.1", 0))
        port, away = taken.getsockname()[1], shut.getsockname()[1]
        data = ("--data-dir", str(tmp_path / "data"))
        cases = [
            (2, f"127.0.0.1:{port} is taken", ("serve", "--port", str(port), *data), {}),
            (2, "VOICE_HOST: 'no host'", ("serve", "--host", "no host", *data), {}),
            (2, "VOICE_HOST: '203.0.113.7'", ("serve", "--host", "203.0.113.7", *data), {}),
            (2, "VOICE_PORT", ("serve", "--port", "70000", *data), {}),
            (2, "VOICE_LOG_LEVEL", ("serve", *data), {"VOICE_LOG_LEVEL": "loud"}),
            (2, str(tmp_path / "file"), ("serve", "--port", "0", "--data-dir", str(tmp_path / "file")), {}),
            (2, str(tmp_path / "file"), ("keys", "list", "--data-dir", str(tmp_path / "file")), {}),
            (2, str(tmp_path / "file"), ("jobs", "list", "--data-dir", str(tmp_path / "file")), {}),
            (1, f"127.0.0.1:{away}", ("serve", "--port", "0"), {"REDIS_URL": f"redis://:hidden@127.0.0.1:{away}"}),
            (2, f"127.0.0.1:{port} is taken", ("simulate", "--port", str(port)), {}),
            (1, "nothing listens", ("chat", "--url", f"http://127.0.0.1:{away}"), {}),
            (2, "loud", ("chat",), {"VOICE_LOG_LEVEL": "loud"}),
        ]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run("gateway", *arguments, **settings)) for _, _, arguments, settings in cases]
    for (code, text, arguments, _), task in zip(cases, tasks, strict=True):
        ended = task.result()
        assert (ended.code, ended.err.count("\n"), ended.out) == (code, 1, ""), (arguments, ended)
        assert ended.err.startswith("voice-gateway: ")
        assert text in ended.err
        assert "hidden" not in ended.err


async def test_simulate_serves_chat_completions_until_it_is_told_to_stop() -> None:
    """The address it prints answers as OpenAI does."""
    async with started("gateway", "simulate", "--port", "0", "--first-token-ms", "0", "--token-ms", "0") as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+?/v1", (await process.stdout.readline()).decode())
        assert found is not None
        request = {"model": "simulated", "messages": [{"role": "user", "content": "!say hello there"}]}
        async with aiohttp.ClientSession() as http, http.post(f"{found[0]}/chat/completions", json=request) as reply:
            body = await reply.json()
        assert body["choices"][0]["message"]["content"] == "hello there", json.dumps(body)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


async def test_sleeptime_becomes_the_worker_and_stops_when_asked(tmp_path: Path) -> None:
    """The command is replaced by the worker, so a signal to its process id reaches it."""
    async with started("gateway", "sleeptime", "--data-dir", str(tmp_path / "data")) as process:
        assert process.stderr is not None
        assert b"waiting for work" in await process.stderr.readline()
        process.terminate()
        assert await process.wait() == 0


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (ConfigError("VOICE_PORT: no"), ("VOICE_PORT: no", 2)),
        (StoreDown("away"), ("away", 1)),
        (StoreError("16 shards"), ("16 shards", 2)),
        (OSError(errno.EADDRINUSE, "Address already in use"), ("Address already in use", 2)),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), ("Permission denied: /x", 1)),
        (BrokenPipeError(), ("nobody reads the output", 1)),
        (ExceptionGroup("tasks", [StoreDown("away"), StoreDown("gone")]), ("away", 1)),
        (ExceptionGroup("tasks", [StoreDown("away"), ZeroDivisionError()]), None),
        (ZeroDivisionError(), None),
    ],
)
def test_only_expected_faults_are_explained(fault: Exception, told: tuple[str, int] | None) -> None:
    """A bug keeps its traceback, also where it comes beside an expected fault."""
    assert explain(fault) == told
