"""Agents from files: taken over whole or not at all, as they change, over a store that may be away."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.agent_files import AgentFiles
from voice_agent.agent import Agent
from voice_agent.agent_document import validate_agent
from voice_agent.clock import SystemClock
from voice_agent.config import ConfigError
from voice_agent.store.base import StoreDown
from voice_agent.store.recorder import Recorder


def validate(document: Mapping[str, Any]) -> Agent:
    return validate_agent(
        document, {}, lambda model: None if model == "simulated" else "no", lambda _: None, "simulated"
    )


class World:
    """A directory of files, looked at by nobody but the test, and a store."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.store = Recorder(SystemClock())
        self.files = AgentFiles(where, self.store, validate)

    def write(self, name: str, text: str) -> None:
        (self.where / name).write_text(text)

    async def look(self) -> None:
        """Twice, as it takes for a change to settle."""
        await self.files.look()
        await self.files.look()

    async def agents(self) -> dict[str, tuple[str, int]]:
        """The stored agents' names and versions, by id."""
        rows = await self.store.list_agents("", 100)
        return {row.id: (msgspec.json.decode(row.document)["name"], row.version) for row in rows}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_each_toml_file_is_an_agent(world: World) -> None:
    """Its id is the file's name unless it gives one; hidden files, other files and folders are none."""
    world.write("ann.toml", 'name = "Ann"\n[metadata]\nsince = 2026-01-01')
    world.write("bob.toml", 'id = "robert"\nname = "Bob"')
    world.write(".#ann.toml", "half written")
    world.write("notes.txt", "none")
    (world.where / "old.toml").mkdir()
    await world.files.load(again=False)
    assert await world.agents() == {"ann": ("Ann", 1), "robert": ("Bob", 1)}


async def test_all_faults_of_all_files_are_one_error(world: World) -> None:
    """Each with its file and its field; nothing is written."""
    world.write("a.toml", 'name = "A"')
    world.write("b.toml", 'model = "foo/bar"\nx = 1')
    world.write("c.toml", "name = ")
    (world.where / "d.toml").write_bytes(b'name = "\xff"')
    world.write("e.toml", 'id = "a"\nname = "E"')
    world.write("f.toml", "name = 99999999999999999999999")
    with pytest.raises(ConfigError) as error:
        await world.files.load(again=False)
    at = f"{world.where}/"
    told = str(error.value).removeprefix("VOICE_AGENTS: ").split("; ")
    assert [line.removeprefix(at).rpartition(": ")[0] for line in told[:3]] == [
        "b.toml: /name", "b.toml: /x", "b.toml: /model"
    ]  # fmt: skip
    assert told[3].startswith(f"{at}c.toml: it is no TOML that can be read: ")
    assert told[4:6] == [f"{at}d.toml: it is not UTF-8", f"{at}e.toml: /id: 'a' is the id of {at}a.toml already"]
    assert told[6].startswith(f"{at}f.toml: ")
    assert len(told) == 7
    assert await world.agents() == {}


async def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """By its name."""
    with pytest.raises(ConfigError, match=r"VOICE_AGENTS: .*/none cannot be read: No such file"):
        await World(tmp_path / "none").files.load(again=False)


async def test_only_what_differs_is_written(world: World) -> None:
    """A start over the same files leaves the versions alone; over what somebody changed by HTTP, the file wins."""
    world.write("ann.toml", 'name = "Ann"\n[metadata]\nb = 1\na = 2')
    await world.files.load(again=False)
    await AgentFiles(world.where, world.store, validate).load(again=False)
    assert await world.agents() == {"ann": ("Ann", 1)}
    await world.store.write_agent("ann", b'{"id":"ann","name":"Anna"}', 1)
    await AgentFiles(world.where, world.store, validate).load(again=False)
    assert await world.agents() == {"ann": ("Ann", 3)}


async def test_a_change_counts_once_it_stands_still(world: World) -> None:
    """A file that still grows at a look is left for the next; one that is new is taken over too."""
    world.write("ann.toml", 'name = "Ann"')
    await world.files.load(again=False)
    world.write("ann.toml", 'name = "Ann"\ngree')
    await world.files.look()
    world.write("ann.toml", 'name = "Anna"\ngreeting = "Hi"')
    world.write("bob.toml", 'name = "Bob"')
    await world.files.look()
    assert await world.agents() == {"ann": ("Ann", 1)}
    await world.files.look()
    assert await world.agents() == {"ann": ("Anna", 2), "bob": ("Bob", 1)}
    await world.look()
    assert await world.agents() == {"ann": ("Anna", 2), "bob": ("Bob", 1)}


