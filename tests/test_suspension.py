"""Turns that end with calls pending: when they do, and that all comes out as if they had waited."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.suspensions import ALL, Answer, gave, pending, resume, state_of, stored, suspending, yes
from tests.turns import FINISHED, Bench, call, check_valid_for_providers, setup
from voice_agent import events as ev
from voice_agent.messages import Message, Opaque, Usage
from voice_agent.resumption import cancelled
from voice_agent.rules.kinds import (
    Children,
    Conditional,
    MaxCount,
    Parent,
    RequiredBeforeExit,
    RequiresApproval,
    RunFirst,
)
from voice_agent.suspension import PendingCall
from voice_agent.turn import Turn
from voice_agent.turn_setup import TurnSetup
from voice_agent.turn_states import State

# ---- when a turn is suspended ----


def test_a_turn_is_suspended_when_the_reply_is_complete_and_nothing_runs() -> None:
    """Not while the model still streams or a call runs here; then at once, with nothing to stop and no step to save."""
    bench = Bench(Turn(suspending()))
    bench.feed(call(0, "phone", '{"n":1}'), call(1, "look"), gave(1, "early"), call(2, "look"))
    assert state_of(bench) is State.THINKING
    bench.feed(FINISHED)
    assert state_of(bench) is State.ACTING
    bench.feed(gave(2, "late"))
    assert state_of(bench) is State.ENDED
    assert [type(output).__name__ for output in bench.out[-3:]] == ["StopWork", "TurnSpoken", "TurnEnded"]
    assert bench.of(ev.StopWork) == [ev.StopWork()]
    assert bench.of(ev.SaveStep) == []
    assert bench.ended.reason == "requires_approval"


def test_what_a_suspended_turn_tells_of_itself() -> None:
    """Its messages as they are, the pending call without a result; whole steps apart from the one under way."""
    bench = Bench(Turn(suspending()))
    bench.feed(call(0, "look"), FINISHED, gave(0))
    bench.feed(ev.TextDelta("Shall I?"), call(0, "write", '{"a":1}'), call(1, "look"), FINISHED, gave(2, "seen"))
    suspension = stored(bench.ended.suspension)
    assert suspension.opening == bench.turn.setup.opening
    assert suspension.done == bench.of(ev.SaveStep)[0].messages
    assert [(message.role, message.text) for message in suspension.step] == [
        ("assistant", "Shall I?"),
        ("tool", "seen"),
    ]
    assert suspension.pending == (PendingCall("call_x_1", "write", {"a": 1}, "decision"),)
    assert suspension.usage == bench.ended.usage == Usage(steps=2, input_tokens=6, output_tokens=4)
    told = [message.text for message in bench.ended.messages]
    assert told == [message.text for message in (*suspension.opening, *suspension.done, *suspension.step)]
    assert [message.heard for message in bench.ended.messages] == [None, "", None, "Shall I?", None]


def test_a_live_turn_waits() -> None:
    """And only turns that are suspended have a suspension."""
    bench = Bench(Turn(suspending(suspends=False)))
    bench.feed(call(0, "phone"), FINISHED)
    assert bench.turn.state is State.ACTING
    bench.feed(ev.UserLeft())
    assert bench.ended.suspension is None


def test_the_client_is_not_hurried_where_nobody_waits() -> None:
    """Its time runs neither while the model still streams nor while a call runs here, nor after a resumption."""
    bench = Bench(Turn(setup(tools=ALL, suspends=True, stall_s=1000.0)))
    bench.feed(call(0, "phone"))
    assert bench.turn.deadline() == 1000.0
    assert bench.turn.on_deadline(500.0) == []
    bench.feed(call(1, "look"), FINISHED)
    assert bench.turn.deadline() is None
    assert bench.turn.on_deadline(500.0) == []
    bench.feed(gave(1))
    assert pending(bench) == [("call_x_0", "result")]
    bench = Bench(Turn(suspending()))
    bench.feed(call(0, "phone"), call(1, "write"), FINISHED)
    bench = resume(bench, yes(0), yes(1))
    assert bench.turn.deadline() is None
    assert bench.turn.on_deadline(500.0) == []


# ---- for any turn, any answers, in any order ----

_RULES = st.sampled_from(
    [
        (),
        (MaxCount(tool="write", count=1), MaxCount(tool="phone", count=2)),
        (Parent(tool="write", children=("quiet", "solo")),),
        (Conditional(tool="phone", mapping={"1": "look", "2": "solo"}), RequiredBeforeExit(tool="phone")),
        (RunFirst(tool="write", args={"x": 1}), Children(tool="write", children=("picky", "phone"))),
        (RunFirst(tool="write"), RunFirst(tool="picky", args={"y": 1})),
        (RequiresApproval(tool="bye"), RequiresApproval(tool="solo"), RequiresApproval(tool="picky")),
    ]
)
_ARGUMENTS = st.sampled_from(
    ["", "{}", '{"pre_exec_msg":"One moment.","q":1}', '{"x":1,"pre_exec_msg":"Hm"}', '{"q":', '{"x":[1.5,null]}']
)
_PIECE = st.one_of(
    st.tuples(st.sampled_from([*ALL, *["write", "phone", "solo"] * 3]), _ARGUMENTS),
    st.sampled_from(["Hi ", "Grüße! 🎉 "]),
    st.builds(Opaque, st.just("m"), st.sampled_from(["thought", "signed"]), st.just("hm"), st.sampled_from([None, 0])),
)
_REPLIES = st.lists(st.lists(_PIECE, min_size=2, max_size=6), min_size=1, max_size=4)
_DECISIONS = st.lists(st.sampled_from(["yes", "yes", "no", "no, later"]), min_size=24, max_size=24)
_OUTCOMES = st.lists(st.sampled_from(["ok", "ok", "1", "2", "error", "timeout"]), min_size=24, max_size=24)


def _some_of(waiting: list[tuple[str, str]]) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Any of the calls that wait, in any order."""
    return st.lists(st.sampled_from(waiting), min_size=1, max_size=len(waiting), unique=True)


