"""Where scenarios are played: a gateway over a real store, and a simulated provider behind real HTTP that it asks."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, get_args

import aiohttp

from tests.gateways import Place, gateway
from tests.scenarios.doors import PLAYS, USER
from tests.scenarios.outside import HOOKS, hooks, mcp_servers
from tests.scenarios.script import Door, Outcome, Scenario
from tests.scenarios.table import SCENARIOS
from tests.scenarios.tools import BASIC, TOOLS
from tests.scenarios.transcript import transcript
from tests.servers import serving
from voice_agent.llm.capabilities import Api
from voice_agent.llm.simulated.anthropic_messages import ANTHROPIC_MESSAGES
from voice_agent.llm.simulated.chat_completions import CHAT_COMPLETIONS
from voice_agent.llm.simulated.openai_responses import OPENAI_RESPONSES
from voice_agent.llm.simulated.server import create_app
from voice_agent.store.base import Pair
from voice_agent.store.redis import RedisConversations

APIS: tuple[Api, ...] = get_args(Api)
_PATHS: dict[Api, str] = {
    "chat": CHAT_COMPLETIONS.path,
    "messages": ANTHROPIC_MESSAGES.path,
    "responses": OPENAI_RESPONSES.path,
}
_AT_ONCE = 12
_AT = "2026-01-05T10:00:00Z"
# Reasoning goes back over every wire format: the rules of the simulated provider look at it.
_PROVIDERS = """
[chat]
url = "{url}/v1"
models.m.replay = ["reasoning_content"]
[messages]
url = "{url}"
api = "messages"
[responses]
url = "{url}/v1"
api = "responses"
"""

# What came out, or what went wrong, by the scenario's name, the wire format and the way in.
Found = dict[tuple[str, Api, Door], Outcome | Exception]


@dataclass(frozen=True)
class House:
    """A gateway, the provider (`simulator` is its URL) that it asks over every wire format, and its tools' webhooks."""

    place: Place
    simulator: str
    hooks: str

    async def play(self, scenario: Scenario, api: Api, door: Door) -> Outcome:
        """Play a scenario over a wire format, by a way in, with an agent of its own."""
        agent_id = f"{scenario.name.replace(' ', '-')[:45]}-{api}-{door}"
        await self.create(agent_id, api, scenario.agent)
        if scenario.documents:
            items = [{"text": text, "at": _AT, "speaker": "office"} for text in scenario.documents]
            await self.ask("POST", f"/v1/agents/{agent_id}/passages?user={USER}", {"items": items})
        told = await PLAYS[door](self.place, agent_id, scenario.steps)
        return Outcome(await self.history(agent_id), _masked(told, api))

    async def create(self, agent_id: str, api: Api, fields: dict[str, Any]) -> None:
        """Create an agent that speaks over a wire format, with the basic tools if `fields` names none.

        It has fillers only where `fields` does: a slow machine is no part of a scenario.
        """
        base = {"id": agent_id, "name": agent_id, "model": f"{api}/m", "tools": [tool.name for tool in BASIC]}
        voice = {"fillers": []} | fields.get("voice", {})
        document = json.dumps(base | fields | {"voice": voice}).replace(HOOKS, self.hooks)
        await self.ask("POST", "/v1/agents", json.loads(document))

    async def switch(self, agent_id: str, api: Api) -> None:
        """Have an agent speak over another wire format from the next call on."""
        await self.ask("PATCH", f"/v1/agents/{agent_id}", {"model": f"{api}/m"})

    async def history(self, agent_id: str) -> str:
        """All that is stored of the user's calls with an agent."""
        stored = await RedisConversations(self.place.store).load(Pair(agent_id, USER))
        return transcript(turn.record for turn in stored.turns)

    async def last_request(self, api: Api) -> str:
        """The body of the request that came last over a wire format."""
        where = f"{self.simulator}/last_request"
        async with aiohttp.ClientSession() as http, http.get(where, params={"path": _PATHS[api]}) as reply:
            return await reply.text()

    async def ask(self, method: str, path: str, body: Any) -> None:
        """A request to the gateway's API, which must succeed."""
        answer = await self.place.http.ask(method, path, json=body)
        assert answer.status < 300, answer.body


@asynccontextmanager
async def house(folder: Path, mcp: Path | None = None) -> AsyncIterator[House]:
    """Open one; its file of providers lies in `folder`. `mcp`: the file of its MCP servers."""
    async with serving(create_app(0, 0)) as url, hooks() as where:
        providers = folder / "providers.toml"
        providers.write_text(_PROVIDERS.format(url=url))
        known: dict[str, Any] = {"providers": providers, "mcp_servers": mcp, "allowed_hosts": ("127.0.0.1",)}
        async with gateway(tools=TOOLS, **known) as place:
            yield House(place, url, where)


async def play_all(folder: Path) -> Found:
    """Every scenario over every wire format, by every way in that it has, in one house, some at a time."""
    found: Found = {}
    room = asyncio.Semaphore(_AT_ONCE)

    async def play(here: House, scenario: Scenario, api: Api, door: Door) -> None:
        try:
            async with room:
                found[scenario.name, api, door] = await here.play(scenario, api, door)
        except Exception as fault:  # noqa: BLE001 - of this one only
            found[scenario.name, api, door] = fault

    async with (
        mcp_servers(folder / "mcp.json") as mcp,
        house(folder, mcp) as here,
        asyncio.TaskGroup() as tasks,
    ):
        for scenario in SCENARIOS:
            for api, door in product(APIS, scenario.doors):
                tasks.create_task(play(here, scenario, api, door))
    return found


def _masked(told: list[str], api: Api) -> tuple[str, ...]:
    """Errors without the provider's name, which they begin with."""
    return tuple(f"PROVIDER{message.removeprefix(api)}" if message.startswith(api) else message for message in told)
