"""`/v1/agents/{id}/blocks`: what an agent always knows of a user, with every version of it, and who wrote it.

An ETag is a version in quotes; 0 is the agent's own value, which holds until somebody writes. Without `If-Match` a
write is made anew on top of whatever came between. A read-only block answers a write with 409: change the agent.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field

from gateway.api.common import Limit, body_schema, problems, read_body, timestamp
from gateway.equipment import find_agent
from gateway.errors import Conflict, InvalidRequest, NotFound, Stale
from voice_agent.agent import DEFAULT_USER, Agent, Fault, User
from voice_agent.clock import Clock
from voice_agent.memory.blocks import BlockTooLong, ReadOnlyBlock, ShownBlock, UnknownBlock, find_block, shown_blocks
from voice_agent.store.base import BlockValue, Directory, Pair
from voice_agent.store.memory import MemoryStore

AUTHOR = "api"
# How often a write is made anew because somebody else's came between.
WRITE_ATTEMPTS = 10

Match = Annotated[str | None, Header(alias="If-Match", description='the version to replace, as in `"3"`, or `*`')]
Written = Annotated[str | None, Field(description="RFC 3339", json_schema_extra={"format": "date-time"})]


class BlockItem(BaseModel):
    """A block as it stands. `version` 0 is the agent's own value; then `author` and `at` are null."""

    label: str
    description: str
    value: str
    limit: int = Field(description="characters")
    read_only: bool
    version: int
    author: str | None = Field(description="`api`, `user` or `sleeptime:JOB`")
    at: Written
    sources: list[str] = Field(description="ids of the messages that the value was made from")


class BlockPage(BaseModel):
    """All blocks of an agent, in its order; `next` is null."""

    items: list[BlockItem]
    next: str | None = None


class VersionItem(BaseModel):
    """One version of a block's value."""

    version: int
    value: str
    author: str
    at: Written
    sources: list[str]


class VersionPage(BaseModel):
    """Versions that are kept, newest first; `next` goes into `?before=`."""

    items: list[VersionItem]
    next: int | None


class NewValue(BaseModel):
    """What a block is to hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    value: str


class OldVersion(BaseModel):
    """The version to bring back."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: int = Field(ge=1)


@dataclass(frozen=True)
class _Blocks:
    """One pair's blocks, as the routes work on them."""

    store: MemoryStore
    agent: Agent
    pair: Pair

    async def all(self) -> tuple[ShownBlock, ...]:
        return shown_blocks(self.agent, (await self.store.read_memory(self.pair)).blocks)

    async def one(self, label: str) -> ShownBlock:
        try:
            return find_block(await self.all(), label)
        except UnknownBlock as fault:
            raise NotFound(str(fault)) from None

    async def write(self, new: BlockValue, path: str, match: str | None) -> ShownBlock:
        """Write `new`, as the version after the one that holds. Raises NotFound, Conflict, Stale, InvalidRequest."""
        for _ in range(WRITE_ATTEMPTS):
            held = await self.one(new.label)
            try:
                held.check(new.value)
            except ReadOnlyBlock as fault:
                raise Conflict(str(fault)) from None
            except BlockTooLong as fault:
                raise InvalidRequest(Fault(path, str(fault))) from None
            version = held.current.version
            if not _matches(match, version):
                raise Stale(f"block {new.label!r} is at version {version}")
            written = replace(new, version=version + 1)
            if await self.store.write_block(self.pair, written):
                return replace(held, current=written)
        raise Conflict(f"block {new.label!r} keeps being written by others; try again")


Open = Callable[[str, str], Awaitable[_Blocks]]


def router(directory: Directory, memory: MemoryStore, clock: Clock) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1/agents/{agent_id}/blocks", tags=["blocks"])

    async def blocks_of(agent_id: str, user: str) -> _Blocks:
        row = await find_agent(directory, agent_id)
        return _Blocks(memory, Agent.model_validate_json(row.document), Pair(row.id, user))

    _add_values(routes, blocks_of, clock)
    _add_versions(routes, blocks_of, clock)
    return routes


