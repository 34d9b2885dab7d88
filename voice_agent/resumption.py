"""A suspended turn taken up again: the step it stopped in, rebuilt from its messages; or closed without its model."""

from collections.abc import Callable

import msgspec

from voice_agent.calls import Call
from voice_agent.events import ApprovalGiven, ToolReturned
from voice_agent.heard import Ledger
from voice_agent.messages import Message, ToolCall
from voice_agent.speaking_rate import SpeakingRate
from voice_agent.step import Step
from voice_agent.suspension import Suspension
from voice_agent.turn_setup import TurnSetup

_CANCELLED = "Cancelled: the run was cancelled."


class Resumed(msgspec.Struct, frozen=True):
    """What a suspended turn goes on with. Answers to calls that do not wait for them are passed over."""

    suspension: Suspension
    answers: tuple[ToolReturned | ApprovalGiven, ...]


def resumed_step(suspension: Suspension, setup: TurnSetup) -> Step:
    """The step in which the turn was suspended. Its pending calls wait from the instant at which it is taken up."""
    said, results = suspension.step[0], {message.tool_call_id: message for message in suspension.step[1:]}
    waits_for = {pending.call_id: pending.waits_for for pending in suspension.pending}
    calls = []
    for made in said.tool_calls:
        call = Call(made.id, made.name, setup.tools.get(made.name))
        call.recall(made, results.get(made.id), waits_for.get(made.id), setup.received_at)
        calls.append(call)
    step = Step(setup.rules, suspension.done)
    step.resume(said, calls)
    step.broken_rule = suspension.broken_rule
    return step


def fits(answer: ToolReturned | ApprovalGiven, call: Call | None) -> bool:
    """Whether the call waits for this kind of answer from the client."""
    wanted = "decision" if isinstance(answer, ApprovalGiven) else "result"
    return call is not None and call.pending == wanted


def cancelled(suspension: Suspension, at: float) -> tuple[Message, ...]:
    """The turn's messages if it goes on no more: whatever had no result was cancelled, all that was said was heard.

    `at` is in seconds since the epoch.
    """
    started = {pending.call_id for pending in suspension.pending if pending.waits_for == "result"}

    def result(call: ToolCall) -> Message:
        return Message("tool", _CANCELLED, at, tool_call_id=call.id, failed=True, refused=call.id not in started)

    steps = with_results(suspension.done + suspension.step, result)
    ledger = Ledger(SpeakingRate())
    ledger.resume(steps, at)
    return suspension.opening + ledger.settle(steps, interrupted=False)


def with_results(messages: tuple[Message, ...], missing: Callable[[ToolCall], Message]) -> tuple[Message, ...]:
    """The messages with each call's result right after it, in call order; `missing` makes those that there are not."""
    results = {message.tool_call_id: message for message in messages if message.role == "tool"}
    whole: list[Message] = []
    for message in messages:
        if message.role != "tool":
            whole += [message, *(results.get(call.id) or missing(call) for call in message.tool_calls)]
    return tuple(whole)
