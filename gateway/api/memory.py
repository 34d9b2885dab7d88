"""`/v1/agents/{id}/memory` and `/summarize`: how a user's memory is doing, consolidating it now, and forgetting it."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from gateway.api.common import problems
from gateway.equipment import find_agent
from gateway.errors import NotFound
from voice_agent.agent import DEFAULT_USER, User
from voice_agent.memory.history import START
from voice_agent.store.base import Directory, Pair
from voice_agent.store.memory import MemoryStore


class MemoryHealthItem(BaseModel):
    """A pair's memory: what is in the prompt, and how far the sleeptime worker is behind it."""

    version: int = Field(description="grows with every change of memory")
    window_turns: int
    window_messages: int = Field(description="in the prompt, or waiting to leave it")
    pending_jobs: int
    lag_ms: float = Field(description="age of the waiting job, 0 if none waits")
    watermark: str | None = Field(description="the log's entry up to which memory is consolidated; null: none yet")
    wanted: str | None = Field(description="the log's entry up to which a job was asked for; null: none yet")
    last_failure: str | None
    dead_letters: int


class Summarizing(BaseModel):
    """`raised`: there was something to consolidate, and a job for it waits. Otherwise memory is up to date."""

    raised: bool


async def forget_pair(directory: Directory, memory: MemoryStore, agent_id: str, user: str) -> None:
    """Delete all that is held of the pair. The agent may be deleted already. Raises NotFound if nothing was held."""
    if not await memory.forget(Pair(agent_id, user)):
        await find_agent(directory, agent_id)
        raise NotFound(f"nothing is held of user {user!r}")


def router(directory: Directory, memory: MemoryStore) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1/agents/{agent_id}", tags=["memory"])

    @routes.get("/memory", responses=problems(404, 422))
    async def read_memory_health(agent_id: str, user: User = DEFAULT_USER) -> MemoryHealthItem:
        """How a user's memory is doing."""
        agent = await find_agent(directory, agent_id)
        pair = Pair(agent.id, user)
        snapshot, health = await memory.read_memory(pair), await memory.memory_health(pair)
        return MemoryHealthItem(
            version=snapshot.memory_version,
            window_turns=len(snapshot.turns),
            window_messages=sum(len(turn.record.messages) for turn in snapshot.turns),
            pending_jobs=health.pending_jobs,
            lag_ms=health.lag_ms,
            watermark=_place(health.cursor),
            wanted=_place(health.wanted),
            last_failure=health.last_failure,
            dead_letters=health.dead,
        )

    @routes.delete("/memory", status_code=204, responses=problems(404, 422))
    async def forget_memory(agent_id: str, user: User = DEFAULT_USER) -> None:
        """Forget a user: history, blocks, passages and jobs. This can't be undone."""
        await forget_pair(directory, memory, agent_id, user)

    @routes.post("/summarize", status_code=202, responses=problems(404, 422))
    async def summarize(agent_id: str, user: User = DEFAULT_USER) -> Summarizing:
        """Consolidate all that was said, now; the sleeptime worker does it."""
        agent = await find_agent(directory, agent_id)
        return Summarizing(raised=await memory.raise_job(Pair(agent.id, user), "request"))

    return routes


def _place(entry_id: str) -> str | None:
    return None if entry_id == START else entry_id
