"""The sleeptime worker's jobs over Redis streams: handed out by consumer group, finished or buried in one script each.

A job's id names its shard and its entry there; so does a dead letter's.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from voice_agent.store.base import BlockValue, Pair
from voice_agent.store.connection import WAIT_MS, Connection, NoGroup
from voice_agent.store.keys import ShardKeys, shard
from voice_agent.store.lines import Argument
from voice_agent.store.log import is_entry
from voice_agent.store.memory import DeadJob, Job, JobResult, MemoryHealth, SearchKey

GROUP = "sleep"
# Every worker process brings a consumer name of its own; one that has not asked for so long is gone for good.
CONSUMER_IDLE_MS = 3_600_000
encode = msgspec.json.Encoder().encode


class RedisJobs:
    """The part of `MemoryStore` that the worker is made of."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._keys = connection.keys
        self._first_shard = 0

    async def raise_job(self, pair: Pair, reason: str) -> bool:
        of, shared = self._keys.pair(pair), self._shard(pair)
        return bool(await self._run("raise_job", pair, (of.meta, shared.jobs, of.log), reason))

    async def next_jobs(self, worker: str, count: int, block_ms: int) -> tuple[Job, ...]:
        """Reads every shard at once, so `count` is rounded up to one job per shard."""
        tags = {shard(tag).jobs: tag for tag in self._keys.tags}
        each = max(1, count // len(tags))
        wait: tuple[Argument, ...] = ("BLOCK", min(block_ms, WAIT_MS)) if block_ms else ()
        command = ("XREADGROUP", "GROUP", GROUP, worker, "COUNT", each, *wait, "STREAMS", *tags, *(">" for _ in tags))
        try:
            found = await self._connection.wait(*command)
        except NoGroup:
            await self._make_groups()
            found = await self._connection.wait(*command)
        return tuple(
            _job(tags[stream.decode()], entry_id, fields, 1)
            for stream, entries in found.items()
            for entry_id, fields in entries
        )

    async def claim_jobs(self, worker: str, idle_ms: int, count: int) -> tuple[Job, ...]:
        tags = self._keys.tags
        self._first_shard = (self._first_shard + 1) % len(tags)
        jobs: list[Job] = []
        for tag in tags[self._first_shard :] + tags[: self._first_shard]:
            arguments = (worker, idle_ms, count - len(jobs), CONSUMER_IDLE_MS)
            if len(jobs) >= count:
                break
            try:
                claimed = await self._connection.run("claim_jobs", (shard(tag).jobs,), arguments)
            except NoGroup:
                continue
            for entry_id, flat, deliveries in claimed:
                jobs.append(_job(tag, entry_id, dict(zip(flat[::2], flat[1::2], strict=True)), int(deliveries)))
        return tuple(jobs)

    async def renew_jobs(self, worker: str, jobs: tuple[Job, ...]) -> None:
        entries: dict[str, list[str]] = {}
        for job in jobs:
            tag, entry = _place(job.id)
            entries.setdefault(tag, []).append(entry)
        for tag, held in entries.items():
            await self._connection.run("renew_jobs", (shard(tag).jobs,), (worker, *held))

    async def finish_job(self, job: Job, result: JobResult) -> int | None:
        of, shared = self._keys.pair(job.pair), self._shard(job.pair)
        keys = (of.meta, shared.jobs, shared.changes, of.blocks, of.versions, of.keys)
        arguments = (
            _place(job.id)[1], result.cursor_from, result.cursor_to, result.start,
            encode([block.label for block in result.blocks]), *_written(result.keys, result.blocks),
        )  # fmt: skip
        version = await self._run("finish_job", job.pair, keys, *arguments)
        return None if version is None else int(version)

    async def fail_job(self, job: Job, reason: str) -> None:
        await self._connection.run("fail_job", (self._keys.pair(job.pair).meta,), (_place(job.id)[1], reason))

    async def bury_job(self, job: Job, reason: str) -> None:
        shared = self._shard(job.pair)
        keys = (self._keys.pair(job.pair).meta, shared.jobs, shared.changes, shared.dead)
        await self._run("bury_job", job.pair, keys, _place(job.id)[1], reason, job.deliveries)

    async def dead_jobs(self, limit: int) -> tuple[DeadJob, ...]:
        tags = self._keys.tags
        reads = [("XREVRANGE", shard(tag).dead, "+", "-", "COUNT", limit) for tag in tags]
        found = zip(tags, await self._connection.pipe(reads), strict=True)
        letters = [_letter(tag, entry_id, fields) for tag, rows in found for entry_id, fields in rows]
        return tuple(sorted(letters, key=lambda letter: letter.at, reverse=True)[:limit])

    async def retry_job(self, dead_id: str) -> bool:
        letter = await self._find(dead_id)
        if letter is None:
            return False
        shared = self._shard(letter.pair)
        keys = (self._keys.pair(letter.pair).meta, shared.jobs, shared.dead)
        return bool(await self._run("retry_job", letter.pair, keys, _place(dead_id)[1]))

    async def drop_job(self, dead_id: str) -> bool:
        letter = await self._find(dead_id)
        if letter is None:
            return False
        keys = (self._keys.pair(letter.pair).meta, self._shard(letter.pair).dead)
        return bool(await self._connection.run("drop_job", keys, (_place(dead_id)[1],)))

    async def memory_health(self, pair: Pair) -> MemoryHealth:
        keys = (self._keys.pair(pair).meta, self._shard(pair).jobs)
        pending, lag_ms, (start, cursor, wanted, failure, dead) = await self._connection.run("memory_health", keys, ())
        return MemoryHealth(
            pending_jobs=int(pending),
            lag_ms=float(lag_ms),
            start=(start or b"0-0").decode(),
            cursor=(cursor or b"0-0").decode(),
            wanted=(wanted or b"0-0").decode(),
            last_failure=None if failure is None else failure.decode(),
            dead=int(dead or 0),
        )

    async def _find(self, dead_id: str) -> DeadJob | None:
        tag, entry = _place(dead_id)
        if tag not in self._keys.tags or not is_entry(entry):
            return None
        rows = await self._connection.call("XRANGE", shard(tag).dead, entry, entry)
        return _letter(tag, *rows[0]) if rows else None

    async def _make_groups(self) -> None:
        for tag in self._keys.tags:
            await self._connection.run("make_group", (shard(tag).jobs,), ())

    def _shard(self, pair: Pair) -> ShardKeys:
        return shard(self._keys.tag(pair))

    async def _run(self, script: str, pair: Pair, keys: Sequence[str], *arguments: Argument) -> Any:
        """A script whose arguments begin with whom it is about."""
        return await self._connection.run(script, keys, (pair.agent, pair.user, *arguments))


def _written(keys: Sequence[SearchKey], blocks: Sequence[BlockValue]) -> tuple[Argument, ...]:
    """Keys and blocks as arguments: how many keys, the keys, and of each block label, version and value."""
    rows = (part for block in blocks for part in (block.label, block.version, encode(block)))
    return (len(keys), *(encode(key) for key in keys), *rows)


def _place(job_id: str) -> tuple[str, str]:
    tag, _, entry = job_id.partition("-")
    return tag, entry


def _job(tag: str, entry_id: bytes, fields: dict[bytes, bytes], deliveries: int) -> Job:
    pair = Pair(fields[b"agent"].decode(), fields[b"user"].decode())
    return Job(f"{tag}-{entry_id.decode()}", pair, fields[b"reason"].decode(), deliveries)


def _letter(tag: str, entry_id: bytes, fields: dict[bytes, bytes]) -> DeadJob:
    return DeadJob(
        id=f"{tag}-{entry_id.decode()}",
        pair=Pair(fields[b"agent"].decode(), fields[b"user"].decode()),
        reason=fields[b"reason"].decode(),
        deliveries=int(fields[b"deliveries"]),
        at=int(entry_id.partition(b"-")[0]) / 1000,
    )
