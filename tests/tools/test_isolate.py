"""Isolated tools: what their processes see, when they are kept, and that nothing they start outlives them."""

import asyncio
import json
import logging
import os
import signal
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.stores import gone, until
from tests.tools.misbehaving import breed, halt, isolated, isolated_hangs, leave, tell, tell_later
from voice_agent.clock import SystemClock
from voice_agent.events import RunTool, ToolReturned
from voice_agent.tools.base import Tool, ToolContext, TurnContext
from voice_agent.tools.function import ToolFunction
from voice_agent.tools.isolate.pool import Workers
from voice_agent.tools.runner import TurnRunner
from voice_agent.tools.secrets import Secrets
from voice_agent.tools.threads import Threads


class Place:
    """Runs tools in a pool of its own."""

    def __init__(self, most: int = 4) -> None:
        self.workers = Workers(most)

    async def run(self, made: ToolFunction, secrets: dict[str, str] | None = None, **arguments: Any) -> ToolReturned:
        context = TurnContext(agent_id="a", user="u", session_id="s", turn_id="t", secrets=Secrets(secrets or {}))
        tools: dict[str, Tool] = {made.name: made.hosted(Threads(), self.workers)}
        return await TurnRunner(tools, SystemClock(), context).run(RunTool("c1", made.name, arguments))

    async def told(self, **secrets: str) -> Any:
        """What `tell` tells, as an agent with these secrets calls it."""
        returned = await self.run(tell, secrets)
        assert returned.status == "ok", returned
        return json.loads(returned.output)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    made = Place()
    yield made
    await made.workers.close()


async def test_a_process_sees_its_agent_s_secrets_and_little_else(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the gateway's environment reaches it but what programs need; what it tells of a secret is masked."""
    for name, value in (("OPENAI_API_KEY", "sk-1"), ("HOME", "/nowhere"), ("LANG", "C.UTF-8"), ("PYTHONHASHSEED", "7")):
        monkeypatch.setenv(name, value)
    told = await place.told(CRM_TOKEN="HUSH-HUSH", LD_PRELOAD="evil.so", PATH="/evil", PYTHONPATH="/evil")
    environment = told["environment"]
    assert told["call_id"] == "c1"
    assert (environment["CRM_TOKEN"], environment["HOME"], environment["PYTHONHASHSEED"]) == ("***", "/nowhere", "7")
    assert environment["PATH"] == os.environ["PATH"]  # noqa: TID251 - to compare with
    allowed = {"CRM_TOKEN", "HOME", "LANG", "PATH", "LC_CTYPE"}
    assert {name for name in environment if not name.startswith("PYTHON")} <= allowed
    assert environment.get("PYTHONPATH") != "/evil"


async def test_a_process_is_kept_for_the_agent_that_it_was_started_for(place: Place) -> None:
    """The next call finds it warm; another agent's secrets never get into it."""
    first, again, other = await place.told(K="one-secret"), await place.told(K="one-secret"), await place.told(K="two")
    assert first["pid"] == again["pid"] != other["pid"]


async def test_async_functions_and_wrong_arguments(place: Place) -> None:
    """Both are as for any other tool."""
    assert await place.run(tell_later, number=21) == ToolReturned("c1", "42")
    assert await place.run(tell_later, number=10**40) == ToolReturned("c1", str(2 * 10**40))
    wrong = await place.run(tell_later, number="x")
    assert (wrong.output, wrong.status) == (
        "tell_later failed: number: Input should be a valid integer", "error",
    )  # fmt: skip


async def test_calls_run_side_by_side_up_to_the_limit() -> None:
    """With one process a second call waits; if its time is up by then, it was not run. An idle process makes room."""
    place = Place(most=1)
    hangs = isolated_hangs.hosted(Threads(), place.workers)
    context = ToolContext(agent_id="a", user="u", session_id="s", turn_id="t", call_id="c", at=0.0)
    first = await place.told(K="one")
    async with asyncio.TaskGroup() as tasks:
        stuck = tasks.create_task(hangs.run({}, context))
        await asyncio.sleep(0)
        late = await place.run(isolated_hangs)
        stuck.cancel()
    assert late.output == "isolated_hangs was not run: no worker process was free for 0.2 s."
    await until(lambda: gone(first["pid"]), "the idle process made room")
    second = await place.told(K="one")
    assert second["pid"] != first["pid"]
    await place.workers.close()
    assert await gone(second["pid"])
    assert await gone(second["parent"])


async def bred(folder: Path) -> list[int]:
    """The processes of `breed`: worker, warden, child, child in a session of its own."""
    written = folder / "pids"
    await until(lambda: asyncio.to_thread(written.exists), "the tool has started its processes")
    return [int(pid) for pid in written.read_text().split()]


async def all_gone(pids: list[int]) -> bool:
    return all([await gone(pid) for pid in pids])


@pytest.mark.parametrize("tool", [breed, halt])
async def test_cancelling_kills_all_that_the_tool_has_started(place: Place, tmp_path: Path, tool: ToolFunction) -> None:
    """Also what left its process group, and though the one that does it had been stopped."""
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(place.run(tool, where=str(tmp_path / "pids")))
        pids = await bred(tmp_path)
        assert not any([await gone(pid) for pid in pids])
        call.cancel()
    assert call.cancelled()
    assert await all_gone(pids)


async def test_what_a_call_leaves_behind_ends_with_it(place: Place) -> None:
    """Its answer counts; its process is not kept, since the next call's would not be alone in it."""
    returned = await place.run(leave)
    assert returned.status == "ok"
    assert await all_gone(json.loads(returned.output))


GATEWAY = """
import asyncio, sys
from tests.tools.test_isolate import Place, breed

asyncio.run(Place().run(breed, where=sys.argv[1]))
"""


@pytest.mark.parametrize("killed", ["gateway", "worker", "warden"])
async def test_nothing_outlives_what_it_depends_on(tmp_path: Path, killed: str) -> None:
    """If gateway or worker end by SIGKILL, all that the tool has started goes; if the warden does, its worker does."""
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GATEWAY, str(tmp_path / "pids"), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        pids = await bred(tmp_path)
        os.kill({"gateway": gateway.pid, "worker": pids[0], "warden": pids[1]}[killed], signal.SIGKILL)
        await until(lambda: all_gone(pids[:2] if killed == "warden" else pids), "the processes are gone")
    finally:
        for pid in pids[2:] if killed == "warden" else ():
            os.kill(pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            gateway.kill()
        await gateway.wait()


async def test_what_a_tool_prints_goes_to_the_log(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Line by line, at debug, secrets masked; so does the place at which it raised."""
    with caplog.at_level(logging.DEBUG):
        await place.run(isolated, {"K": "no such street"}, how="raises")
        await until(lambda: asyncio.sleep(0, "ValueError" in caplog.text), "the traceback is logged")
    assert "misbehaving.py" in caplog.text
    assert "no such street" not in caplog.text
