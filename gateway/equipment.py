"""What an agent works with: its model, its tools of every kind, its rules, and the prompts made of them."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gateway.errors import Conflict, NotFound
from voice_agent.agent import ID_PATTERN, Agent, describe, faults_of
from voice_agent.clock import Clock
from voice_agent.conversations import Conversations
from voice_agent.llm.catalogue import Catalogue
from voice_agent.llm.race.model import RacingModel
from voice_agent.llm.race.race import Policy
from voice_agent.memory.archives import Archives
from voice_agent.memory.passages import SEARCH_TOOL
from voice_agent.rules.faults import RuleError
from voice_agent.run_record import Trace
from voice_agent.runs.traces import without_secrets
from voice_agent.store.base import AgentRow, ConversationStore, Directory, Owner, Pair
from voice_agent.telemetry import Telemetry
from voice_agent.tool_definitions import ClientTool, WebhookTool, tool_name
from voice_agent.tools.base import Tool, ToolRunner, TurnContext
from voice_agent.tools.defined import ClientSide
from voice_agent.tools.outward import Guard, Outward
from voice_agent.tools.registry import ToolRegistry, UnknownToolError
from voice_agent.tools.secrets import Secrets
from voice_agent.tools.webhook import Webhook
from voice_agent.wiring import Prompts, Wiring
from voice_agent.work import Work

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Collaborators:
    """What sessions and runs are made from."""

    store: ConversationStore
    directory: Directory
    conversations: Conversations
    catalogue: Catalogue
    tools: ToolRegistry
    guard: Guard
    archives: Archives
    telemetry: Telemetry
    clock: Clock
    owner: Owner
    default_model: str
    resume_s: float


async def find_agent(directory: Directory, agent_id: str) -> AgentRow:
    """The agent's row. Raises NotFound, without asking the store about what can be no id, and StoreError."""
    row = await directory.read_agent(agent_id) if re.fullmatch(ID_PATTERN, agent_id) else None
    if row is None:
        raise NotFound(f"there is no agent {agent_id!r}")
    return row


async def read_agent(directory: Directory, agent_id: str) -> Agent:
    """An agent's definition. Raises NotFound, Conflict if it holds no more, StoreError."""
    row = await find_agent(directory, agent_id)
    try:
        return Agent.model_validate_json(row.document)
    except ValidationError as fault:
        raise Conflict(f"agent {agent_id!r} cannot be used: {describe(faults_of(fault.errors()))}") from None


class Equipment:
    """What the agent has in one session, or run, of a user. `model`: its model's name, as users write it."""

    def __init__(
        self,
        parts: Collaborators,
        outward: Outward,
        agent: Agent,
        user: str,
        session_id: str,
        observe: Callable[[Trace], None] | None = None,
    ) -> None:
        """`observe` is handed the model's exchanges with its provider, without secrets. Raises ModelError."""
        self.agent = agent
        self._parts = parts
        self._user = user
        self._session_id = session_id
        model_name = agent.model or parts.default_model
        values = agent.secret_values()
        secrets = self._secrets = Secrets(values)
        seen = None if observe is None else lambda trace: observe(without_secrets(trace, secrets))
        chain = dict.fromkeys((model_name, *agent.fallback_models))
        self._runners = tuple(parts.catalogue.runner(name, seen) for name in chain)
        self.model = model_name
        self._model_name = model_name.partition("/")[2] or model_name
        self._own: dict[str, Tool] = {
            entry.name: Webhook(entry, values, outward, parts.clock)
            if isinstance(entry, WebhookTool)
            else ClientSide(entry)
            for entry in agent.brought_tools()
        }

    def has(self, name: str) -> bool:
        """Whether a tool of this name is the agent's or the gateway's."""
        return name in self._own or self._parts.tools.serves(name)

    def wiring(
        self, more: tuple[ClientTool, ...] = (), *, speaks: bool = True, response_format: dict[str, Any] | None = None
    ) -> Wiring:
        """What the session or run is made with, `more` tools behind the agent's; see `Prompts`.

        Raises Conflict if the agent has faults.
        """
        parts, agent = self._parts, self.agent
        own = self._own | {entry.name: ClientSide(entry) for entry in more}
        try:
            box = parts.tools.choose([tool_name(entry) for entry in (*agent.tools, *more)], own)
            tools = box.specs
            rules = agent.rulebook(tools)
        except (UnknownToolError, RuleError) as fault:
            raise Conflict(f"agent {agent.id!r} cannot be used: {fault}") from None

        def runner(work: Work, in_prompt: frozenset[str]) -> ToolRunner:
            return box.runner(parts.clock, self._context(work, in_prompt))

        model = RacingModel(self._runners, self._policy(live=speaks), parts.clock)

        async def warm() -> None:
            await model.warm()
            if SEARCH_TOOL in tools:
                try:
                    await parts.archives.warm(Pair(agent.id, self._user))
                except Exception:
                    log.exception("the archive of a caller could not be made ready")

        return Wiring(
            agent=agent,
            model=model,
            prompts=Prompts(agent, self._model_name, tools, speaks=speaks, response_format=response_format),
            tools=tools,
            rules=rules,
            runner=runner,
            clock=parts.clock,
            owner=parts.owner,
            warm=warm,
            report=parts.telemetry.speculation,
            context_window=parts.catalogue.context_window(agent.model or parts.default_model),
        )

    def _policy(self, *, live: bool) -> Policy:
        """Nothing is waited for so long that the turn takes the model for one that hangs."""
        voice = self.agent.voice
        stall_s = voice.stall_timeout_ms / 1000
        if not live:
            return Policy(longest_wait_s=stall_s / 2)
        return Policy(min(voice.first_token_deadline_ms / 1000, stall_s), voice.hedge_share if voice.hedge else 0.0)

    def _context(self, work: Work, in_prompt: frozenset[str]) -> TurnContext:
        return TurnContext(
            agent_id=self.agent.id,
            user=self._user,
            session_id=self._session_id,
            turn_id=work.turn_id,
            timezone=self.agent.timezone,
            user_words=work.user_words,
            in_prompt=in_prompt,
            secrets=self._secrets,
        )
