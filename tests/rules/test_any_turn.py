"""What holds for turns under any rules, whatever happens in them."""

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.rules.sets import any_rules
from tests.test_turn import play, scripts, without_times
from tests.turns import FINISHED, Bench, book, call, check_valid_for_providers, setup
from voice_agent import events as ev
from voice_agent.rules.faults import RuleError
from voice_agent.rules.kinds import MaxCount
from voice_agent.rules.past import Past, read_past
from voice_agent.turn import Turn
from voice_agent.turn_states import State


def any_book(rules: list[Any]) -> None:
    """Leave out what is refused at creation."""
    try:
        book(*rules)
    except RuleError:
        assume(False)


@settings(max_examples=300, deadline=None)
@given(any_rules, scripts)
def test_no_call_runs_that_the_rules_do_not_allow(rules: list[Any], script: list[Any]) -> None:
    """Judged when it starts, by the calls made until then, each counted once; the history says the same of them."""
    any_book(rules)
    rulebook = book(*rules)
    turn = play(Turn(setup(rules=rules)), script)
    names: dict[str, str] = {}
    succeeded: set[str] = set()
    for output in turn.out:
        if isinstance(output, ev.RunTool):
            # Names count in call order, and the ids are numbered in it; every result of the script is the same.
            past = Past(tuple(names[each] for each in names if each in succeeded), "result", tuple(names.values()))
            assert rulebook.refusal(output.name, past) is None
            names[output.call_id] = output.name
        elif isinstance(output, ev.ToolFinished) and output.status == "ok":
            succeeded.add(output.call_id)
    past = read_past(turn.ended.messages)
    assert past.ran == tuple(names.values())
    assert past.succeeded == tuple(names[each] for each in names if each in succeeded)
    for rule in rules:
        if isinstance(rule, MaxCount):
            assert past.ran.count(rule.tool) <= rule.count
    if turn.ended.reason == "end_turn":
        assert rulebook.owed(past) is None
    check_valid_for_providers(tuple(m for m in turn.ended.messages if m.role != "context"))
    assert sum(message.role == "context" for message in turn.ended.messages) <= 1


@settings(max_examples=300, deadline=None)
@given(
    any_rules,
    st.lists(st.lists(st.sampled_from(["look", "write", "quiet", "bye", "nosuch"]), max_size=3)),
    st.integers(1, 6),
)
def test_whatever_the_model_answers_the_turn_ends_within_its_steps(
    rules: list[Any], replies: list[list[str]], max_steps: int
) -> None:
    """Calls or words, forced or not; and no step is asked for beyond the last."""
    any_book(rules)
    turn = Bench(Turn(setup(rules=rules, max_steps=max_steps)))
    for step in range(max_steps):
        names = replies[step % len(replies)] if replies else []
        turn.feed(*(call(index, name) for index, name in enumerate(names)), FINISHED)
        while turn.turn.state is State.ACTING:
            turn.feed(ev.ToolReturned(turn.running[0], "result"))
    assert turn.turn.state is State.ENDED
    assert len(turn.of(ev.CallModel)) <= max_steps


@settings(max_examples=300, deadline=None)
@given(any_rules, scripts, st.integers(0, 4))
def test_a_turn_under_rules_can_be_rebuilt_at_any_step_border(rules: list[Any], script: list[Any], border: int) -> None:
    """Which calls ran and succeeded, with what output, and whether it was reminded, stands in its messages."""
    any_book(rules)
    whole = play(Turn(setup(rules=rules)), script)
    saved = whole.of(ev.SaveStep)
    if border >= len(saved):
        return
    rest = whole.out[whole.out.index(saved[border]) + 1 :]
    if not rest or not isinstance(rest[0], ev.CallModel):
        return
    done = tuple(message for effect in saved[: border + 1] for message in effect.messages)
    asked = sum(isinstance(output, ev.CallModel) for output in whole.out)
    asked -= sum(isinstance(output, ev.CallModel) for output in rest)
    again = play(Turn(setup(rules=rules), done), script[asked:])
    assert again.out[0] == rest[0]
    assert again.ended.reason == whole.ended.reason
    assert without_times(again.ended.messages) == without_times(whole.ended.messages)
