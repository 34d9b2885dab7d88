"""`/v1/agents/{id}/messages`: the history of an agent and a user, newest first."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from gateway.api.common import Limit, problems, timestamp
from gateway.equipment import find_agent
from gateway.errors import InvalidRequest
from voice_agent.agent import DEFAULT_USER, Fault, User
from voice_agent.messages import Message, Role, ToolCall
from voice_agent.store.base import ConversationStore, Directory, Pair


class ToolCallItem(BaseModel):
    """A tool call; `utterance` is what was to be said before it, if anything."""

    id: str
    name: str
    arguments: dict[str, Any]
    utterance: str | None = Field(default=None, exclude_if=lambda value: value is None)


class MessageItem(BaseModel):
    """A message as it is kept. `text` is what was generated, `heard` what of it was heard (null: not speech)."""

    id: str
    role: Role
    text: str
    at: str = Field(description="RFC 3339", json_schema_extra={"format": "date-time"})
    turn_id: str
    heard: str | None
    tool_calls: list[ToolCallItem]
    tool_call_id: str | None


class MessagePage(BaseModel):
    """Messages, newest first; `next` goes into `?before=`."""

    items: list[MessageItem]
    next: str | None


def router(directory: Directory, conversations: ConversationStore) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1/agents/{agent_id}/messages", tags=["messages"])

    @routes.get("", responses=problems(404, 422))
    async def list_messages(
        agent_id: str,
        user: User = DEFAULT_USER,
        before: Annotated[str | None, Query(description="a message id, as in `next`")] = None,
        limit: Limit = 50,
    ) -> MessagePage:
        """What was said, newest first."""
        agent = await find_agent(directory, agent_id)
        try:
            rows = await conversations.read_messages(Pair(agent.id, user), before, limit + 1)
        except ValueError:
            raise InvalidRequest(Fault("/query/before", "this is no message id")) from None
        cursor = rows[limit - 1].message.id if len(rows) > limit else None
        return MessagePage(items=[item_of(row.message, row.turn_id) for row in rows[:limit]], next=cursor)

    return routes


def item_of(message: Message, turn_id: str) -> MessageItem:
    """A message as it is shown."""
    return MessageItem(
        id=message.id,
        role=message.role,
        text=message.text,
        at=timestamp(message.at),
        turn_id=turn_id,
        heard=message.heard,
        tool_calls=[_call(call) for call in message.tool_calls],
        tool_call_id=message.tool_call_id,
    )


def _call(call: ToolCall) -> ToolCallItem:
    return ToolCallItem(
        id=call.id, name=call.name, arguments=msgspec.json.decode(call.arguments), utterance=call.utterance
    )
