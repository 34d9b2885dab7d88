"""Runs to store: one of every field, and a turn that waits for its client."""

import msgspec

from tests.store.turns import OWNER, PAIR, opened, said
from voice_agent.messages import Latency, Message, Part, ToolCall, Usage
from voice_agent.run_record import RunRecord, RunStatus, StepRecord, ToolTime, Trace
from voice_agent.store.base import ConversationStore, Owner, Pair, TurnRef
from voice_agent.store.runs import RunStore
from voice_agent.suspension import PendingCall, Suspension

WEEK_S = 604_800.0
PENDING = PendingCall("c2", "pay", {"amount": 2.5, "to": "ünï"}, "decision")
USAGE = Usage(steps=2, input_tokens=10, output_tokens=0)


def run(run_id: str, status: RunStatus = "running", owner: Owner = OWNER, pair: Pair = PAIR) -> RunRecord:
    """A run as it begins."""
    return RunRecord(run_id, pair.agent, pair.user, "t1", status, owner.slot, owner.incarnation, created_at=1.25)


def whole(run_id: str) -> RunRecord:
    """A run that has something in every field."""
    trace = Trace(msgspec.Raw(b'{"model": "m",  "n": 1.0}'), 200, "data: \x00 ü\n\n")
    step = StepRecord(
        0, "openai/m", 1.5, 100.5, 20.25, (ToolTime("pay", "c1", 3.5),), USAGE, "tool_calls", "late", (trace,)
    )
    latency = Latency(1.5, None, 0.5, 20.0, (Part("provider", 19.5),))
    return RunRecord(
        run_id, PAIR.agent, PAIR.user, "t1", "failed", OWNER.slot, OWNER.incarnation, 1.25, 2.5, "llm_api_error",
        (said("t1"), *step_under_way()), (step,), USAGE, latency, (PENDING,), "the model is away", background=True,
    )  # fmt: skip


def step_under_way() -> tuple[Message, ...]:
    """A step with one result and one call that waits."""
    calls = (ToolCall("c1", "look", "{}"), ToolCall("c2", "pay", '{"amount": 2.5}'))
    return Message("assistant", "One moment.", 2.0, tool_calls=calls), Message("tool", "42", 2.5, tool_call_id="c1")


def suspension(*done: Message) -> Suspension:
    """A turn that waits for a decision, after these whole steps."""
    return Suspension((said("t1"),), done, step_under_way(), (PENDING,), USAGE)


def ref(run_id: str, epoch: int = 1, pair: Pair = PAIR) -> TurnRef:
    """The turn of a run."""
    return TurnRef(pair, run_id, "t1", epoch)


async def waiting(talk: ConversationStore, runs: RunStore, pair: Pair = PAIR) -> TurnRef:
    """A run whose turn waits, its record not written."""
    run_id = runs.new_id(pair)
    of = ref(run_id, await talk.open_session(pair, run_id, OWNER), pair)
    await talk.begin_turn(opened(of))
    await runs.suspend_turn(of, suspension())
    return of
