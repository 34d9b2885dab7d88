"""An agent to run without a socket, and what is asked of it over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.gateways import Place, gateway
from tests.servers import serving
from voice_agent.llm.simulated.server import create_app
from voice_agent.store.connection import Connection
from voice_agent.tools.registry import tool

ZOOM: dict[str, Any] = {"type": "client", "name": "zoom", "description": "Zooms the caller's map."}
PAY: dict[str, Any] = {"type": "client", "name": "pay", "description": "Pays from the caller's phone."}
RULES = [{"type": "requires_approval", "tool": name} for name in ("erase", "pay")]
PATH = "/v1/agents/ann/messages?user=bob"
NEVER = "!first_token_ms 60000 !say never"


class Hands:
    """What the agent's tools did: `erased` notes, in order; calls of `hold` begun and stopped; those of `save` begun.

    `save` returns once `saved` is set.
    """

    def __init__(self) -> None:
        self.erased: list[str] = []
        self.held = 0
        self.stopped = 0
        self.saving = 0
        self.saved = asyncio.Event()

    @property
    def tools(self) -> tuple[Any, ...]:
        """The tools, for a gateway."""

        @tool()
        async def erase(note: str = "") -> str:
            """Erase a note."""
            self.erased.append(note)
            return f"erased {note}"

        @tool(effects="none", timeout_s=60)
        async def hold() -> str:
            """Take for ever."""
            self.held += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped += 1
            return "never"

        @tool(effects="none", on_interrupt="finish", timeout_s=60)
        async def save() -> str:
            """Save everything."""
            self.saving += 1
            await self.saved.wait()
            return "saved"

        return erase, hold, save


class House:
    """A gateway with the agent `ann`, and the simulated provider that it asks over HTTP."""

    def __init__(self, place: Place, provider: str, hands: Hands) -> None:
        self.place = place
        self.http = place.http
        self.provider = provider
        self.hands = hands

    async def say(self, text: str, path: str = PATH, **fields: Any) -> dict[str, Any]:
        """A run that answers these words; returns its answer, which is 200 or 202."""
        return await self.send({"role": "user", "text": text}, path=path, **fields)

    async def decide(self, *decisions: tuple[str, bool], **fields: Any) -> dict[str, Any]:
        """Decide on calls."""
        approvals = [{"call_id": call_id, "approved": approved} for call_id, approved in decisions]
        return await self.send({"role": "approval", "approvals": approvals}, **fields)

    async def send(self, *messages: dict[str, Any], path: str = PATH, **fields: Any) -> dict[str, Any]:
        """A request that is taken."""
        answer = await self.http.ask("POST", path, json={"messages": messages, **fields})
        assert answer.status in (200, 202), answer.body
        return dict(answer.json)

    async def refused(self, *messages: dict[str, Any], **fields: Any) -> tuple[int, Any]:
        """A request that is not: its status, and its faults by path or, where there are none, its detail."""
        answer = await self.http.ask("POST", PATH, json={"messages": messages, **fields})
        assert answer.headers["content-type"] == "application/problem+json", answer.body
        if "errors" in answer.json:
            return answer.status, {fault["path"]: fault["message"] for fault in answer.json["errors"]}
        return answer.status, answer.json["detail"]

    async def events(self, text: str, stream: str, **fields: Any) -> list[tuple[str, Any]]:
        """A streamed run: its events, each with its type."""
        return await self.streamed({"role": "user", "text": text}, stream=stream, **fields)

    async def streamed(self, *messages: dict[str, Any], **fields: Any) -> list[tuple[str, Any]]:
        """A streamed request: its events, each with its type."""
        answer = await self.http.ask("POST", PATH, json={"messages": messages, **fields})
        assert answer.status == 200, answer.body
        assert answer.headers["content-type"].startswith("text/event-stream")
        return read_events(answer.body.decode())

    async def record(self, run_id: str) -> dict[str, Any]:
        """A run as it stands."""
        answer = await self.http.ask("GET", f"/v1/runs/{run_id}")
        assert answer.status == 200, answer.body
        return dict(answer.json)

    async def steps(self, run_id: str) -> list[dict[str, Any]]:
        """What its steps took."""
        answer = await self.http.ask("GET", f"/v1/runs/{run_id}/steps")
        assert answer.status == 200, answer.body
        assert answer.json["next"] is None
        return list(answer.json["items"])

    async def cancel(self, run_id: str) -> dict[str, Any]:
        """Cancel a run."""
        answer = await self.http.ask("POST", f"/v1/runs/{run_id}/cancel")
        assert answer.status == 200, answer.body
        return dict(answer.json)

    async def history(self) -> list[dict[str, Any]]:
        """What was said, oldest first."""
        answer = await self.http.ask("GET", f"{PATH}&limit=200")
        assert answer.status == 200
        return list(reversed(answer.json["items"]))

    async def asked(self) -> int:
        """How many requests the provider got."""
        return int((await self._of_provider("/stats"))["requests"])

    async def closed_early(self) -> int:
        """How many of them were left before their end."""
        return int((await self._of_provider("/stats"))["closed_early"])

    async def last_request(self) -> Any:
        """The last of them."""
        return await self._of_provider("/last_request?path=/v1/chat/completions")

    async def _of_provider(self, path: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(self.provider + path) as answer:
            return await answer.json()


def read_events(text: str) -> list[tuple[str, Any]]:
    """Server-sent events, comments left out."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def spoken(answer: dict[str, Any]) -> list[str]:
    """The texts that the agent said."""
    return [item["text"] for item in answer["messages"] if item["role"] == "assistant" and item["text"]]


@asynccontextmanager
async def house(
    store: Connection | None = None, agent: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[House]:
    """A gateway, over `store` or one of its own, in which `ann` has tools of every kind that matters here.

    `agent`: fields of hers.
    """
    hands = Hands()
    async with serving(create_app(0, 0)) as provider:
        talks_to = {"model": "openai/m", "openai_api_key": "sk-of-this-test", "openai_base_url": f"{provider}/v1"}
        async with gateway(store, tools=hands.tools, **(talks_to | settings)) as place:
            made = await place.http.ask("POST", "/v1/agents", json=_ANN | (agent or {}))
            assert made.status == 201, made.body
            yield House(place, provider, hands)


_ANN: dict[str, Any] = {
    "id": "ann",
    "name": "Ann",
    "model": "openai/m",
    "tools": ["get_time", "erase", "hold", "save", ZOOM, PAY],
    "tool_rules": RULES,
}
