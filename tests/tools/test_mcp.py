"""Tools of MCP servers, as processes and over HTTP, of today's protocol and of the one before: calls and lists."""

import asyncio
import logging

import pytest

from tests.processes import eventually
from tests.tools.mcp_ends import (
    CONTEXT,
    SERVER,
    answers,
    any_server,
    call,
    fault,
    free_port,
    handmade,
    listening,
    running,
    script,
    stdio,
    told,
)
from voice_agent.tools.mcp.definitions import Definition, Http, Stdio

every_kind = pytest.mark.parametrize("kind", ["stdio", "http", "stdio old", "http old"])


@every_kind
async def test_what_a_tool_returns_is_what_the_model_reads(kind: str) -> None:
    """Text, structured content without text, what cannot be shown, and a failure."""
    async with any_server(kind) as servers:
        assert await call(servers, "echo", text="ab", times=2) == "abab"
        assert await call(servers, "structured") == '{"temperature":21,"unit":"°C"}'
        assert await call(servers, "picture") == "a cat\n[image, image/png, 3 bytes: it cannot be shown]"
        badly_named = next(name for name in servers.tools() if name.startswith("test__a_tool_with_a"))
        assert await servers.tools()[badly_named].run({}, CONTEXT) == "found"
        assert "fail" in await fault(servers, "fail")


@pytest.mark.parametrize("kind", ["stdio", "http"])
async def test_ten_megabytes_come_whole(kind: str) -> None:
    """What the model is given of it is cut by the one who called."""
    async with any_server(kind) as servers:
        assert await call(servers, "big") == "x" * 10 * 1024 * 1024


@every_kind
async def test_a_cancelled_call_is_cancelled_at_the_server(kind: str) -> None:
    """Calls are made beside each other, and the others go on."""
    async with any_server(kind) as servers, asyncio.TaskGroup() as tasks:
        hanging = [tasks.create_task(call(servers, "hang")) for _ in range(3)]
        await eventually(lambda: told(servers, "3", "count", what="begun"), "three calls have begun")
        for each in hanging[:2]:
            each.cancel()
        await eventually(lambda: told(servers, "2", "count", what="cancelled"), "two calls were cancelled")
        assert not hanging[2].done()
        hanging[2].cancel()


@every_kind
async def test_a_changed_list_is_followed(kind: str) -> None:
    """A new tool can be called, one that is gone is not offered, and those that stayed are what they were."""
    async with any_server(kind) as servers:
        before = dict(servers.tools())
        assert await call(servers, "swap") == "swapped"

        async def swapped() -> bool:
            return "test__extra" in servers.tools()

        await eventually(swapped, "the list was read again")
        after = servers.tools()
        assert before.keys() - after.keys() == {"test__fail"}
        assert all(after[name] is before[name] for name in before.keys() & after.keys())
        assert await call(servers, "extra") == await call(servers, "tell_pid")


async def test_secrets_reach_the_server_and_no_other_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its environment or by headers; the gateway's own environment is not handed down."""
    monkeypatch.setenv("VOICE_API_KEY", "ours")
    async with running(stdio(TOKEN="s3cret")) as servers:
        assert await call(servers, "tell_secret", name="TOKEN") == "s3cret"
        assert await call(servers, "tell_secret", name="VOICE_API_KEY") == "unset"
    port = free_port()
    there = Definition("test", Http(f"http://127.0.0.1:{port}/mcp", {"x-token": "s3cret"}))
    async with listening(port), running(there) as servers:
        assert await call(servers, "tell_secret", name="x-token") == "s3cret"


async def test_agents_name_tools_one_by_one_or_all_of_a_server() -> None:
    """A name of a server is known to be one, offered or not."""
    async with running(stdio(), Definition("other", Stdio("/no/such/command", (), {}, None))) as servers:
        assert servers.expand("test__*") == tuple(servers.tools())
        assert servers.expand("test__echo") == ("test__echo",)
        assert servers.expand("test__none") == servers.expand("other__*") == servers.expand("echo") == ()
        entries = ("test__*", "test__none", "other__x", "tests__echo", "test", "echo")
        assert [servers.serves(entry) for entry in entries] == [True, True, True, False, False, False]


async def test_junk_on_stdout_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Lines that are no messages, and bytes that are no UTF-8, are passed over, and kept out of the log."""
    junk = f"""
        import os, runpy, sys
        os.write(1, b"starting \\xff\\xfe\\n")
        sys.argv = [{SERVER!r}, "stdio"]
        runpy.run_path({SERVER!r}, run_name="__main__")
    """
    async with running(script(junk)) as servers:
        assert await answers(servers)
    assert all(record.name.startswith("voice_agent.") for record in caplog.records)


async def test_a_list_that_never_stands_still_is_read_now_and_then() -> None:
    """A server that tells of a change after each list it gives is not asked for the next at once."""
    async with running(
        handmade('result={"content": [{"type": "text", "text": str(lists)}]}', restless=True)
    ) as servers:

        async def followed() -> bool:
            return int(str(await call(servers, "act"))) > 1

        await eventually(followed, "the list was read again")
        counts = [int(str(await call(servers, "act"))) for _ in range(200)]
        assert counts[-1] - counts[0] < 100


async def test_what_a_server_says_of_its_failure_is_told_in_a_line() -> None:
    """What the library says of an answer that it cannot read, which holds the answer, is not."""
    async with running(handmade('error={"code": -32000, "message": "no\\nstock, token=abc"}')) as servers:
        assert await fault(servers, "act") == "the MCP server test: no stock, token=***"
    async with running(handmade('error={"code": -32700, "message": "input_value=abc"}')) as servers:
        assert await fault(servers, "act") == "the MCP server test: its answer is not what the protocol asks for"


async def test_what_a_server_writes_to_stderr_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Line by line, at debug."""
    caplog.set_level(logging.DEBUG, "voice_agent.tools.mcp")
    async with running(script("import sys; sys.stderr.write('no licence\\nfound ü')")):
        pass
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG]
    assert "the MCP server test says: no licence" in said
    assert "the MCP server test says: found ü" in said
