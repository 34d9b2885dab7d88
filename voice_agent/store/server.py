"""Going to a server: is it new enough, does it keep what it is told, and is the store on it one that we can read."""

import secrets
from typing import Any

import msgspec

from voice_agent.store import keys
from voice_agent.store.base import Durability, Health, StoreError
from voice_agent.store.connection import Connection

OLDEST = {"Redis": (7, 0), "Valkey": (7, 2)}


class Server(msgspec.Struct, frozen=True):
    """What a server says of itself. `policy` is what it does when its memory is full."""

    engine: str
    version: str
    policy: str
    durability: Durability

    def unfit(self, allow_volatile: bool) -> str | None:
        """Why it cannot hold the store, or None."""
        oldest = OLDEST[self.engine]
        if tuple(int(part) for part in self.version.split(".")[:2]) < oldest:
            wanted = ", ".join(f"{name} {major}.{minor}" for name, (major, minor) in OLDEST.items())
            return f"{self.engine} {self.version} is too old: it takes at least {wanted}"
        if self.policy != "noeviction":
            return f"maxmemory-policy is {self.policy}, which forgets when memory is full: it must be noeviction"
        if self.durability == "none" and not allow_volatile:
            return "it keeps nothing over a restart (appendonly no): set appendonly yes, or VOICE_ALLOW_VOLATILE=1"
        return None


async def connect(url: str, *, shards: int, allow_volatile: bool) -> Connection:
    """A connection to a server that is fit, and to a store on it of our schema with `shards` shards; close it.

    Raises StoreDown if it cannot be reached, StoreError saying what is wrong with it; neither shows a password.
    """
    connection = Connection(url, shards)
    try:
        await _refuse_unfit(connection, allow_volatile)
        await _enter(connection)
    except BaseException:
        await connection.aclose()
        raise
    return connection


async def read_server(connection: Connection) -> Server:
    """Ask the server."""
    info: dict[str, Any] = await connection.call("INFO")
    valkey = info.get("server_name") == "valkey"
    return Server(
        engine="Valkey" if valkey else "Redis",
        version=str(info["valkey_version"] if valkey else info["redis_version"]),
        policy=str(info["maxmemory_policy"]),
        durability=await _durability(connection),
    )


async def read_health(connection: Connection) -> Health:
    """What is shown of the server at start and in `/readyz`."""
    server = await read_server(connection)
    return Health(f"{server.engine} {server.version}", server.durability, connection.where)


async def _refuse_unfit(connection: Connection, allow_volatile: bool) -> None:
    unfit = (await read_server(connection)).unfit(allow_volatile)
    if unfit:
        raise StoreError(f"the store at {connection.where} cannot be used: {unfit}")


async def _durability(connection: Connection) -> Durability:
    try:
        reply: list[bytes] = await connection.call("CONFIG", "GET", "append*")
    except StoreError as fault:
        # Hosted servers forbid CONFIG; one that went away is another matter.
        if type(fault) is not StoreError:
            raise
        return "unknown"
    settings = dict(zip(reply[::2], reply[1::2], strict=True))
    if settings[b"appendonly"] != b"yes":
        return "none"
    return "disk" if settings[b"appendfsync"] == b"always" else "process"


async def _enter(connection: Connection) -> None:
    shards = connection.keys.shards
    arguments = (keys.SCHEMA, shards, secrets.token_hex(8))
    schema, stored_shards = map(int, await connection.run("enter", (keys.STORE,), arguments))
    if schema != keys.SCHEMA:
        raise StoreError(
            f"the store at {connection.where} has schema {schema}, this program reads schema {keys.SCHEMA}"
        )
    if stored_shards != shards:
        raise StoreError(
            f"the store at {connection.where} was made with {stored_shards} shards, VOICE_SHARDS says {shards}:"
            f" set VOICE_SHARDS={stored_shards}"
        )
