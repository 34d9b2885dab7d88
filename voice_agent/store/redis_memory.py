"""Memory over the Redis protocol: blocks, the archive and word of what changed; the worker's jobs stand beside it.

A place in the archive names the pair's life (another one begins when it was forgotten) and the last entries read.
"""

from collections.abc import Iterable
from hashlib import sha256

import msgspec
from msgspec.structs import replace

from voice_agent.store.base import BlockValue, Pair, Snapshot
from voice_agent.store.connection import WAIT_MS
from voice_agent.store.keys import journal, members_of, open_turns, shard
from voice_agent.store.lines import Argument
from voice_agent.store.log import Entry, fold, is_entry, strays
from voice_agent.store.memory import Change, Document, Passages, SearchKey
from voice_agent.store.redis_jobs import RedisJobs, encode
from voice_agent.store.redis_runs import listed, read_kept
from voice_agent.store.snapshot import CHUNK, START, Row, read_entry, read_snapshot

_decode_block = msgspec.json.Decoder(BlockValue).decode
_decode_key = msgspec.json.Decoder(SearchKey).decode
_decode_document = msgspec.json.Decoder(Document).decode
_decode_labels = msgspec.json.Decoder(tuple[str, ...]).decode


class RedisMemory(RedisJobs):
    """`MemoryStore` on a server."""

    async def read_memory(self, pair: Pair) -> Snapshot:
        return await read_snapshot(self._connection, pair)

    async def write_block(self, pair: Pair, block: BlockValue) -> bool:
        of, shared = self._keys.pair(pair), shard(self._keys.tag(pair))
        keys = (of.meta, shared.changes, of.blocks, of.versions)
        arguments = (block.label, block.version, encode(block), encode([block.label]))
        return bool(await self._run("write_block", pair, keys, *arguments))

    async def block_history(self, pair: Pair, label: str) -> tuple[BlockValue, ...]:
        of = self._keys.pair(pair)
        rows = await self._connection.run("block_history", (of.blocks, of.versions), (label,))
        return tuple(_decode_block(row) for row in rows)

    async def add_documents(self, pair: Pair, documents: tuple[Document, ...]) -> tuple[str, ...]:
        if not documents:
            return ()
        of = self._keys.pair(pair)
        rows = [encode(replace(document, id="")) for document in documents]
        digest = sha256(encode(rows)).hexdigest()
        ids = await self._connection.run("add_documents", (of.meta, of.docs, of.batches), (digest, *rows))
        return tuple(f"d{entry_id.decode()}" for entry_id in ids)

    async def delete_document(self, pair: Pair, document_id: str) -> bool:
        of, entry = self._keys.pair(pair), document_id[1:]
        if document_id[:1] != "d" or not is_entry(entry):
            return False
        return bool(await self._connection.run("delete_document", (of.docs, of.gone), (entry, document_id)))

    async def read_passages(self, pair: Pair, place: str) -> Passages:
        of = self._keys.pair(pair)
        life, *last = place.split("|") if place else ("", START, START, START, START)
        # In this order no key comes before its messages, and no document stays that was deleted meanwhile.
        streams = (of.keys, of.log, of.docs, of.gone)
        reads: list[tuple[Argument, ...]] = [("HGET", of.meta, "born")]
        reads += [_after(stream, entry_id) for stream, entry_id in zip(streams, last, strict=True)]
        born, *found = await self._connection.pipe(reads)
        now = (born or b"").decode()
        if place and life != now:
            return replace(await self.read_passages(pair, ""), anew=True)
        keys, log, docs, gone = [await self._rest(stream, rows) for stream, rows in zip(streams, found, strict=True)]
        ends = [rows[-1][0].decode() if rows else old for rows, old in zip((keys, log, docs, gone), last, strict=True)]
        return Passages(
            turns=fold(await self._with_strays(of.log, [read_entry(row) for row in log])),
            keys=tuple(_decode_key(fields[b"key"]) for _, fields in keys),
            documents=tuple(_document(row) for row in docs),
            gone=tuple(fields[b"document"].decode() for _, fields in gone),
            place="|".join((now, *ends)),
        )

    async def forget(self, pair: Pair) -> bool:
        tag, of = self._keys.tag(pair), self._keys.pair(pair)
        shared, index, mine = shard(tag), open_turns(tag), members_of(pair)
        opened = [member.decode() for member in await self._connection.call("ZRANGE", index, 0, -1)]
        members = [member for member in opened if member.startswith(mine)]
        kept = await read_kept(self._connection, pair)
        waiting = [] if kept.waiting is None else [kept.waiting]
        keys = (
            of.meta, shared.jobs, shared.dead, shared.changes, of.users, index,
            of.log, of.seen, of.blocks, of.versions, of.keys, of.docs, of.batches, of.gone, of.runs, of.waiting,
            *(journal(tag, member) for member in (*members, *waiting)),
            *self._records(kept.runs),
        )  # fmt: skip
        return bool(await self._run("forget", pair, keys, *members))

    async def trim(self, pair: Pair, before: float) -> int:
        of, shared, ms = self._keys.pair(pair), shard(self._keys.tag(pair)), max(0, int(before * 1000))
        await self._trim_runs(pair, ms)
        keys = (of.meta, shared.changes, of.log, of.seen, of.keys, of.users, of.waiting)
        return int(await self._run("trim", pair, keys, ms))

    async def changes(self, places: dict[str, str], block_ms: int) -> tuple[Change, ...]:
        tags = {shard(tag).changes: tag for tag in self._keys.tags}
        if not places:
            newest = await self._connection.pipe([("XREVRANGE", stream, "+", "-", "COUNT", 1) for stream in tags])
            for tag, rows in zip(tags.values(), newest, strict=True):
                places[tag] = rows[0][0].decode() if rows else START
        wait: tuple[Argument, ...] = ("BLOCK", min(block_ms, WAIT_MS)) if block_ms else ()
        ids = (places[tag] for tag in tags.values())
        found = await self._connection.wait("XREAD", "COUNT", CHUNK, *wait, "STREAMS", *tags, *ids)
        for stream, rows in found.items():
            places[tags[stream.decode()]] = rows[-1][0].decode()
        return tuple(_change(fields) for rows in found.values() for _, fields in rows)

    async def _trim_runs(self, pair: Pair, ms: int) -> None:
        of, kept = self._keys.pair(pair), await read_kept(self._connection, pair)
        old = [run_id for run_id, created in kept.runs.items() if created < ms]
        if not old and kept.waiting is None:
            return
        waits = journal(self._keys.tag(pair), kept.waiting or "")
        keys = (of.runs, of.waiting, of.log, of.users, waits, *self._records(old))
        members = (listed(run_id, kept.runs[run_id]) for run_id in old)
        await self._connection.run("trim_runs", keys, (pair.user, kept.waiting or "", ms, *members))

    def _records(self, run_ids: Iterable[str]) -> list[str]:
        return [key for run_id in run_ids if (key := self._keys.run(run_id)) is not None]

    async def _rest(self, stream: str, rows: list[Row]) -> list[Row]:
        """What begins with `rows`, to its end."""
        piece = rows
        while len(piece) == CHUNK:
            piece = await self._connection.call(*_after(stream, piece[-1][0].decode()))
            rows = rows + piece
        return rows

    async def _with_strays(self, log: str, entries: list[Entry]) -> list[Entry]:
        """The entries, and before them the turns that marks among them are about."""
        turns = await self._connection.pipe([("XRANGE", log, entry_id, entry_id) for entry_id in strays(entries)])
        return [read_entry(row) for rows in turns for row in rows] + entries


def _after(stream: str, entry_id: str) -> tuple[Argument, ...]:
    return ("XRANGE", stream, f"({entry_id}", "+", "COUNT", CHUNK)


def _document(row: Row) -> Document:
    return replace(_decode_document(row[1][b"document"]), id=f"d{row[0].decode()}")


def _change(fields: dict[bytes, bytes]) -> Change:
    pair = Pair(fields[b"agent"].decode(), fields[b"user"].decode())
    labels, lag_ms = _decode_labels(fields[b"labels"]), float(fields[b"lag_ms"])
    match fields[b"kind"]:
        case b"forgotten":
            return Change(pair, "forgotten", 0)
        case b"cancel":
            return Change(pair, "cancel", 0, run=fields[b"run"].decode())
    return Change(pair, "memory", int(fields[b"version"]), labels, lag_ms)
