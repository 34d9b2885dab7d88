"""What the agent loop needs of tools: a runner that never raises; and what a tool may know of where it runs."""

from typing import Protocol

import msgspec

from voice_agent.events import RunTool, ToolReturned


class TurnContext(msgspec.Struct, frozen=True, kw_only=True):
    """The turn that calls are made in; `timezone` is the agent's (IANA name).

    `user_words` is what the turn answers; `in_prompt` are the ids of the messages that its model is shown anyway.
    """

    agent_id: str
    user: str
    session_id: str
    turn_id: str
    timezone: str = "UTC"
    user_words: str = ""
    in_prompt: frozenset[str] = frozenset()


class ToolContext(TurnContext, frozen=True, kw_only=True):
    """Where a call comes from. A tool that wants it takes a parameter annotated with this class.

    `call_id` is unique for the call and the same if the call were ever repeated: an idempotency key.
    `at` is when the call began, in seconds since the epoch.
    """

    call_id: str
    at: float


class ToolRunner(Protocol):
    """Runs one turn's calls."""

    async def run(self, call: RunTool) -> ToolReturned:
        """The outcome, whatever happens: errors and timeouts are outcomes. Only cancellation passes through."""
        ...
