"""Agents and credentials over the Redis protocol."""

import secrets

import msgspec

from voice_agent.store import keys
from voice_agent.store.base import AgentRow, KeyRow
from voice_agent.store.connection import Connection

_encode = msgspec.json.Encoder().encode
_decode_key = msgspec.json.Decoder(KeyRow).decode


class RedisDirectory:
    """`Directory` on a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def write_agent(self, agent_id: str, document: bytes, version: int) -> bool:
        arguments = (agent_id, version, document)
        return bool(await self._connection.run("write_agent", (keys.AGENTS, keys.AGENT_NAMES), arguments))

    async def read_agent(self, agent_id: str) -> AgentRow | None:
        row: bytes | None = await self._connection.call("HGET", keys.AGENTS, agent_id)
        return None if row is None else _agent(agent_id, row)

    async def list_agents(self, after: str, limit: int) -> tuple[AgentRow, ...]:
        reply = await self._connection.run("list_agents", (keys.AGENTS, keys.AGENT_NAMES), (after, limit))
        names, rows = reply or ((), ())
        return tuple(_agent(name.decode(), row) for name, row in zip(names, rows, strict=True))

    async def delete_agent(self, agent_id: str) -> bool:
        return bool(await self._connection.run("delete_agent", (keys.AGENTS, keys.AGENT_NAMES), (agent_id,)))

    async def add_key(self, row: KeyRow) -> None:
        await self._connection.call("HSET", keys.API_KEYS, row.id, _encode(row))

    async def list_keys(self) -> tuple[KeyRow, ...]:
        rows = [_decode_key(row) for row in await self._connection.call("HVALS", keys.API_KEYS)]
        return tuple(sorted(rows, key=lambda row: (row.created_at, row.id)))

    async def revoke_key(self, key_id: str) -> bool:
        return bool(await self._connection.call("HDEL", keys.API_KEYS, key_id))

    async def secret(self) -> bytes:
        await self._connection.call("SET", keys.SECRET, secrets.token_bytes(32), "NX")
        secret: bytes = await self._connection.call("GET", keys.SECRET)
        return secret


def _agent(agent_id: str, row: bytes) -> AgentRow:
    version, _, document = row.partition(b" ")
    return AgentRow(id=agent_id, version=int(version), document=document)
