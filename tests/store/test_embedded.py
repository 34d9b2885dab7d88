"""The embedded server with real processes: shared, stopped after the last user, restarted, clear in its faults."""

import asyncio
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path

import pytest

from tests.store.turns import PAIR, record, ref
from tests.stores import gone, until
from voice_agent.store.base import StoreDown, StoreError
from voice_agent.store.connection import Connection
from voice_agent.store.embedded import LONGEST_SOCKET_PATH, embedded, find_binary
from voice_agent.store.redis import RedisConversations
from voice_agent.store.server import connect

HOLDER = """
import sys
from pathlib import Path
from voice_agent.store.embedded import attach
attachment = attach(Path(sys.argv[1]), None)
print(attachment.url, flush=True)
sys.stdin.read()
attachment.close()
"""


@asynccontextmanager
async def holder(data_dir: Path) -> AsyncIterator[Process]:
    """A process that attaches, says the URL, and holds on until its input ends."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, str(data_dir), stdin=PIPE, stdout=PIPE)
    try:
        yield process
    finally:
        await leave(process)


async def leave(process: Process) -> None:
    """Let the holder end."""
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


async def told(process: Process) -> str:
    """The URL that a holder says."""
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def pid_of(url: str) -> int:
    """The process of the server."""
    async with aclosing(Connection(url, shards=16)) as connection:
        return int((await connection.call("INFO"))["process_id"])


def parent_of(pid: int) -> int:
    """The keeper of a server."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def until_gone(*pids: int) -> None:
    """Wait until none of the processes runs."""
    for pid in pids:
        await until(lambda pid=pid: gone(pid), f"process {pid} ends")  # type: ignore[misc]


def starts(data_dir: Path) -> int:
    """How many times a server came up there."""
    return (data_dir / "server.log").read_text().count("Ready to accept connections")


async def commit(url: str, *turn_ids: str) -> list[str]:
    """Commit turns; returns the entries' ids."""
    async with aclosing(await connect(url, shards=16, allow_volatile=False)) as connection:
        store = RedisConversations(connection)
        return [await store.commit_turn(ref(turn_id), record(ref(turn_id))) for turn_id in turn_ids]


async def committed(url: str) -> list[str]:
    """The turns in the log."""
    async with aclosing(await connect(url, shards=16, allow_volatile=False)) as connection:
        return [turn.record.turn_id for turn in (await RedisConversations(connection).load(PAIR)).turns]


async def test_six_processes_race_to_one_server_that_goes_with_the_last(tmp_path: Path) -> None:
    """Six that attach at once share one server; it lives while one of them does, and not longer."""
    async with AsyncExitStack() as stack:
        holders = [await stack.enter_async_context(holder(tmp_path)) for _ in range(6)]
        urls = {await told(process) for process in holders}
        assert len(urls) == 1
        (url,) = urls
        pid = await pid_of(url)
        assert starts(tmp_path) == 1
        for process in holders[1:]:
            await leave(process)
        assert await pid_of(url) == pid
    await until_gone(pid)
    assert starts(tmp_path) == 1


async def test_who_comes_as_the_last_one_leaves_is_served(tmp_path: Path) -> None:
    """Attached again while the keeper is still stopping, the store answers each time and has everything."""
    for number in range(8):
        async with embedded(tmp_path, None) as url:
            await commit(url, f"t{number}")
            assert await committed(url) == [f"t{done}" for done in range(number + 1)]


async def test_a_killed_holder_takes_the_server_along(tmp_path: Path) -> None:
    """The keeper learns of the last user's death by the kernel, and what was acknowledged is kept."""
    async with holder(tmp_path) as process:
        url = await told(process)
        pid = await pid_of(url)
        keeper = parent_of(pid)
        await commit(url, "t1")
        process.kill()
        await until_gone(pid, keeper)
    async with embedded(tmp_path, None) as url:
        assert await committed(url) == ["t1"]


async def test_a_killed_server_comes_back_with_everything_acknowledged(tmp_path: Path) -> None:
    """Turns are committed over two kills of the server, each repeated until acknowledged: none is lost or doubled."""
    async with embedded(tmp_path, None) as url, aclosing(await connect(url, shards=16, allow_volatile=False)) as held:
        store, failed = RedisConversations(held), 0
        for number in range(300):
            if number in {100, 200}:
                os.kill(await pid_of(url), signal.SIGKILL)
            done = False
            while not done:
                try:
                    await store.commit_turn(ref(f"t{number}"), record(ref(f"t{number}")))
                    done = True
                except StoreDown:
                    failed += 1
                    await asyncio.sleep(0)
        assert failed >= 2
        assert await committed(url) == [f"t{number}" for number in range(300)]
        assert starts(tmp_path) == 3


async def test_a_keeper_that_was_killed_is_replaced(tmp_path: Path) -> None:
    """The server it left behind is stopped by the next keeper, with nothing lost, and both go in the end."""
    async with embedded(tmp_path, None) as first:
        orphan = await pid_of(first)
        left = parent_of(orphan)
        os.kill(left, signal.SIGKILL)
        await until_gone(left)
        await commit(first, "t1")
        async with embedded(tmp_path, None) as second:
            await until_gone(orphan)
            assert await committed(second) == ["t1"]
            pid = await pid_of(second)
            keeper = parent_of(pid)
    await until_gone(pid, keeper)


