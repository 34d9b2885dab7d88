"""What the agent loop needs of tools: a runner that never raises."""

from typing import Protocol

import msgspec

from voice_agent.events import RunTool, ToolReturned


class ToolContext(msgspec.Struct, frozen=True):
    """Where a call comes from. A tool that wants it takes a parameter annotated with this class.

    `call_id` is unique for the call and the same if the call were ever repeated: an idempotency key.
    """

    agent_id: str
    user: str
    session_id: str
    turn_id: str
    call_id: str


class ToolRunner(Protocol):
    """Runs one turn's calls."""

    async def run(self, call: RunTool) -> ToolReturned:
        """The outcome, whatever happens: errors and timeouts are outcomes. Only cancellation passes through."""
        ...
