"""A served API over an in-memory store, a clock set by hand, and a client that speaks to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from gateway.api.http import Services, build_api
from gateway.auth import Doors
from tests.servers import serving
from voice_agent.store.recorder import Recorder

ENV_KEY = "env-key-of-this-gateway"


class HandClock:
    """A clock that stands where it is set."""

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self.at = wall

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Client:
    """Speaks to one base URL, with the same headers each time."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base

    async def ask(self, method: str, path: str, key: str | None = None, **options: Any) -> Answer:
        """Send a request, with `key` as bearer if given; `options` are aiohttp's."""
        headers = options.pop("headers", {}) | ({} if key is None else {"Authorization": f"Bearer {key}"})
        async with self._session.request(
            method, self._base + path, headers=headers, allow_redirects=False, **options
        ) as answer:
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, found, await answer.read())


def new_store() -> Recorder:
    """An empty store in memory."""
    return Recorder(HandClock())


def check_model(model: str) -> str | None:
    """Knows `simulated`, and one model whose key is not set."""
    if model == "simulated":
        return None
    if model == "openai/gpt-test":
        return "OPENAI_API_KEY is not set"
    return f"there is no provider {model.partition('/')[0]!r}"


def services(store: Recorder, clock: HandClock, *, api_key: str | None = None, loopback: bool = True) -> Services:
    """What an API is built of, over `store`."""
    return Services(
        directory=store,
        conversations=store,
        doors=Doors(store, clock, api_key=api_key, loopback=loopback),
        tools=("get_time", "set_reminder"),
        check_model=check_model,
        default_model="simulated",
        render_metrics=lambda: b"sessions 0\n",
        version="1.2.3",
    )


@asynccontextmanager
async def api(
    store: Recorder, clock: HandClock | None = None, *, api_key: str | None = None, loopback: bool = True
) -> AsyncIterator[Client]:
    """A client of an API over `store`."""
    app = build_api(services(store, clock or HandClock(), api_key=api_key, loopback=loopback))
    async with serving(app) as base, aiohttp.ClientSession() as session:
        yield Client(session, base)


async def make_agent(client: Client, **fields: Any) -> Any:
    """Create an agent over HTTP and return it."""
    answer = await client.ask("POST", "/v1/agents", json={"name": "Ann"} | fields)
    assert answer.status == 201, answer.body
    return answer.json