async def test_a_told_keeper_stops_its_server(tmp_path: Path) -> None:
    """SIGTERM to the keeper, as at the machine's shutdown, ends both."""
    async with embedded(tmp_path, None) as url:
        pid = await pid_of(url)
        keeper = parent_of(pid)
        os.kill(keeper, signal.SIGTERM)
        await until_gone(pid, keeper)
        with pytest.raises(StoreDown):
            await pid_of(url)


async def test_a_server_whose_directory_was_deleted_is_ended(tmp_path: Path) -> None:
    """Nobody writes on into a deleted directory; whoever attaches next gets a new server."""
    data_dir = tmp_path / "data"
    async with embedded(data_dir, None) as url:
        await commit(url, "t1")
        pid = await pid_of(url)
        shutil.rmtree(data_dir)
        async with embedded(data_dir, None) as new:
            await until_gone(pid)
            assert await committed(new) == []
            await commit(new, "t2")
            assert await committed(new) == ["t2"]


async def test_a_deep_directory_has_its_socket_elsewhere(tmp_path: Path) -> None:
    """A path too long for a socket's address is shared by all the same, and the socket's folder is the user's alone."""
    data_dir = tmp_path / ("d" * LONGEST_SOCKET_PATH) / "with spaces %20 ü?#"
    async with holder(data_dir) as process, embedded(data_dir, None) as url:
        assert await told(process) == url
        path = Path(url.removeprefix("unix://"))
        assert len(str(path)) <= LONGEST_SOCKET_PATH
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_mode & 0o777 == 0o700
        assert starts(data_dir) == 1
        pid = await pid_of(url)
    await until_gone(pid)


async def test_a_name_with_odd_signs_is_no_trouble(tmp_path: Path) -> None:
    """Spaces, percent signs and question marks in the path reach the server as they are."""
    async with embedded(tmp_path / "a b%20?#ü", None) as url:
        await commit(url, "t1")
        assert await committed(url) == ["t1"]


async def test_attaching_leaves_the_event_loop_free(tmp_path: Path) -> None:
    """Others run while the server starts, and one that is cancelled meanwhile leaves no server behind."""
    turns = 0

    async def attach_for_ever() -> None:
        async with embedded(tmp_path, None):
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        attaching = group.create_task(attach_for_ever())
        while not (tmp_path / "server.log").exists():
            turns += 1
            await asyncio.sleep(0)
        attaching.cancel()
    assert turns > 10
    async with embedded(tmp_path, None) as url:
        pid = await pid_of(url)
    await until_gone(pid)


@pytest.mark.parametrize("cut", [1, 10, 150, 400, 900])
async def test_a_torn_tail_holds_no_part_of_a_turn(tmp_path: Path, cut: int) -> None:
    """A file that lost its last bytes loses whole turns from the end, and they can be committed again."""
    async with embedded(tmp_path, None) as url:
        await commit(url, *(f"t{number}" for number in range(6)))
        pid = await pid_of(url)
    await until_gone(pid)
    (tail,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    os.truncate(tail, tail.stat().st_size - cut)
    async with embedded(tmp_path, None) as url:
        found = await committed(url)
        assert found == [f"t{number}" for number in range(len(found))]
        assert 3 <= len(found) < 6
        await commit(url, *(f"t{number}" for number in range(6)))
        assert await committed(url) == [f"t{number}" for number in range(6)]


async def refused(data_dir: Path, binary: str | None = None) -> str:
    """What is said when attaching fails."""
    with pytest.raises(StoreError) as fault:
        async with embedded(data_dir, binary):
            pass
    return str(fault.value)


async def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A file in its place, below a file, or where nothing can be made: each is said with the path."""
    (tmp_path / "file").write_text("")
    for data_dir in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nothing/here")):
        assert f"the data directory {data_dir} " in await refused(data_dir)
    assert "is not a directory" in await refused(tmp_path / "file")


async def test_a_file_that_the_server_cannot_read_is_explained(tmp_path: Path) -> None:
    """The message says who wrote the directory, who ran now, and what it said last; nothing keeps running."""
    async with embedded(tmp_path, None) as url:
        await commit(url, "t1")
        pid = await pid_of(url)
    await until_gone(pid)
    (tail,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    tail.write_bytes(b"nonsense\r\n" + tail.read_bytes())
    (tmp_path / "engine").write_text("Valkey 7.9.9")
    said = await refused(tmp_path)
    assert str(tmp_path) in said
    assert "written by: Valkey 7.9.9; run now: Valkey 9" in said
    assert "Bad file format reading the append only file" in said
    assert "Bad file format" in await refused(tmp_path)


async def test_a_program_that_is_no_server_is_named(tmp_path: Path) -> None:
    """A given program that is missing, or does not serve, is an error that names it."""
    assert "'no-such-server' is no program" in await refused(tmp_path, "no-such-server")
    program = tmp_path / "liar"
    program.write_text("#!/bin/sh\necho I would rather not\nexit 3\n")
    program.chmod(0o700)
    said = await refused(tmp_path / "data", str(program))
    assert str(program) in said
    assert "I would rather not" in said
    program.write_text("nothing to run")
    assert str(program) in await refused(tmp_path / "data", str(program))


def test_a_server_is_found() -> None:
    """Without a given program the packaged one is taken, and a given one before it."""
    assert os.access(find_binary(None), os.X_OK)
    assert find_binary(sys.executable) == sys.executable
