"""What the client's answers are to a turn that waits for them, or went on: pure."""

from typing import Literal

from voice_agent.events import ApprovalGiven, ToolReturned
from voice_agent.messages import Message
from voice_agent.suspension import Suspension

Answer = ToolReturned | ApprovalGiven
Standing = Literal["awaited", "early", "taken", "unknown"]


def calls_in(messages: tuple[Message, ...]) -> frozenset[str]:
    """The ids of the calls that are made in the messages."""
    return frozenset(call.id for message in messages for call in message.tool_calls)


def standing(suspension: Suspension, answer: Answer) -> Standing:
    """Whether the turn waits for the answer, or for a person's decision first; or has it, or knows of no such call."""
    waits_for = next((call.waits_for for call in suspension.pending if call.call_id == answer.call_id), None)
    if waits_for is None:
        return "taken" if answer.call_id in calls_in((*suspension.done, *suspension.step)) else "unknown"
    if isinstance(answer, ApprovalGiven):
        return "awaited" if waits_for == "decision" else "taken"
    return "awaited" if waits_for == "result" else "early"
