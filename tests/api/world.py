"""A served API over an in-memory store or a real one, a clock set by hand, and a client that speaks to it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from gateway.answering import Given
from gateway.api.http import Services, build_api
from gateway.auth import Doors
from gateway.errors import NotFound
from gateway.orders import Asked
from tests.servers import serving
from tests.stores import fresh_store
from tests.turns import spec
from voice_agent.agent import Agent
from voice_agent.agent_document import validate_agent
from voice_agent.llm.base import Preview
from voice_agent.memory.archives import Archives
from voice_agent.messages import Message, TurnRecord
from voice_agent.run_record import RunRecord
from voice_agent.runs.run import Run
from voice_agent.store.base import ConversationStore, OpenTurn, Owner, Pair, TurnRef
from voice_agent.store.connection import Connection
from voice_agent.store.directory import RedisDirectory
from voice_agent.store.memory import Job
from voice_agent.store.recorder import Recorder
from voice_agent.store.redis import RedisConversations
from voice_agent.store.redis_memory import RedisMemory
from voice_agent.tools.outward import Guard

ENV_KEY = "env-key-of-this-gateway"
OWNER = Owner("127.0.0.1:8080", "first")
AT = 1_700_000_000.25
TOOLS = {name: spec(name) for name in ("get_time", "set_reminder")}


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


def validate(document: Mapping[str, Any]) -> Agent:
    """As the gateway of these tests takes agents."""
    return validate_agent(document, TOOLS, check_model, Guard().fault, "simulated")


def services(store: Recorder, clock: HandClock, *, api_key: str | None = None, loopback: bool = True) -> Services:
    """What an API is built of, over `store`."""
    return Services(
        directory=store,
        conversations=store,
        memory=store,
        search=Archives(store, clock),
        runs=NoRuns(),
        doors=Doors(store, clock, api_key=api_key, loopback=loopback),
        validate=validate,
        render_metrics=lambda: b"sessions 0\n",
        clock=clock,
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


async def commit(store: ConversationStore, user: str, turn_id: str, *messages: Message) -> str:
    """Put a finished turn of `ann` and `user` into the log; returns its entry's id."""
    pair = Pair("ann", user)
    epoch = await store.open_session(pair, "s1", OWNER)
    ref = TurnRef(pair, "s1", turn_id, epoch)
    await store.begin_turn(OpenTurn(ref, OWNER, 0, AT, messages[:1]))
    return await store.commit_turn(ref, TurnRecord(ref.key, "end_turn", messages, AT))


class NoRuns:
    """Runs where nobody runs any."""

    async def start(self, asked: Asked, words: tuple[str, ...]) -> Run:
        raise NotFound(f"there is no agent {asked.agent_id!r}")

    async def preview(self, asked: Asked, words: tuple[str, ...]) -> Preview:
        raise NotFound(f"there is no agent {asked.agent_id!r}")

    async def answer(self, asked: Asked, given: tuple[Given, ...]) -> Run | RunRecord:
        raise NotFound(f"there is no agent {asked.agent_id!r}")

    async def find(self, run_id: str) -> RunRecord:
        raise NotFound(f"there is no run {run_id!r}")

    async def cancel(self, run_id: str) -> RunRecord:
        raise NotFound(f"there is no run {run_id!r}")


class World(Client):
    """A client of an API over a real store, and what stands behind the API. There is an agent `ann`."""

    def __init__(self, session: aiohttp.ClientSession, base: str, connection: Connection, memory: RedisMemory) -> None:
        super().__init__(session, base)
        self.conversations = RedisConversations(connection)
        self.memory = memory
        self.clock = HandClock()

    async def ask_as_is(self, method: str, path: str) -> Answer:
        """As `ask`, the path already encoded."""
        async with self._session.request(method, URL(self._base + path, encoded=True)) as answer:
            return Answer(answer.status, {}, await answer.read())

    async def said(self, user: str, *texts: str) -> str:
        """Each text as a turn of `ann` and the user, a minute after the one before; returns the last entry's id."""
        last = ""
        for index, text in enumerate(texts):
            last = await commit(self.conversations, user, f"t{index}-{text}", Message("user", text, AT + 60 * index))
        return last

    async def next_job(self) -> Job:
        """The one job that waits."""
        (job,) = await self.memory.next_jobs("worker", 1, 0)
        return job


@asynccontextmanager
async def remembering(kind: type[RedisMemory] = RedisMemory, **agent: Any) -> AsyncIterator[World]:
    """A world whose agent `ann` has these fields; `kind` is the memory store's class."""
    async with fresh_store() as connection, aiohttp.ClientSession() as session:
        memory, clock = kind(connection), HandClock()
        directory = RedisDirectory(connection)
        parts = Services(
            directory=directory,
            conversations=RedisConversations(connection),
            memory=memory,
            search=Archives(memory, clock),
            runs=NoRuns(),
            doors=Doors(directory, clock, api_key=None, loopback=True),
            validate=validate,
            render_metrics=lambda: b"",
            clock=clock,
            version="1.2.3",
        )
        async with serving(build_api(parts)) as base:
            world = World(session, base, connection, memory)
            world.clock = clock
            await make_agent(world, **({"id": "ann"} | agent))
            yield world