class Play:
    """A turn, waiting or suspending, with the model and the tools that it has; the client's answers come from outside.

    A client that answers a suspended turn meets another one, rebuilt from what the first left.
    """

    def __init__(self, plan: TurnSetup, replies: list[list[Any]], outcomes: list[str]) -> None:
        self.plan, self.replies, self.outcomes = plan, [*replies], outcomes
        self.out: list[Any] = []
        self.suspended = 0
        self.bench = Bench(Turn(plan))
        self._go_on(self.bench.out)

    def outcome(self, call_id: str) -> ev.ToolReturned:
        """What the call brings, wherever it runs."""
        outcome = self.outcomes[_number(call_id) % len(self.outcomes)]
        status: Any = outcome if outcome in ("error", "timeout") else "ok"
        return ev.ToolReturned(call_id, outcome, status)

    def answer(self, answers: list[Answer]) -> None:
        """The client's answers, in one go."""
        if not self.plan.suspends:
            self._go_on([output for answer in answers for output in self.bench.feed(answer)])
            return
        self.suspended += 1
        self.bench = resume(self.bench, *answers)
        self._go_on(self.bench.out)

    @property
    def pending(self) -> list[tuple[str, str]]:
        """Which calls wait for the client, and for what."""
        waiting: dict[str, str] = {}
        for output in self.out:
            match output:
                case ev.ApprovalNeeded(call_id=call_id):
                    waiting[call_id] = "decision"
                case ev.ClientToolNeeded(call_id=call_id):
                    waiting[call_id] = "result"
                case ev.ToolCalled(call_id=call_id) | ev.ToolFinished(call_id=call_id):
                    waiting.pop(call_id, None)
                case _:
                    pass
        return sorted(waiting.items(), key=lambda call: _number(call[0]))

    def _go_on(self, outputs: list[Any]) -> None:
        """Let the model and the tools here answer until none has anything to do."""
        while outputs:
            self.out += outputs
            outputs = [output for event in self._due(outputs) for output in self.bench.feed(event)]

    def _due(self, outputs: list[Any]) -> list[Any]:
        events: list[Any] = [self.outcome(output.call_id) for output in outputs if isinstance(output, ev.RunTool)]
        if any(isinstance(output, ev.CallModel) for output in outputs):
            pieces = self.replies.pop(0) if self.replies else ["Done."]
            events += [_event(index, piece) for index, piece in enumerate(pieces)]
            events.append(FINISHED)
        return events

    @property
    def asked(self) -> list[Any]:
        """Every request to the model: what it shows of the turn, and what it asks."""
        return [
            (tuple(replace(message, at=0.0) for message in output.request.turn), output.request.tool_choice)
            for output in self.out
            if isinstance(output, ev.CallModel)
        ]

    def told(self, *kinds: type) -> list[Any]:
        """What it told of these kinds."""
        return [output for output in self.out if isinstance(output, kinds)]


