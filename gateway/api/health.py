"""`/livez` and `/readyz`, which need no credentials, and `/metrics`, which does."""

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from gateway.api.common import problems
from voice_agent.store.base import ConversationStore, Durability, StoreDown, StoreError

# The text format's own media type: prometheus.io, "Exposition formats".
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The store answers; `engine` and `durability` say what it is and what it survives."""

    status: Literal["ready"] = "ready"
    engine: str
    durability: Durability


def health_router(conversations: ConversationStore) -> APIRouter:
    """The open routes. They say nothing of where the store is."""
    routes = APIRouter(tags=["health"])

    @routes.get("/livez")
    async def livez() -> Alive:
        """Whether the process is alive."""
        return Alive()

    @routes.get("/readyz", responses=problems(503))
    async def readyz() -> Ready:
        """Whether sessions can be served: the store can be reached."""
        try:
            health = await conversations.health()
        except StoreError as fault:
            raise StoreDown("not ready") from fault
        return Ready(engine=health.engine, durability=health.durability)

    return routes


def metrics_router(render: Callable[[], bytes]) -> APIRouter:
    """The Prometheus route; `render` gives the text format."""
    routes = APIRouter(tags=["health"])

    @routes.get("/metrics", response_class=Response, responses={200: {"content": {METRICS_TYPE: {}}}})
    async def metrics() -> Response:
        """Metrics in the Prometheus text format."""
        return Response(render(), headers={"Content-Type": METRICS_TYPE})

    return routes
