"""`/v1/agents/{id}/passages`: archival memory, which is everything that was said, and documents added to it.

Documents can be deleted one by one. A message of the log can't (409): history would no longer be what was said.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Request
from fastapi import Query as Parameter
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from gateway.api.common import body_schema, problems, read_body, timestamp
from gateway.equipment import find_agent
from gateway.errors import Conflict, InvalidRequest, NotFound
from voice_agent.agent import DEFAULT_USER, Fault, User
from voice_agent.clock import Clock
from voice_agent.memory.archive import Found, Query
from voice_agent.store.base import Directory, Pair
from voice_agent.store.log import read_border
from voice_agent.store.memory import Document, MemoryStore

MAX_ITEMS = 1000
MAX_TEXT = 16_000


class Search(Protocol):
    """What finds passages."""

    async def search(self, pair: Pair, query: Query, /) -> Sequence[Found]:
        """The passages of the pair that have most to do with the query, best first, all that was added among them."""
        ...


def _has_words(text: str) -> str:
    if not text.strip():
        raise ValueError("there is nothing in it")
    return text


def _in_range(value: datetime) -> datetime:
    try:
        moved = value.astimezone(UTC)
    except OverflowError:
        raise ValueError("years from 2 to 9998 can be told apart here") from None
    if not 1 < moved.year < 9999:
        raise ValueError("years from 2 to 9998 can be told apart here")
    return moved


Instant = Annotated[AwareDatetime, AfterValidator(_in_range), Field(strict=False)]
Start = Annotated[Instant | None, Parameter(alias="from", description="not before this: RFC 3339, or seconds")]
End = Annotated[Instant | None, Parameter(alias="to", description="not after this")]


class PassageItem(BaseModel):
    """A passage as it was found. `ref` is what a document came with; `score` means something only beside others."""

    id: str
    text: str
    speaker: str
    at: str = Field(description="RFC 3339", json_schema_extra={"format": "date-time"})
    ref: str
    score: float
    source: Literal["message", "document"]


class PassagePage(BaseModel):
    """Passages, best first; `next` is null: ask for more with a greater limit."""

    items: list[PassageItem]
    next: str | None = None


class NewPassage(BaseModel):
    """A document to remember. `ref` is whatever its owner wants back with it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    text: Annotated[str, AfterValidator(_has_words), Field(max_length=MAX_TEXT)]
    speaker: str = Field(default="", max_length=200)
    at: Instant | None = Field(default=None, description="RFC 3339, or seconds since the epoch; unset: now")
    ref: str = Field(default="", max_length=500)


class NewPassages(BaseModel):
    """Documents to remember, all or none."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    items: list[NewPassage] = Field(min_length=1, max_length=MAX_ITEMS)


class Added(BaseModel):
    """The ids of the new passages, in the order of the request."""

    ids: list[str]


def router(directory: Directory, memory: MemoryStore, search: Search, clock: Clock) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1/agents/{agent_id}/passages", tags=["passages"])

    @routes.get("", responses=problems(404, 422))
    async def search_passages(
        agent_id: str,
        query: Annotated[str, Parameter(min_length=1, max_length=MAX_TEXT)],
        user: User = DEFAULT_USER,
        since: Start = None,
        until: End = None,
        limit: Annotated[int, Parameter(ge=1, le=200, description="how many at most")] = 10,
    ) -> PassagePage:
        """What `search_memory` would find for these words with an empty prompt, best first."""
        if since and until and since > until:
            raise InvalidRequest(Fault("/query/from", "this is after `to`"))
        agent = await find_agent(directory, agent_id)
        asked = Query(query, start=_seconds(since), end=_seconds(until), limit=limit)
        found = await search.search(Pair(agent.id, user), asked)
        return PassagePage(items=[_item(one) for one in found])

    @routes.post("", status_code=201, openapi_extra=_addition(), responses=problems(404, 413, 415, 422))
    async def add_passages(agent_id: str, request: Request, user: User = DEFAULT_USER) -> Added:
        """Add documents; they can be found at once."""
        asked = await read_body(request, NewPassages)
        agent = await find_agent(directory, agent_id)
        now = clock.wall()
        documents = tuple(
            Document(item.text, item.speaker, now if item.at is None else item.at.timestamp(), item.ref)
            for item in asked.items
        )
        return Added(ids=list(await memory.add_documents(Pair(agent.id, user), documents)))

    @routes.delete("/{passage_id}", status_code=204, responses=problems(404, 409, 422))
    async def delete_passage(agent_id: str, passage_id: str, user: User = DEFAULT_USER) -> None:
        """Delete a document that was added. What was said can't be deleted message by message."""
        agent = await find_agent(directory, agent_id)
        if _of_the_log(passage_id):
            raise Conflict(
                f"{passage_id!r} is a message of the conversation, and those are never deleted one by one; "
                f"DELETE /v1/agents/{agent.id}/users/USER forgets a user whole"
            )
        if not await memory.delete_document(Pair(agent.id, user), passage_id):
            raise NotFound(f"there is no passage {passage_id!r}")

    return routes


def _of_the_log(passage_id: str) -> bool:
    try:
        read_border(passage_id)
    except ValueError:
        return False
    return True


def _seconds(instant: datetime | None) -> float | None:
    return None if instant is None else instant.timestamp()


def _item(found: Found) -> PassageItem:
    passage = found.passage
    return PassageItem(
        id=passage.id,
        text=passage.text,
        speaker=passage.speaker,
        at=timestamp(passage.at),
        ref=passage.ref,
        score=found.score,
        source=passage.source,
    )


def _addition() -> dict[str, Any]:
    # Written around the item's schema: pydantic's own would refer to a part of itself, which OpenAPI does not resolve.
    items = {"type": "array", "minItems": 1, "maxItems": MAX_ITEMS, "items": NewPassage.model_json_schema()}
    schema = {"type": "object", "required": ["items"], "additionalProperties": False, "properties": {"items": items}}
    return body_schema(schema)
