"""`/v1/client_tokens`: short-lived tokens with which a browser opens sessions."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.api.common import body_schema, problems, read_body, timestamp
from gateway.auth import Doors
from gateway.equipment import find_agent
from voice_agent.agent import User
from voice_agent.store.base import Directory


class TokenRequest(BaseModel):
    """What the token is for: one agent, and one user if given."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    agent_id: str
    user: User | None = None
    ttl_s: int = Field(default=300, ge=1, le=3600, description="seconds until it expires")


class TokenAnswer(BaseModel):
    """The token, for `?token=`, and when it expires (RFC 3339)."""

    token: str
    expires_at: str = Field(json_schema_extra={"format": "date-time"})


def router(directory: Directory, doors: Doors) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1/client_tokens", tags=["client tokens"])

    @routes.post(
        "", openapi_extra=body_schema(TokenRequest.model_json_schema()), responses=problems(404, 413, 415, 422)
    )
    async def create_token(request: Request, response: Response) -> TokenAnswer:
        """Make a token for one agent and, if given, one user."""
        asked = await read_body(request, TokenRequest)
        agent = await find_agent(directory, asked.agent_id)
        made = await doors.mint(agent.id, asked.user, asked.ttl_s)
        response.headers["Cache-Control"] = "no-store"
        return TokenAnswer(token=made.token, expires_at=timestamp(made.expires_at))

    return routes
