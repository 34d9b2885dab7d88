"""`/v1/jobs`: the sleeptime jobs that were given up, to be looked at, tried again or dropped."""

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from gateway.api.common import Limit, problems, timestamp
from gateway.errors import InvalidRequest, NotFound
from voice_agent.agent import Fault
from voice_agent.store.memory import DeadJob, MemoryStore

# The newest that can be listed; older ones come up as those are dealt with.
MOST = 1000


class JobItem(BaseModel):
    """A job that was given up after `deliveries` attempts, and why."""

    id: str
    state: Literal["dead"] = "dead"
    agent_id: str
    user: str
    reason: str
    deliveries: int
    at: str = Field(description="RFC 3339", json_schema_extra={"format": "date-time"})


class JobPage(BaseModel):
    """Jobs, newest first; `next` goes into `?before=`."""

    items: list[JobItem]
    next: str | None


class Retried(BaseModel):
    """The job waits for a worker again."""

    raised: Literal[True] = True


def router(memory: MemoryStore) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    @routes.get("", responses=problems(422))
    async def list_jobs(
        _: Annotated[
            Literal["dead"], Query(alias="state", description="others are counted per user, not listed")
        ] = "dead",
        before: Annotated[str | None, Query(description="a cursor, as in `next`")] = None,
        limit: Limit = 50,
    ) -> JobPage:
        """Dead letters, newest first: the newest thousand."""
        rows = sorted(await memory.dead_jobs(MOST), key=_place, reverse=True)
        if before is not None:
            border = _read_cursor(before)
            rows = [row for row in rows if _place(row) < border]
        cursor = _cursor(rows[limit - 1]) if len(rows) > limit else None
        return JobPage(items=[_item(row) for row in rows[:limit]], next=cursor)

    @routes.post("/{job_id}/retry", status_code=202, responses=problems(404, 422))
    async def retry_job(job_id: str) -> Retried:
        """Raise the job again; its letter is gone."""
        if not await memory.retry_job(job_id):
            raise NotFound(f"there is no dead letter {job_id!r}")
        return Retried()

    @routes.delete("/{job_id}", status_code=204, responses=problems(404, 422))
    async def drop_job(job_id: str) -> None:
        """Forget the dead letter. Its messages stay where they are: in the log, and searchable."""
        if not await memory.drop_job(job_id):
            raise NotFound(f"there is no dead letter {job_id!r}")

    return routes


def _place(row: DeadJob) -> tuple[float, str]:
    return (row.at, row.id)


def _cursor(row: DeadJob) -> str:
    return f"{row.at!r}~{row.id}"


def _read_cursor(cursor: str) -> tuple[float, str]:
    found = re.fullmatch(r"(\d{1,12}\.\d{1,9})~(.+)", cursor)
    if found is None:
        raise InvalidRequest(Fault("/query/before", "this is no cursor of this list"))
    return (float(found[1]), found[2])


def _item(row: DeadJob) -> JobItem:
    return JobItem(
        id=row.id,
        agent_id=row.pair.agent,
        user=row.pair.user,
        reason=row.reason,
        deliveries=row.deliveries,
        at=timestamp(row.at),
    )
