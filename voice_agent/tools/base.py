"""What the agent loop needs of tools: a runner that never raises; what a tool is, and may know of where it runs."""

import asyncio
from typing import Any, Protocol

import msgspec

from voice_agent.agent import ToolSpec
from voice_agent.events import RunTool, ToolReturned, ToolStatus
from voice_agent.tools.secrets import NO_SECRETS, Secrets


class TurnContext(msgspec.Struct, frozen=True, kw_only=True):
    """The turn that calls are made in; `timezone` is the agent's (IANA name).

    `user_words` is what the turn answers; `in_prompt` are the ids of the messages that its model is shown anyway.
    `secrets` are the agent's, by name; whatever a call brings, they are masked in it.
    """

    agent_id: str
    user: str
    session_id: str
    turn_id: str
    timezone: str = "UTC"
    user_words: str = ""
    in_prompt: frozenset[str] = frozenset()
    secrets: Secrets = NO_SECRETS


class ToolContext(TurnContext, frozen=True, kw_only=True):
    """Where a call comes from. A tool that wants it takes a parameter annotated with this class.

    `call_id` is unique for the call and the same if the call were ever repeated: an idempotency key.
    `at` is when the call began, in seconds since the epoch.
    """

    call_id: str
    at: float


class ToolFault(Exception):
    """A tool failed and says so in words for the model; `status` is the call's status."""

    def __init__(self, message: str, status: ToolStatus = "error") -> None:
        super().__init__(message)
        self.status: ToolStatus = status


class NotStarted(asyncio.CancelledError):
    """A call was cancelled before it began, so that nothing can have happened; the message says what it waited for."""


class Tool(Protocol):
    """Something a model may call, whatever stands behind it. `timeout_s` seconds, `return_char_limit` characters."""

    @property
    def spec(self) -> ToolSpec: ...

    @property
    def timeout_s(self) -> float: ...

    @property
    def return_char_limit(self) -> int: ...

    async def run(self, arguments: dict[str, Any], context: ToolContext) -> object:
        """The result, which becomes text as any result does.

        Whatever it raises becomes the call's error; cancelling it stops the work, unless the spec says `threaded`.
        """
        ...


class ToolRunner(Protocol):
    """Runs one turn's calls."""

    async def run(self, call: RunTool) -> ToolReturned:
        """The outcome, whatever happens: errors and timeouts are outcomes. Only cancellation passes through."""
        ...