async def test_a_broken_or_removed_file_leaves_its_agent(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Both are said once; put right, the file counts again."""
    caplog.set_level(logging.INFO, "gateway.agent_files")
    world.write("ann.toml", 'name = "Ann"')
    await world.files.load(again=False)
    world.write("ann.toml", 'nam = "Anna"')
    await world.look()
    await world.look()
    (world.where / "ann.toml").unlink()
    await world.look()
    await world.look()
    assert await world.agents() == {"ann": ("Ann", 1)}
    path = world.where / "ann.toml"
    assert caplog.messages == [
        "not taken over, what was good before stays: "
        f"{path}: /name: this field is required; {path}: /nam: there is no such field",
        f"{path} has gone; agent ann stays until it is deleted over HTTP",
    ]
    world.write("ann.toml", 'name = "Anna"')
    await world.look()
    assert await world.agents() == {"ann": ("Anna", 2)}


async def test_an_id_goes_to_the_file_that_has_it_now(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A file whose id was another's is taken over once that one has gone or has changed; two may change places."""
    world.write("b.toml", 'id = "x"\nname = "B"')
    await world.files.load(again=False)
    world.write("a.toml", 'id = "x"\nname = "A"')
    await world.look()
    await world.look()
    assert await world.agents() == {"x": ("B", 1)}
    assert caplog.text.count("'x' is the id of") == 1
    world.write("b.toml", 'id = "y"\nname = "B"')
    await world.look()
    await world.look()
    assert await world.agents() == {"x": ("A", 2), "y": ("B", 1)}
    world.write("a.toml", 'id = "y"\nname = "A2"')
    world.write("b.toml", 'id = "x"\nname = "B2"')
    await world.look()
    await world.look()
    assert await world.agents() == {"x": ("B2", 3), "y": ("A2", 2)}
    world.write("c.toml", 'id = "x"\nname = "C"')
    await world.look()
    (world.where / "b.toml").unlink()
    await world.look()
    assert await world.agents() == {"x": ("C", 4), "y": ("A2", 2)}


async def test_a_file_that_cannot_be_read_hides_no_other(world: World) -> None:
    """Links that lead nowhere or round in a circle, and names that are no text, are faults of theirs alone."""
    world.write("ann.toml", 'name = "Ann"')
    (world.where / "b.toml").symlink_to("nowhere")
    (world.where / "c.toml").symlink_to("c.toml")
    (world.where / os.fsdecode(b"d\xff.toml")).write_text('name = "D"')
    with pytest.raises(ConfigError) as error:
        await world.files.load(again=False)
    assert str(error.value).replace(f"{world.where}/", "") == (
        "VOICE_AGENTS: b.toml: it cannot be read: No such file or directory; "
        "c.toml: it cannot be read: Too many levels of symbolic links; d\ufffd.toml: its name is not UTF-8"
    )
    await world.files.load(again=True)
    (world.where / "b.toml").unlink()
    world.write("b.toml", 'name = "Bob"')
    await world.look()
    assert await world.agents() == {"ann": ("Ann", 1), "b": ("Bob", 1)}


async def test_a_process_that_takes_another_s_place_starts_over_broken_files(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The faults are logged, the good files are taken over, and a broken one counts as soon as it is put right."""
    world.write("ann.toml", "name")
    world.write("bob.toml", 'name = "Bob"')
    await world.files.load(again=True)
    assert await world.agents() == {"bob": ("Bob", 1)}
    assert "ann.toml: it is no TOML" in caplog.text
    world.write("ann.toml", 'name = "Ann"')
    await world.look()
    assert await world.agents() == {"ann": ("Ann", 1), "bob": ("Bob", 1)}


async def test_a_change_waits_for_a_store_that_is_away(world: World) -> None:
    """And is written at the first look after that."""
    await world.files.load(again=False)
    world.write("ann.toml", 'name = "Ann"')
    await world.files.look()
    world.store.down = True
    with pytest.raises(StoreDown):
        await world.files.look()
    world.store.down = False
    await world.files.look()
    assert await world.agents() == {"ann": ("Ann", 1)}
