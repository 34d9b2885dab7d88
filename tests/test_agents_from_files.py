"""`--agents` and `--tools` as users have them: real processes, files that change under them, and broken ones."""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.callers import calling, history
from tests.commands import run
from tests.processes import Served, eventually, served

FAST = {"VOICE_SIMULATED_FIRST_TOKEN_MS": "0", "VOICE_SIMULATED_TOKEN_MS": "0"}
SHOP = """
name = "Shop"
model = "simulated"
tools = ["opening_hours", "stock"]
greeting = "Good morning."
"""
TOOLS = '''
from voice_agent.tools.registry import tool

@tool(effects="none")
async def opening_hours(day: str) -> str:
    """Tell when the shop is open on a day."""
    return f"9 to 5 on {day}"

@tool(effects="none", isolate=True)
def stock() -> str:
    """Tell what there is."""
    return "pears"
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the commands are called in: an agent and its tools."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "shop.toml").write_text(SHOP)
    (tmp_path / "shop_tools.py").write_text(TOOLS)
    return tmp_path


async def greeting(product: Served) -> str:
    """What a new call begins with."""
    async with calling(product.url, "ada", "shop") as caller:
        return str((await caller.until("speech.delta"))["text"])


async def test_an_agent_of_a_file_talks_with_tools_of_a_module(folder: Path) -> None:
    """Also with one that runs in a process of its own; what the file says later holds for the calls after that.

    A file that is broken then changes nothing, not even for the gateway that takes the place of a killed one.
    """
    file = folder / "agents" / "shop.toml"
    options = ("--agents", "agents", "--tools", "shop_tools")
    async with served(folder / "data", *options, **FAST) as product:
        assert (await greeting(product)).startswith("Good morning")
        async with calling(product.url, "eve", "shop") as caller:
            await caller.ask('!call opening_hours {"day": "Monday"} !then !say so', "t1")
            await caller.ask("!call stock {} !then !say so", "t2")
        told = [item["text"] for item in await history(product.url, "eve", "shop") if item["role"] == "tool"]
        assert told == ["9 to 5 on Monday", "pears"]

        file.write_text(SHOP.replace("Good morning", "Good evening"))
        await eventually(lambda: _says(product, "is now as agents/shop.toml says"), "the change is seen")
        assert (await greeting(product)).startswith("Good evening")

        file.write_text('name = "Shop"\ntools = ["nothing"]')
        await eventually(lambda: _says(product, "agents/shop.toml: /tools/0: there is no tool"), "the fault is logged")
        assert (await greeting(product)).startswith("Good evening")

        killed = product.gateway()
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: _says(product, "/tools/0", times=2), "the next gateway reads the files")
        await product.until_ready()
        assert product.gateway() != killed
        assert (await greeting(product)).startswith("Good evening")


async def test_the_files_of_the_readme_work_as_they_stand(folder: Path) -> None:
    """Its agent, its module of tools, and its providers."""
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    blocks = re.findall(r"```(?:toml|python)\n(.*?)```", readme, re.DOTALL)
    agent, tools, providers = (
        next(block for block in blocks if block.startswith(start))
        for start in ("# agents/shop.toml", "# shop_tools.py", "[groq]")
    )
    (folder / "agents" / "shop.toml").write_text(agent)
    (folder / "shop_tools.py").write_text(tools)
    (folder / "providers.toml").write_text(providers)
    options = ("--agents", "agents", "--tools", "shop_tools")
    async with served(folder / "data", *options, VOICE_PROVIDERS="providers.toml", **FAST) as product:
        async with calling(product.url, "ada", "shop") as caller:
            await caller.ask('!call opening_hours {"day": "Monday"} !then !say so', "t1")
            await caller.send("user.text", text='!call order {"item": "tea"}', turn_id="t2")
            assert (await caller.until("approval.request"))["name"] == "order"
        told = [item["text"] for item in await history(product.url, "ada", "shop") if item["role"] == "tool"]
        assert "9 to 5" in told


async def test_what_is_broken_at_the_start_ends_it(folder: Path) -> None:
    """Faults of files and of modules are one line and code 2, by setting or by option, alone or under a supervisor."""
    (folder / "agents" / "bad.toml").write_text("x = 1")
    (folder / "broken.py").write_text("import nothing_here")
    (folder / "double.py").write_text(TOOLS.replace("def stock", "def get_time"))
    start = ("gateway", "--port", "0", "--data-dir", str(folder / "data"))
    missing, unknown = "agents/bad.toml: /name: this field is required", "agents/bad.toml: /x: there is no such field"
    cases: tuple[tuple[tuple[str, ...], dict[str, str], str], ...] = (
        (("--agents", "agents", "--tools", "shop_tools"), {}, f"VOICE_AGENTS: {missing}; {unknown}"),
        (("--tools", "shop_tools"), {"VOICE_AGENTS": "agents"}, f"VOICE_AGENTS: {missing}; {unknown}"),
        (("--agents", "none"), {}, "VOICE_AGENTS: none cannot be read: No such file or directory"),
        (("--tools", "shop_tools", "--tools", "broken"), {}, "VOICE_TOOLS: module 'broken' cannot be imported"),
        ((), {"VOICE_TOOLS": "shop_tools,broken"}, "VOICE_TOOLS: module 'broken' cannot be imported"),
        (("--tools", "double"), {}, "two tools are named 'get_time': voice_agent.tools.demo.get_time, double.get_time"),
    )
    for options, settings, told in cases:
        ended = await run("gateway", *start, *options, **settings)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1), ended.err
        assert ended.err.startswith(f"voice-gateway: {told}")
    ended = await run("gateway", "serve", *start[1:], "--agents", "agents")
    assert ended.code == 2
    assert f"voice-gateway: VOICE_AGENTS: {missing}; {unknown}; agents/shop.toml: /tools/0: " in ended.err


async def _says(product: Served, text: str, times: int = 1) -> bool:
    return product.log.read_text().count(text) >= times
