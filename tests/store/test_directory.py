"""Agents with compare-and-set, API keys, and the store's own secret, on the real server and on the recorder."""

import asyncio

from voice_agent.store.base import AgentRow, Directory, KeyRow


async def test_an_agent_is_written_only_over_the_version_that_was_read(directory: Directory) -> None:
    """A write names the version it replaces; any other is a conflict that changes nothing."""
    assert await directory.read_agent("a") is None
    assert not await directory.write_agent("a", b"{}", 1)
    assert await directory.write_agent("a", b'{"n": 1}', 0)
    assert not await directory.write_agent("a", b'{"n": 2}', 0)
    assert await directory.write_agent("a", b'{"n": 3}', 1)
    assert not await directory.write_agent("a", b'{"n": 4}', 1)
    assert await directory.read_agent("a") == AgentRow("a", 2, b'{"n": 3}')


async def test_a_change_repeated_is_no_conflict_with_itself(directory: Directory) -> None:
    """A change whose reply was lost can be sent again; creating the same agent again is a conflict."""
    assert await directory.write_agent("a", b"1", 0)
    assert not await directory.write_agent("a", b"1", 0)
    assert await directory.write_agent("a", b"2", 1)
    assert await directory.write_agent("a", b"2", 1)
    assert await directory.read_agent("a") == AgentRow("a", 2, b"2")


async def test_of_ten_writers_one_wins(directory: Directory) -> None:
    """Ten creations at the same moment leave one agent, at version 1, of the one that was told so."""
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(directory.write_agent("a", b"%d" % number, 0)) for number in range(10)]
    (winner,) = [number for number, call in enumerate(calls) if call.result()]
    assert await directory.read_agent("a") == AgentRow("a", 1, b"%d" % winner)


async def test_documents_are_kept_byte_for_byte(directory: Directory) -> None:
    """No byte of a document has a meaning to the store."""
    document = bytes(range(256)) + b" 7 "
    await directory.write_agent("a", document, 0)
    assert await directory.read_agent("a") == AgentRow("a", 1, document)


async def test_agents_are_listed_in_pages(directory: Directory) -> None:
    """Agents come in code point order of their ids, those after a given one, and deleted ones do not."""
    for name in ("b", "a", "B", "a-1", "c"):
        await directory.write_agent(name, name.encode(), 0)
    assert await directory.delete_agent("c")
    assert not await directory.delete_agent("c")
    assert await directory.read_agent("c") is None
    first = await directory.list_agents("", 3)
    assert first == (AgentRow("B", 1, b"B"), AgentRow("a", 1, b"a"), AgentRow("a-1", 1, b"a-1"))
    assert await directory.list_agents("a-1", 3) == (AgentRow("b", 1, b"b"),)
    assert await directory.list_agents("b", 3) == ()


async def test_keys_are_listed_oldest_first_until_revoked(directory: Directory) -> None:
    """A key is there once however often it was added, and gone once revoked."""
    rows = [KeyRow(f"k{number}", "door", "ab" * 32, float(number)) for number in (2, 1, 3)]
    for row in (*rows, rows[0]):
        await directory.add_key(row)
    assert [row.id for row in await directory.list_keys()] == ["k1", "k2", "k3"]
    assert await directory.revoke_key("k2")
    assert not await directory.revoke_key("k2")
    assert await directory.list_keys() == (rows[1], rows[2])


async def test_everybody_gets_the_same_secret(directory: Directory) -> None:
    """Ten that ask at once for the first time get one secret of 32 bytes."""
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(directory.secret()) for _ in range(10)]
    assert len({call.result() for call in calls}) == 1
    assert len(calls[0].result()) == 32
