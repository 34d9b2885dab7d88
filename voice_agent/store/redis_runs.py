"""Runs over the Redis protocol: their records by id, and the pair's turn that waits for its client."""

import msgspec
from msgspec.structs import replace

from voice_agent.run_record import RunRecord
from voice_agent.store.base import LoggedTurn, OpenTurn, Owner, Pair, TurnRef
from voice_agent.store.connection import Connection
from voice_agent.store.keys import journal, lease, shard
from voice_agent.store.log import TurnEntry
from voice_agent.store.runs import UNDER_WAY, Suspended, as_it_stands, as_logged
from voice_agent.store.snapshot import read_entry
from voice_agent.suspension import Suspension

_encode = msgspec.json.Encoder().encode
_decode_run = msgspec.json.Decoder(RunRecord).decode
_decode_open = msgspec.json.Decoder(OpenTurn).decode
_decode_suspension = msgspec.json.Decoder(Suspension).decode


class Kept(msgspec.Struct, frozen=True):
    """What is listed of a pair's runs: when each was made (ms since the epoch) by its id, and the turn that waits."""

    runs: dict[str, int]
    waiting: str | None


class RedisRuns:
    """`RunStore` on a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._keys = connection.keys

    def new_id(self, pair: Pair) -> str:
        return self._keys.new_run(pair)

    async def write_run(self, record: RunRecord, ttl_s: float) -> None:
        pair = Pair(record.agent, record.user)
        keys = (self._record(pair, record.id), self._keys.pair(pair).runs, self._keys.session(pair, record.id))
        ttl_ms = "" if record.status == "requires_approval" else max(1, int(ttl_s * 1000))
        member = listed(record.id, int(record.created_at * 1000))
        await self._connection.run(
            "write_run", keys, (record.slot, record.incarnation, member, ttl_ms, _encode(record))
        )

    async def read_run(self, run_id: str) -> RunRecord | None:
        key = self._keys.run(run_id)
        row = await self._connection.call("GET", key) if key is not None else None
        if row is None:
            return None
        record = _decode_run(row)
        if record.status not in UNDER_WAY:
            return record
        pair = Pair(record.agent, record.user)
        found = await self.suspended(pair)
        if found is not None and found.ref.session_id == run_id:
            return as_it_stands(record, found.suspension.pending, alive=True)
        if (turn := await self._logged(TurnRef(pair, run_id, record.turn_id, 0))) is not None:
            return as_logged(record, turn)
        waiting = self._keys.pair(pair).waiting
        answered, slot, incarnation = await self._connection.call("HMGET", waiting, "answered", "slot", "incarnation")
        if answered != run_id.encode():
            slot, incarnation = record.slot.encode(), record.incarnation.encode()
        alive = await self._connection.call("GET", lease(slot.decode())) == incarnation
        return as_it_stands(record, None, alive)

    async def ask_cancel(self, record: RunRecord) -> None:
        keys = (shard(self._keys.tag(Pair(record.agent, record.user))).changes,)
        await self._connection.run("ask_cancel", keys, (record.agent, record.user, record.id))

    async def suspend_turn(self, ref: TurnRef, suspension: Suspension) -> None:
        self._record(ref.pair, ref.session_id)
        at, of = self._keys.turn(ref), self._keys.pair(ref.pair)
        keys = (at.session, at.journal, at.index, of.waiting, of.users)
        arguments = (ref.epoch, at.member, _encode(suspension), ref.pair.user)
        await self._connection.run("suspend_turn", keys, arguments)

    async def suspended(self, pair: Pair) -> Suspended | None:
        waiting = self._keys.pair(pair).waiting
        member, epoch = await self._connection.call("HMGET", waiting, "turn", "epoch")
        if member is None:
            return None
        place = journal(self._keys.tag(pair), member.decode())
        head, held = await self._connection.call("HMGET", place, "head", "suspended")
        if held is None:  # it was taken up and committed since
            return None
        return Suspended(replace(_decode_open(head).ref, epoch=int(epoch)), _decode_suspension(held))

    async def resume_turn(self, suspended: Suspended, owner: Owner) -> TurnRef | None:
        ref = suspended.ref
        at, waiting = self._keys.turn(ref), self._keys.pair(ref.pair).waiting
        keys = (at.session, at.journal, at.index, waiting, self._record(ref.pair, ref.session_id))
        arguments = (at.member, ref.session_id, ref.epoch, owner.slot, owner.incarnation)
        epoch = await self._connection.run("resume_turn", keys, arguments)
        return None if epoch is None else replace(ref, epoch=int(epoch))

    async def last_answered(self, pair: Pair) -> str | None:
        run_id = await self._connection.call("HGET", self._keys.pair(pair).waiting, "answered")
        return None if run_id is None else run_id.decode()

    async def _logged(self, ref: TurnRef) -> LoggedTurn | None:
        """The turn as it was committed, if that was lately."""
        of = self._keys.pair(ref.pair)
        at = await self._connection.call("ZSCORE", of.seen, ref.key)
        if at is None:
            return None
        rows = await self._connection.call("XRANGE", of.log, int(at), int(at))
        found = (entry for entry in map(read_entry, rows) if isinstance(entry, TurnEntry))
        return next((LoggedTurn(entry.id, entry.record) for entry in found if entry.record.key == ref.key), None)

    def _record(self, pair: Pair, run_id: str) -> str:
        """The key of the record of one of the pair's runs."""
        key = self._keys.run(run_id)
        if key is None or self._keys.tag(pair) != run_id.split("-")[1]:
            raise ValueError(f"{run_id!r} is no id of a run of this agent and user")
        return key


async def read_kept(connection: Connection, pair: Pair) -> Kept:
    """What is listed of a pair's runs just now."""
    of = connection.keys.pair(pair)
    members, waiting = await connection.pipe([("ZRANGE", of.runs, 0, -1), ("HGET", of.waiting, "turn")])
    split = (member.decode().partition(":") for member in members)
    return Kept({run_id: int(ms) for ms, _, run_id in split}, None if waiting is None else waiting.decode())


def listed(run_id: str, created_ms: int) -> str:
    """How a pair's list of runs names this one."""
    return f"{created_ms}:{run_id}"
