"""`/v1/agents/{id}/users`: who has a history with an agent."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from gateway.api.agents import find_agent
from gateway.api.common import Limit, problems
from voice_agent.store.base import ConversationStore, Directory


class UserItem(BaseModel):
    """One user of an agent."""

    user: str


class UserPage(BaseModel):
    """Users in code point order; `next` goes into `?after=`."""

    items: list[UserItem]
    next: str | None


def router(directory: Directory, conversations: ConversationStore) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1/agents/{agent_id}/users", tags=["users"])

    @routes.get("", responses=problems(404, 422))
    async def list_users(
        agent_id: str, after: Annotated[str, Query(description="a cursor, as in `next`")] = "", limit: Limit = 50
    ) -> UserPage:
        """The users who have talked to the agent."""
        agent = await find_agent(directory, agent_id)
        users = await conversations.list_users(agent.id, after, limit + 1)
        cursor = users[limit - 1] if len(users) > limit else None
        return UserPage(items=[UserItem(user=user) for user in users[:limit]], next=cursor)

    return routes
