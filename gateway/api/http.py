"""The HTTP side as one application: every resource behind the guard, health before it."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Depends, FastAPI

from gateway.api import agents, blocks, docs, jobs, memory, messages, passages, runs, tokens, users
from gateway.api.common import guard, handle_errors, problems
from gateway.api.health import health_router, metrics_router
from gateway.auth import Doors
from voice_agent.clock import Clock
from voice_agent.store.base import ConversationStore, Directory
from voice_agent.store.memory import MemoryStore


@dataclass(frozen=True)
class Services:
    """What the resources work with. `validate` makes an agent of a definition or raises InvalidAgentError."""

    directory: Directory
    conversations: ConversationStore
    memory: MemoryStore
    search: passages.Search
    runs: runs.Runner
    doors: Doors
    validate: agents.Validate
    render_metrics: Callable[[], bytes]
    clock: Clock
    version: str


def build_api(services: Services) -> FastAPI:
    """The application, to which the caller adds sockets, pages and a lifespan of its own."""
    app = FastAPI(
        title="voice-agent-gateway", version=services.version, openapi_url=None, docs_url=None, redoc_url=None
    )
    handle_errors(app)
    app.include_router(health_router(services.conversations))
    for router in (
        agents.router(services.directory, services.validate),
        users.router(services.directory, services.conversations, services.memory),
        messages.router(services.directory, services.conversations),
        runs.router(services.runs),
        blocks.router(services.directory, services.memory, services.clock),
        passages.router(services.directory, services.memory, services.search, services.clock),
        memory.router(services.directory, services.memory),
        jobs.router(services.memory),
        tokens.router(services.directory, services.doors),
        metrics_router(services.render_metrics),
        docs.router(app.openapi),
    ):
        app.include_router(router, dependencies=[Depends(guard(services.doors))], responses=problems(401, 403, 503))
    return app