def _number(call_id: str) -> int:
    return int(call_id.rpartition("_")[2])


def _event(index: int, piece: Any) -> Any:
    if isinstance(piece, tuple):
        return call(index, *piece)
    return ev.TextDelta(piece) if isinstance(piece, str) else piece


def _answers(waiting: list[tuple[str, str]], decisions: list[str], play: Play) -> list[Answer]:
    """What the client says to these calls."""
    made: list[Answer] = []
    for call_id, waits_for in waiting:
        decision = decisions[_number(call_id) % len(decisions)]
        if waits_for == "result":
            made.append(play.outcome(call_id))
        else:
            reason = decision.partition(", ")[2] or None
            made.append(ev.ApprovalGiven(call_id, approved=decision == "yes", reason=reason))
    return made


@settings(max_examples=400, deadline=None)
@given(_RULES, _REPLIES, _DECISIONS, _OUTCOMES, st.data())
def test_a_suspended_turn_comes_to_what_a_waiting_one_comes_to(
    rules: Any, replies: list[list[Any]], decisions: list[str], outcomes: list[str], data: st.DataObject
) -> None:
    """Rebuilt at every border where it stops, with the answers in any parts and any order."""
    plan = suspending(*rules, max_steps=4)
    suspending_one = Play(plan, replies, outcomes)
    waiting_one = Play(replace(plan, suspends=False), replies, outcomes)
    while waiting := waiting_one.pending:
        assert suspending_one.bench.ended.reason == "requires_approval"
        assert pending(suspending_one.bench) == waiting
        some = data.draw(_some_of(waiting))
        answers = _answers(some, decisions, waiting_one)
        suspending_one.answer(answers)
        waiting_one.answer(answers)
    ours, theirs = suspending_one.bench.ended, waiting_one.bench.ended
    assert (ours.reason, ours.leaves, ours.usage) == (theirs.reason, theirs.leaves, theirs.usage)
    assert suspending_one.asked == waiting_one.asked
    assert [replace(message, at=0.0) for message in ours.messages] == [
        replace(message, at=0.0) for message in theirs.messages
    ]
    kinds = (ev.TurnStarted, ev.Spoke, ev.Flushed, ev.ToolCalled, ev.ApprovalNeeded, ev.ClientToolNeeded, ev.Failed)
    assert suspending_one.told(*kinds) == waiting_one.told(*kinds)
    assert _saved(suspending_one) == _saved(waiting_one)
    assert len(suspending_one.told(ev.TurnEnded)) == suspending_one.suspended + 1
    check_valid_for_providers(ours.messages)


def _saved(play: Play) -> list[tuple[int, tuple[Message, ...]]]:
    return [
        (step.index, tuple(replace(message, at=0.0) for message in step.messages)) for step in play.told(ev.SaveStep)
    ]


@settings(max_examples=200, deadline=None)
@given(_RULES, _REPLIES, _DECISIONS, _OUTCOMES, st.data())
def test_a_suspended_turn_can_be_closed_at_any_border(
    rules: Any, replies: list[list[Any]], decisions: list[str], outcomes: list[str], data: st.DataObject
) -> None:
    """With a history that any provider takes, and all that was said and done in it."""
    play = Play(suspending(*rules, max_steps=4), replies, outcomes)
    while waiting := play.pending:
        suspension = stored(play.bench.ended.suspension)
        closed = cancelled(suspension, 9.0)
        check_valid_for_providers(closed)
        open_ids = {made.id for message in suspension.step for made in message.tool_calls} - {
            message.tool_call_id for message in suspension.step
        }
        assert {message.tool_call_id for message in closed if message.at == 9.0} == open_ids
        kept = [replace(message, heard=None, tool_calls=()) for message in closed if message.at != 9.0]
        before = (*suspension.opening, *suspension.done, *suspension.step)
        assert kept == [replace(message, heard=None, tool_calls=()) for message in before]
        some = data.draw(_some_of(waiting))
        play.answer(_answers(some, decisions, play))
