"""`/v1/agents/{id}/users`: who has a history with an agent, and forgetting one of them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from gateway.api.common import Limit, problems
from gateway.api.memory import forget_pair
from gateway.equipment import find_agent
from voice_agent.agent import USER_PATTERN
from voice_agent.store.base import ConversationStore, Directory
from voice_agent.store.memory import MemoryStore


class UserItem(BaseModel):
    """One user of an agent."""

    user: str


class UserPage(BaseModel):
    """Users in code point order; `next` goes into `?after=`."""

    items: list[UserItem]
    next: str | None


def router(directory: Directory, conversations: ConversationStore, memory: MemoryStore) -> APIRouter:
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

    # A user may be any text, slashes included.
    @routes.delete("/{user:path}", status_code=204, responses=problems(404, 422))
    async def forget_user(agent_id: str, user: Annotated[str, Path(pattern=USER_PATTERN)]) -> None:
        """Forget a user: history, blocks, passages and jobs. This can't be undone."""
        await forget_pair(directory, memory, agent_id, user)

    return routes
