"""`/v1/agents`: agents made, listed, read, changed by merge patch, and deleted."""

import secrets
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from gateway.api.common import Limit, body_schema, problems, read_object
from gateway.equipment import find_agent
from gateway.errors import Conflict, InvalidRequest, NotFound
from voice_agent.agent import Agent, Fault
from voice_agent.agent_document import change_document
from voice_agent.store.base import AgentRow, Directory

# How often a change is made anew because somebody else's came between.
PATCH_ATTEMPTS = 10

Validate = Callable[[Mapping[str, Any]], Agent]


class AgentPage(BaseModel):
    """Agents in the order of their ids; `next` goes into `?after=`."""

    items: list[Agent]
    next: str | None


def router(directory: Directory, validate: Validate) -> APIRouter:
    """The routes. `validate` makes an agent of a definition or raises InvalidAgentError."""
    routes = APIRouter(prefix="/v1/agents", tags=["agents"])

    @routes.post("", status_code=201, openapi_extra=_creation(), responses=problems(409, 413, 415, 422))
    async def create_agent(request: Request, response: Response) -> Agent:
        """Make an agent. Its id may be given; it is made up otherwise."""
        given = await read_object(request)
        agent = validate({"id": f"agent-{secrets.token_hex(8)}"} | given)
        if not await directory.write_agent(agent.id, agent.document(), 0):
            raise Conflict(f"there is an agent {agent.id!r} already")
        response.headers["Location"] = f"/v1/agents/{agent.id}"
        return agent

    @routes.get("", responses=problems(422))
    async def list_agents(
        after: Annotated[str, Query(description="a cursor, as in `next`")] = "", limit: Limit = 50
    ) -> AgentPage:
        """All agents, in the order of their ids."""
        rows = await directory.list_agents(after, limit + 1)
        cursor = rows[limit - 1].id if len(rows) > limit else None
        return AgentPage(items=[_read(row) for row in rows[:limit]], next=cursor)

    @routes.get("/{agent_id}", responses=problems(404, 422))
    async def read_agent(agent_id: str) -> Agent:
        """One agent, its defaults filled in."""
        return _read(await find_agent(directory, agent_id))

    @routes.patch("/{agent_id}", openapi_extra=_change(), responses=problems(404, 409, 413, 415, 422))
    async def change_agent(agent_id: str, request: Request) -> Agent:
        """Change an agent by a JSON merge patch (RFC 7396): null unsets a field. The result is validated whole."""
        patch = await read_object(request)
        if patch.get("id", agent_id) != agent_id:
            raise InvalidRequest(Fault("/id", "an agent keeps its id"))
        for _ in range(PATCH_ATTEMPTS):
            row = await find_agent(directory, agent_id)
            agent = validate(change_document(msgspec.json.decode(row.document), patch))
            if await directory.write_agent(agent_id, agent.document(), row.version):
                return agent
        raise Conflict(f"agent {agent_id!r} keeps being changed by others; try again")

    @routes.delete("/{agent_id}", status_code=204, responses=problems(404, 422))
    async def delete_agent(agent_id: str) -> None:
        """Delete the agent's definition. What it remembers of its users is left alone."""
        row = await find_agent(directory, agent_id)
        if not await directory.delete_agent(row.id):
            raise NotFound(f"there is no agent {agent_id!r}")

    return routes


def _read(row: AgentRow) -> Agent:
    return Agent.model_validate_json(row.document)


def _fields() -> dict[str, Any]:
    # Nested models are among the components because a route answers with them.
    properties: dict[str, Any] = Agent.model_json_schema(ref_template="#/components/schemas/{model}")["properties"]
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _creation() -> dict[str, Any]:
    return body_schema(_fields() | {"required": ["name"]})


def _change() -> dict[str, Any]:
    return body_schema({"type": "object", "description": "any of an agent's fields"}, "application/merge-patch+json")
