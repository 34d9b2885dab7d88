"""What a session's agent works with: its model, its tools of every kind, its rules, and the prompts made of them."""

import logging
from dataclasses import dataclass

from gateway.errors import Conflict
from voice_agent.agent import Agent
from voice_agent.clock import Clock
from voice_agent.conversation import Conversations
from voice_agent.llm.catalogue import Catalogue
from voice_agent.memory.archives import Archives
from voice_agent.memory.passages import SEARCH_TOOL
from voice_agent.rules.faults import RuleError
from voice_agent.store.base import ConversationStore, Directory, Owner, Pair
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
    """What sessions are made from."""

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


class Equipment:
    """What the agent has in one session with a user."""

    def __init__(self, parts: Collaborators, outward: Outward, agent: Agent, user: str, session_id: str) -> None:
        """Raises ModelError."""
        self.agent = agent
        self._parts = parts
        self._user = user
        self._session_id = session_id
        model_name = agent.model or parts.default_model
        self._model = parts.catalogue.open(model_name)
        self._model_name = model_name.partition("/")[2] or model_name
        values = agent.secret_values()
        self._secrets = Secrets(values)
        self._own: dict[str, Tool] = {
            entry.name: Webhook(entry, values, outward, parts.clock)
            if isinstance(entry, WebhookTool)
            else ClientSide(entry)
            for entry in agent.brought_tools()
        }

    def has(self, name: str) -> bool:
        """Whether a tool of this name is the agent's or the gateway's."""
        return name in self._own or self._parts.tools.serves(name)

    def wiring(self, more: tuple[ClientTool, ...] = ()) -> Wiring:
        """What the session runs on, with `more` tools behind the agent's. Raises Conflict if the agent has faults."""
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

        async def warm() -> None:
            await self._model.warm()
            if SEARCH_TOOL in tools:
                try:
                    await parts.archives.warm(Pair(agent.id, self._user))
                except Exception:
                    log.exception("the archive of a caller could not be made ready")

        return Wiring(
            agent=agent,
            model=self._model,
            prompts=Prompts(agent, self._model_name, tools),
            tools=tools,
            rules=rules,
            runner=runner,
            clock=parts.clock,
            owner=parts.owner,
            warm=warm,
            context_window=parts.catalogue.context_window(agent.model or parts.default_model),
        )

    def _context(self, work: Work, in_prompt: frozenset[str]) -> TurnContext:
        return TurnContext(
            agent_id=self.agent.id,
            user=self._user,
            session_id=self._session_id,
            turn_id=work.turn_id,
            timezone=self.agent.timezone,
            user_words=work.opening[-1].text if work.opening else "",
            in_prompt=in_prompt,
            secrets=self._secrets,
        )
