"""A model of each wire format at an address, asked over real HTTP."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.servers import serving
from tests.test_run import Listener
from tests.turns import TOOLS, setup
from voice_agent import events as ev
from voice_agent.clock import SystemClock
from voice_agent.events import ModelEvent
from voice_agent.llm.capabilities import Api, Capabilities
from voice_agent.llm.observed import Observe, ObservedPool
from voice_agent.llm.provider import ProviderModel
from voice_agent.llm.simulated.server import create_app
from voice_agent.llm.wire import Auth, Endpoint, Http, Pool
from voice_agent.messages import Message, ModelRequest
from voice_agent.prompt import Prompt
from voice_agent.run import Inbox, run_turn
from voice_agent.turn import Turn

SCHEMAS = tuple(spec.schema for spec in TOOLS.values())
KEY = "s3cret-key"
_THREE_STEPS = (
    "!think One. !redact x !say Let me see. !call look {} !then !think Two, twice. !call quiet {} !then !say Done."
)


def asks(*turn: Message | str, **fields: Any) -> ModelRequest:
    """A request whose live turn is given."""
    said = tuple(Message("user", part, 0.0) if isinstance(part, str) else part for part in turn)
    return ModelRequest(**{"model": "m", "system": "s", "history": (), "turn": said, "tools": SCHEMAS, **fields})


def base_url(url: str, api: Api) -> str:
    """The base URL of that format at a server, whether its URL is given with `/v1` or without."""
    root = url.removesuffix("/v1")
    return root if api == "messages" else f"{root}/v1"


class Asked(ProviderModel):
    """A model that is `acme/m` here and `simulated` there, and keeps what it was asked."""

    def __init__(
        self, http: Http, url: str, api: Api, known: Capabilities | None = None, observe: Observe | None = None
    ) -> None:
        auth: Auth = "x-api-key" if api == "messages" else "bearer"
        pool = Pool(http, Endpoint("acme", base_url(url, api), KEY, auth, api=api))
        seen = pool if observe is None else ObservedPool(pool, observe)
        super().__init__(seen, "acme/m", "simulated", known or Capabilities())
        self.requests: list[ModelRequest] = []

    async def reply(self, request: ModelRequest, emit: Callable[[ModelEvent], None]) -> None:
        self.requests.append(request)
        await super().reply(request, emit)


async def reply(url: str, api: Api, request: ModelRequest, observe: Observe | None = None) -> list[ModelEvent]:
    """All events of one reply."""
    out: list[ModelEvent] = []
    async with Http() as http, asyncio.timeout(10):
        await Asked(http, url, api, observe=observe).reply(request, out.append)
    return out


class _Eyes:
    """Sees at once."""

    async def run(self, call: ev.RunTool) -> ev.ToolReturned:
        return ev.ToolReturned(call.call_id, "a cat")


async def think_in_three_steps(api: Api) -> tuple[ev.TurnEnded, list[ModelRequest]]:
    """A turn of two calls with thoughts before each, at the strict simulated provider: its end, and its requests."""
    listener = Listener()
    async with serving(create_app(0, 0)) as url, Http() as http, asyncio.timeout(10):
        asked = Asked(http, url, api)
        prompt = Prompt(model="m", system="s", tools=SCHEMAS)
        turn = Turn(setup(_THREE_STEPS, prompt=prompt, received_at=SystemClock().now()))
        await run_turn(turn, asked, _Eyes(), Inbox(), listener, SystemClock())
    return listener.ended, asked.requests
