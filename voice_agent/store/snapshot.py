"""A pair's memory read from a server, all of one moment, and the entries of its log as they are there."""

import msgspec

from voice_agent.messages import Message, TurnRecord
from voice_agent.store.base import BlockValue, Pair, Snapshot
from voice_agent.store.connection import Connection
from voice_agent.store.log import Entry, HeardEntry, TurnEntry, fold

CHUNK = 500
START = "0-0"
_decode_turn = msgspec.json.Decoder(TurnRecord).decode
_decode_messages = msgspec.json.Decoder(tuple[Message, ...]).decode
_decode_block = msgspec.json.Decoder(BlockValue).decode

Row = tuple[bytes, dict[bytes, bytes]]


async def read_snapshot(connection: Connection, pair: Pair) -> Snapshot:
    """Everything of the pair since the window's start: one round trip, unless the window has hundreds of entries."""
    keys = connection.keys.pair(pair)
    marks, blocks, found, last = await connection.run("load", (keys.meta, keys.blocks, keys.log), (CHUNK,))
    piece = rows = rows_of(found)
    while len(piece) == CHUNK:
        # Up to what was last at first: the rest is of a later moment.
        piece = await connection.call("XRANGE", keys.log, f"({rows[-1][0].decode()}", last, "COUNT", CHUNK)
        rows = rows + piece
    version, *places = marks
    start, cursor, wanted, evict = ((place or START.encode()).decode() for place in places)
    return Snapshot(
        turns=fold(read_entry(row) for row in rows),
        memory_version=int(version or 0),
        blocks=tuple(sorted((_block(row) for row in blocks), key=lambda block: block.label)),
        start=start,
        cursor=cursor,
        wanted=wanted,
        evict=evict,
    )


def read_entry(row: Row) -> Entry:
    """An entry of a log."""
    entry_id, fields = row[0].decode(), row[1]
    if fields[b"kind"] == b"turn":
        return TurnEntry(entry_id, _decode_turn(fields[b"turn"]))
    messages, turn = _decode_messages(fields[b"messages"]), fields.get(b"entry", b"")
    return HeardEntry(entry_id, fields[b"key"].decode(), messages, turn.decode())


def rows_of(found: list[tuple[bytes, list[bytes]]]) -> list[Row]:
    """A stream's entries as a script returns them, in the shape in which a command does."""
    return [(entry_id, dict(zip(flat[::2], flat[1::2], strict=True))) for entry_id, flat in found]


def _block(row: bytes) -> BlockValue:
    return _decode_block(row.partition(b" ")[2])