def _add_values(routes: APIRouter, blocks_of: Open, clock: Clock) -> None:
    @routes.get("", responses=problems(404, 422))
    async def list_blocks(agent_id: str, user: User = DEFAULT_USER) -> BlockPage:
        """All blocks, as they stand for the user."""
        blocks = await blocks_of(agent_id, user)
        return BlockPage(items=[_item(shown) for shown in await blocks.all()])

    @routes.get("/{label}", responses=problems(404, 422))
    async def read_block(agent_id: str, label: str, response: Response, user: User = DEFAULT_USER) -> BlockItem:
        """One block; its `ETag` is its version."""
        blocks = await blocks_of(agent_id, user)
        return _answer(await blocks.one(label), response)

    @routes.put(
        "/{label}",
        openapi_extra=body_schema(NewValue.model_json_schema()),
        responses=problems(404, 409, 412, 413, 415, 422),
    )
    async def write_block(
        agent_id: str, label: str, request: Request, response: Response, user: User = DEFAULT_USER, match: Match = None
    ) -> BlockItem:
        """Give a block a new value: at most its limit in characters."""
        asked = await read_body(request, NewValue)
        blocks = await blocks_of(agent_id, user)
        new = BlockValue(label, asked.value, 0, AUTHOR, clock.wall())
        return _answer(await blocks.write(new, "/value", match), response)


def _add_versions(routes: APIRouter, blocks_of: Open, clock: Clock) -> None:
    @routes.get("/{label}/versions", responses=problems(404, 422))
    async def list_versions(
        agent_id: str,
        label: str,
        user: User = DEFAULT_USER,
        before: Annotated[int | None, Query(ge=1, description="a cursor, as in `next`")] = None,
        limit: Limit = 50,
    ) -> VersionPage:
        """The versions of a block that are kept, newest first, the present one among them."""
        blocks = await blocks_of(agent_id, user)
        await blocks.one(label)
        history = await blocks.store.block_history(blocks.pair, label)
        rows = [row for row in history if before is None or row.version < before]
        cursor = rows[limit - 1].version if len(rows) > limit else None
        return VersionPage(items=[_version(row) for row in rows[:limit]], next=cursor)

    @routes.post(
        "/{label}/restore",
        openapi_extra=body_schema(OldVersion.model_json_schema()),
        responses=problems(404, 409, 412, 413, 415, 422),
    )
    async def restore_block(
        agent_id: str, label: str, request: Request, response: Response, user: User = DEFAULT_USER, match: Match = None
    ) -> BlockItem:
        """Make an earlier version the present one again, as a version of its own."""
        asked = await read_body(request, OldVersion)
        blocks = await blocks_of(agent_id, user)
        await blocks.one(label)
        for row in await blocks.store.block_history(blocks.pair, label):
            if row.version == asked.version:
                new = replace(row, author=AUTHOR, at=clock.wall())
                return _answer(await blocks.write(new, "/version", match), response)
        raise InvalidRequest(Fault("/version", f"block {label!r} has no version {asked.version} that is kept"))


def _matches(match: str | None, version: int) -> bool:
    """Whether `If-Match` allows for the version. A weak tag never does (RFC 9110, section 13.1.1)."""
    if match is None or match.strip() == "*":
        return True
    tags = [tag.strip() for tag in match.split(",")]
    if not all(re.fullmatch(r'(?:W/)?"[^"]*"', tag) for tag in tags):
        raise InvalidRequest(Fault("/header/If-Match", 'a version is written in quotes, as in "3"'))
    return f'"{version}"' in tags


def _answer(shown: ShownBlock, response: Response) -> BlockItem:
    response.headers["ETag"] = f'"{shown.current.version}"'
    return _item(shown)


def _item(shown: ShownBlock) -> BlockItem:
    block, current = shown.definition, shown.current
    fields: dict[str, Any] = {"author": None, "at": None}
    if current.version:
        fields = {"author": current.author, "at": timestamp(current.at)}
    return BlockItem(
        label=block.label,
        description=block.description,
        value=current.value,
        limit=block.limit,
        read_only=block.read_only,
        version=current.version,
        sources=list(current.sources),
        **fields,
    )


def _version(row: BlockValue) -> VersionItem:
    return VersionItem(
        version=row.version,
        value=row.value,
        author=row.author,
        at=timestamp(row.at),
        sources=list(row.sources),
    )
