"""Where scenarios are played: a gateway over a real store, and a simulated provider behind real HTTP that it asks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import aiohttp

from tests.gateways import Place, gateway
from tests.scenarios.doors import USER, over_socket
from tests.scenarios.script import Outcome, Scenario, Step
from tests.scenarios.table import SCENARIOS
from tests.scenarios.tools import TOOLS
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

# A way in: plays the steps with an agent, hangs up, and returns the errors that the client was told.
Door = Callable[[Place, str, tuple[Step, ...]], Awaitable[list[str]]]

# What came out, or what went wrong, by the scenario's name and the wire format.
Found = dict[tuple[str, Api], Outcome | Exception]


@dataclass(frozen=True)
class House:
    """A gateway, and the provider (`simulator` is its URL) that it asks over every wire format."""

    place: Place
    simulator: str

    async def play(self, scenario: Scenario, api: Api, door: Door = over_socket) -> Outcome:
        """Play a scenario over a wire format, with an agent of its own."""
        agent_id = f"{scenario.name.replace(' ', '-')}-{api}"
        await self.create(agent_id, api, scenario.agent)
        if scenario.documents:
            items = [{"text": text, "at": _AT, "speaker": "office"} for text in scenario.documents]
            await self.ask("POST", f"/v1/agents/{agent_id}/passages?user={USER}", {"items": items})
        told = await door(self.place, agent_id, scenario.steps)
        return Outcome(await self.history(agent_id), _masked(told, api))

    async def create(self, agent_id: str, api: Api, fields: dict[str, Any]) -> None:
        """Create an agent that speaks over a wire format, with every scenario tool if `fields` names none."""
        base = {"id": agent_id, "name": agent_id, "model": f"{api}/m", "tools": [tool.name for tool in TOOLS]}
        await self.ask("POST", "/v1/agents", base | fields)

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
async def house(folder: Path) -> AsyncIterator[House]:
    """Open one; its file of providers lies in `folder`."""
    async with serving(create_app(0, 0)) as url:
        providers = folder / "providers.toml"
        providers.write_text(_PROVIDERS.format(url=url))
        async with gateway(tools=TOOLS, providers=providers) as place:
            yield House(place, url)


async def play_all(folder: Path) -> Found:
    """Every scenario over every wire format in one house."""
    found: Found = {}

    async def play(here: House, scenario: Scenario, api: Api) -> None:
        try:
            found[scenario.name, api] = await here.play(scenario, api)
        except Exception as fault:  # noqa: BLE001 - of this one only
            found[scenario.name, api] = fault

    async with house(folder) as here:
        for scenario in SCENARIOS:
            async with asyncio.TaskGroup() as tasks:
                for api in APIS:
                    tasks.create_task(play(here, scenario, api))
    return found


def _masked(told: list[str], api: Api) -> tuple[str, ...]:
    """Errors without the provider's name, which they begin with."""
    return tuple(f"PROVIDER{message.removeprefix(api)}" if message.startswith(api) else message for message in told)
