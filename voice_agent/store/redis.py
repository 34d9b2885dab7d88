"""Conversations over the Redis protocol: each verb is one script, or reads that may be repeated."""

import logging
from typing import Any

import msgspec
from msgspec.structs import replace

from voice_agent.messages import Message, TurnRecord
from voice_agent.store.base import Health, LoggedMessage, OpenTurn, Owner, Pair, Snapshot, TurnRef
from voice_agent.store.connection import Connection
from voice_agent.store.keys import journal, lease, open_turns, session_of, shard
from voice_agent.store.log import LOOK_PAST, Border, Entry, Page, read_border
from voice_agent.store.server import read_health
from voice_agent.store.snapshot import read_entry, read_snapshot
from voice_agent.suspension import Suspension

log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_decode_open = msgspec.json.Decoder(OpenTurn).decode
_decode_messages = msgspec.json.Decoder(tuple[Message, ...]).decode
_decode_suspension = msgspec.json.Decoder(Suspension).decode


class RedisConversations:
    """`ConversationStore` on a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._keys = connection.keys

    async def open_session(self, pair: Pair, session_id: str, owner: Owner) -> int:
        keys = (self._keys.session(pair, session_id),)
        return int(await self._connection.run("open_session", keys, (owner.slot, owner.incarnation)))

    async def load(self, pair: Pair) -> Snapshot:
        return await read_snapshot(self._connection, pair)

    async def begin_turn(self, turn: OpenTurn) -> None:
        at, ref = self._keys.turn(turn.ref), turn.ref
        keys = (at.session, at.journal, at.index, self._keys.pair(ref.pair).seen)
        started_ms = int(turn.started_at * 1000)
        arguments = (ref.epoch, ref.key, at.member, _encode(turn), started_ms, turn.owner.slot, turn.owner.incarnation)
        await self._connection.run("begin_turn", keys, arguments)

    async def save_step(self, ref: TurnRef, index: int, messages: tuple[Message, ...]) -> None:
        at = self._keys.turn(ref)
        await self._connection.run("save_step", (at.session, at.journal), (ref.epoch, index, _encode(messages)))

    async def commit_turn(self, ref: TurnRef, record: TurnRecord, evict: str | None = None) -> str:
        at, of, shared = self._keys.turn(ref), self._keys.pair(ref.pair), shard(self._keys.tag(ref.pair))
        keys = (
            at.session, at.journal, at.index, of.seen, of.log, of.meta, of.users, shared.jobs, shared.changes,
            of.waiting,
        )  # fmt: skip
        arguments = (ref.epoch, ref.key, at.member, _encode(record), ref.pair.agent, ref.pair.user, evict or "")
        reply: bytes = await self._connection.run("commit_turn", keys, arguments)
        return reply.decode()

    async def commit_heard(self, ref: TurnRef, messages: tuple[Message, ...]) -> None:
        of = self._keys.pair(ref.pair)
        keys = (self._keys.session(ref.pair, ref.session_id), of.seen, of.log)
        await self._connection.run("commit_heard", keys, (ref.epoch, ref.key, _encode(messages)))

    async def read_messages(self, pair: Pair, before: str | None, limit: int) -> tuple[LoggedMessage, ...]:
        border = None if before is None else read_border(before)
        log = self._keys.pair(pair).log
        page = Page(border, limit)
        if border is not None:
            page.look_past(reversed(await self._newer(log, border)))
        end = "+" if border is None else border.entry
        count = limit + LOOK_PAST
        while not page.full:
            rows = await self._connection.call("XREVRANGE", log, end, "-", "COUNT", count)
            for row in rows:
                page.add(read_entry(row))
            if len(rows) < count:
                break
            end = f"({rows[-1][0].decode()}"
        return page.messages

    async def list_users(self, agent: str, after: str, limit: int) -> tuple[str, ...]:
        found = await self._connection.pipe([
            ("ZRANGE", self._keys.users(tag, agent), f"({after}", "+", "BYLEX", "LIMIT", 0, limit)
            for tag in self._keys.tags
        ])  # fmt: skip
        return tuple(sorted(user.decode() for users in found for user in users)[:limit])

    async def beat(self, owner: Owner, lease_ms: int) -> None:
        await self._connection.call("SET", lease(owner.slot), owner.incarnation, "PX", lease_ms)

    async def orphans(self) -> tuple[OpenTurn, ...]:
        """Owners are read first: most open turns are alive, and nobody need read what they hold."""
        tags = self._keys.tags
        listed = await self._connection.pipe([("ZRANGE", open_turns(tag), 0, -1) for tag in tags])
        places = [(tag, member.decode()) for tag, members in zip(tags, listed, strict=True) for member in members]
        owners = await self._connection.pipe(
            [("HMGET", session_of(*place), "epoch", "slot", "incarnation") for place in places]
        )
        slots = sorted({owner[1] for owner in owners if owner[1]})
        leases = await self._connection.pipe([("GET", lease(slot.decode())) for slot in slots])
        alive = {(slot, held) for slot, held in zip(slots, leases, strict=True) if held}
        dead = [(at, owner) for at, owner in zip(places, owners, strict=True) if (owner[1], owner[2]) not in alive]
        journals = await self._connection.pipe([("HGETALL", journal(*place)) for place, _ in dead])
        # A turn that was committed since it was listed has no journal.
        found = [_owned(held, owner) for (_, owner), held in zip(dead, journals, strict=True) if held]
        return tuple(turn for turn in found if turn is not None)

    async def adopt(self, turn: OpenTurn, owner: Owner) -> OpenTurn | None:
        at = self._keys.turn(turn.ref)
        arguments = (turn.ref.epoch, owner.slot, owner.incarnation)
        reply = await self._connection.run("adopt", (at.session, at.journal), arguments)
        if reply is None:
            return None
        epoch, flat = reply
        taken = _open_turn(dict(zip(flat[::2], flat[1::2], strict=True)))
        return replace(taken, ref=replace(taken.ref, epoch=int(epoch)), owner=owner)

    async def health(self) -> Health:
        return await read_health(self._connection)

    async def _newer(self, log: str, border: Border) -> list[Entry]:
        rows = await self._connection.call("XRANGE", log, f"({border.entry}", "+", "COUNT", LOOK_PAST)
        return [read_entry(row) for row in rows]


def _open_turn(held: dict[bytes, bytes]) -> OpenTurn:
    """The turn as journalled: its head, its steps in order, and the one it was suspended in, if it is not whole yet."""
    head = _decode_open(held.pop(b"head"))
    suspended, whole = held.pop(b"suspended", None), held.pop(b"whole", b"0")
    steps = [_decode_messages(held[step]) for step in sorted(held, key=int)]
    if suspended is not None and len(steps) == int(whole):
        steps.append(_decode_suspension(suspended).step)
    return replace(head, messages=head.messages + tuple(message for step in steps for message in step))


def _owned(held: dict[bytes, bytes], session: list[Any]) -> OpenTurn | None:
    """The turn under the owner and epoch that its session has now; None if nobody can read it."""
    try:
        turn = _open_turn(held)
    except (msgspec.DecodeError, KeyError, ValueError) as fault:
        log.error("an open turn cannot be read and is left alone: %s", fault)  # noqa: TRY400 - the stack says no more
        return None
    epoch, slot, incarnation = session
    if epoch is None:
        return turn
    return replace(turn, ref=replace(turn.ref, epoch=int(epoch)), owner=Owner(slot.decode(), incarnation.decode()))
