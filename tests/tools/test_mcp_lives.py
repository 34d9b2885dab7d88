"""MCP servers that die, hang, come back, or never come; and that none is left behind."""

import asyncio
import functools
import socket
import sys
import textwrap
from asyncio.subprocess import PIPE

import pytest

from tests import virtual_time
from tests.commands import environment
from tests.processes import eventually
from tests.stores import gone
from tests.tools.mcp_ends import (
    DEAF,
    ROOT,
    answers,
    any_server,
    call,
    fault,
    free_port,
    listening,
    offers,
    over_http,
    running,
    script,
    stdio,
)
from voice_agent.tools.mcp.definitions import Definition, Stdio


@pytest.mark.parametrize("kind", ["stdio", "stdio old"])
async def test_a_server_that_dies_in_a_call_is_started_again(kind: str) -> None:
    """The call is a tool error, so are those that come at once, and its tools stay in the list meanwhile."""
    async with any_server(kind) as servers:
        offered = servers.tools().keys()
        first = await call(servers, "tell_pid")
        assert "the connection was lost in the call" in await fault(servers, "die")
        assert await fault(servers, "echo", text="a") == (
            "the MCP server test is not connected: it has closed the connection"
        )
        assert servers.tools().keys() == offered
        await eventually(lambda: answers(servers), "the server is back")
        assert await call(servers, "tell_pid") != first


async def test_a_message_without_end_costs_the_connection() -> None:
    """It is read up to a bound; the call is a tool error, and the server is started again."""
    async with any_server("stdio") as servers:
        assert "the connection was lost in the call" in await fault(servers, "too_big")
        assert "it sent a message of more than 33554432 bytes" in await fault(servers, "echo", text="a")
        await eventually(lambda: answers(servers), "the server is back")


async def test_what_a_server_has_started_ends_with_it() -> None:
    """Also if it left the process group: those of one that dies again and again do not pile up."""
    async with any_server("stdio") as servers:
        pid = int(str(await call(servers, "spawn")))
        assert not await gone(pid)
        await fault(servers, "die")
        await eventually(lambda: gone(pid), "what it has started has ended")


@pytest.mark.parametrize("words", [(), ("old",)])
async def test_a_server_that_went_away_is_found_again(words: tuple[str, ...]) -> None:
    """Its list is read anew: what it offered before it went, and took back, is offered again."""
    port = free_port()
    async with running(over_http(port)) as servers:
        assert not servers.tools()
        async with listening(port, *words):
            await eventually(lambda: offers(servers, "fail"), "the server is found")
            await call(servers, "swap")
            await eventually(lambda: offers(servers, "extra"), "the list was read again")
            assert not await offers(servers, "fail")
        assert "test" in await fault(servers, "echo", text="a")
        assert "is not connected" in await fault(servers, "echo", text="a")
        async with listening(port, *words):
            await eventually(lambda: answers(servers), "the server is found again")
            assert await offers(servers, "fail")


async def test_a_session_that_the_server_forgot_is_made_anew() -> None:
    """The server was replaced between two calls, and does not know what was before."""
    port = free_port()
    async with listening(port, "old") as first, running(over_http(port)) as servers:
        assert await answers(servers)
        first.kill()
        await first.wait()
        async with listening(port, "old"):
            await fault(servers, "echo", text="a")
            assert "it has forgotten the session" in await fault(servers, "echo", text="a")
            await eventually(lambda: answers(servers), "there is a new session")


def test_a_server_that_cannot_be_started_is_tried_ever_less_often(caplog: pytest.LogCaptureFixture) -> None:
    """From half a second to half a minute; it offers nothing, and holds nothing up."""

    async def main() -> None:
        missing = Definition("test", Stdio("/no/such/command", (), {}, None))
        async with running(missing, clock=virtual_time.VirtualClock()) as servers:
            assert asyncio.get_running_loop().time() < 1
            assert not servers.tools()
            await asyncio.sleep(100)

    virtual_time.run(main())
    tries = [record.getMessage() for record in caplog.records]
    assert tries[0] == (
        "the MCP server test is not connected: it cannot be started: No such file or directory; trying again in 0.5 s"
    )
    assert [line.rpartition(" in ")[2] for line in tries] == [
        f"{pause} s" for pause in ("0.5", "1", "2", "4", "8", "16", "30", "30", "30")
    ]


def test_a_server_that_never_answers_holds_the_start_up_for_ten_seconds_at_most() -> None:
    """It accepts, and says nothing."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            async with running(over_http(silent.getsockname()[1]), clock=virtual_time.VirtualClock()) as servers:
                assert asyncio.get_running_loop().time() == pytest.approx(10, abs=0.1)
                assert not servers.tools()

    virtual_time.run(main())


async def test_stopping_ends_the_processes() -> None:
    """One that is in a call, and one that takes no notice of its input's end and of SIGTERM."""
    for definition in (stdio(), script(DEAF)):
        async with asyncio.TaskGroup() as tasks:
            async with running(definition) as servers:
                pid = int(str(await call(servers, "tell_pid")))
                hanging = tasks.create_task(fault(servers, "hang"))
                assert await answers(servers)
            assert "the connection was lost in the call" in await hanging
        assert await gone(pid)


@pytest.mark.parametrize("made", ["stdio()", "stdio('old')", "script(DEAF)"])
async def test_no_server_outlives_a_gateway_that_was_killed(made: str) -> None:
    """Its input ends with the gateway; one that takes no notice is killed, with what it has started."""
    source = f"""
        import asyncio
        from tests.tools.mcp_ends import DEAF, call, running, script, stdio

        async def main():
            async with running({made}) as servers:
                print(await call(servers, "tell_pid"), await call(servers, "spawn"), flush=True)
                await asyncio.Event().wait()

        asyncio.run(main())
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(source), stdout=PIPE, cwd=ROOT, env=environment()
    )
    assert process.stdout is not None
    pids = [int(pid) for pid in (await process.stdout.readline()).split()]
    assert not any([await gone(pid) for pid in pids])
    process.kill()
    await process.communicate()
    for pid in pids:
        await eventually(functools.partial(gone, pid), "the server has ended, and what it has started")
