"""The turn: each rule of the behaviour page by hand, and the invariants for any sequence of events."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.turns import FINISHED, TOOLS, Bench, call, check_valid_for_providers, setup
from voice_agent import events as ev
from voice_agent.messages import Message, Opaque
from voice_agent.prompt import provider_arguments, provider_text
from voice_agent.rules.kinds import RunFirst
from voice_agent.turn import Output, Turn
from voice_agent.turn_states import ACCEPTS, IllegalEventError, State


def test_a_plain_turn_streams_and_ends_once() -> None:
    """Words go out as they come; then nothing more is said, then the turn is over."""
    bench = Bench(Turn(setup()))
    bench.feed(ev.TextDelta("Hi "), ev.TextDelta("there."), FINISHED)
    assert [type(output).__name__ for output in bench.out] == [
        "TurnStarted", "CallModel", "Spoke", "Spoke", "StopWork", "TurnSpoken", "TurnEnded",
    ]  # fmt: skip
    assert bench.ended.reason == "end_turn"
    assert bench.ended.heard == bench.ended.generated == "Hi there."
    assert [message.role for message in bench.ended.messages] == ["user", "assistant"]


def test_an_utterance_is_spoken_long_before_its_call_is_complete() -> None:
    """The half-written argument is speech, flushed at its closing quote, and no argument of the tool's."""
    bench = Bench(Turn(setup()))
    said = bench.feed(ev.ToolCallDelta(0, "p", "look", '{"pre_exec_msg":"One mo'))
    assert said == [ev.Spoke("t1", "One mo", "utterance")]
    assert bench.feed(ev.ToolCallDelta(0, json='ment.",'))[-1] == ev.Flushed("t1", "utterance")
    bench.feed(ev.ToolCallDelta(0, json='"q":1}'))
    assert bench.of(ev.RunTool) == [ev.RunTool("call_x_0", "look", {"q": 1})]


def test_only_the_first_utterance_of_parallel_calls_is_spoken() -> None:
    """The others are not spoken, and go back to the model empty."""
    bench = Bench(Turn(setup()))
    bench.feed(call(0, "look", '{"pre_exec_msg":"A."}'), call(1, "look", '{"pre_exec_msg":"B."}'), FINISHED)
    assert [event.text for event in bench.of(ev.Spoke)] == ["A."]
    bench.feed(*(ev.ToolReturned(call_id, "ok") for call_id in list(bench.running)))
    request = bench.of(ev.CallModel)[1].request
    replayed = [json.loads(provider_arguments(made)) for made in request.turn[1].tool_calls]
    assert replayed == [{"pre_exec_msg": "A."}, {"pre_exec_msg": ""}]


def test_an_utterance_after_reply_text_is_not_spoken() -> None:
    """The caller was told already."""
    bench = Bench(Turn(setup()))
    bench.feed(ev.TextDelta("Let me look."), call(0, "look", '{"pre_exec_msg":"Looking."}'))
    assert [event.kind for event in bench.of(ev.Spoke)] == ["reply"]


def test_an_utterance_is_spoken_to_its_end_though_reply_text_comes_in_between() -> None:
    """Half a word helps nobody."""
    bench = Bench(Turn(setup()))
    bench.feed(ev.ToolCallDelta(0, "p", "look", '{"pre_exec_msg":"Let me lo'), ev.TextDelta("Hm."))
    bench.feed(ev.ToolCallDelta(0, json='ok."}'))
    assert [event.text for event in bench.of(ev.Spoke)] == ["Let me lo", "Hm.", "ok."]


@pytest.mark.parametrize("reason", ["length", "content_filter", "refusal"])
def test_a_reply_that_ends_before_a_word_is_not_met_with_silence(reason: Any) -> None:
    """The caller hears the notice; one who heard something needs none."""
    bench = Bench(Turn(setup(failure_notice="Sorry.")))
    bench.feed(ev.ModelFinished(reason))
    assert [event.kind for event in bench.of(ev.Spoke)] == ["notice"]
    bench = Bench(Turn(setup(failure_notice="Sorry.")))
    bench.feed(ev.TextDelta("So"), ev.ModelFinished(reason))
    assert [event.kind for event in bench.of(ev.Spoke)] == ["reply"]


def test_a_silent_tool_has_its_utterance_taken_out_all_the_same() -> None:
    """A model that adds one from habit neither speaks it nor passes it on."""
    bench = Bench(Turn(setup()))
    bench.feed(call(0, "quiet", '{"pre_exec_msg":"Hm.","a":2}'))
    assert bench.of(ev.Spoke) == []
    assert bench.of(ev.ToolCalled)[0].arguments == {"a": 2}


def test_a_harmless_call_runs_while_the_model_still_streams() -> None:
    """An irreversible one waits for the end of the reply, and holds up those after it."""
    bench = Bench(Turn(setup()))
    bench.feed(call(0, "look"), call(1, "write"), call(2, "look"))
    assert [effect.name for effect in bench.of(ev.RunTool)] == ["look"]
    bench.feed(FINISHED)
    assert [effect.name for effect in bench.of(ev.RunTool)] == ["look", "write", "look"]


def test_a_lone_tool_waits_and_is_waited_for() -> None:
    """A tool that is not parallel runs when all before it are done, and none beside it."""
    bench = Bench(Turn(setup()))
    bench.feed(call(0, "look"), call(1, "lone"), call(2, "look"), FINISHED)
    assert len(bench.of(ev.RunTool)) == 1
    bench.feed(ev.ToolReturned("call_x_0", "a"))
    assert [effect.name for effect in bench.of(ev.RunTool)] == ["look", "lone"]
    bench.feed(ev.ToolReturned("call_x_1", "b"))
    assert len(bench.of(ev.RunTool)) == 3


def test_results_are_recorded_in_call_order() -> None:
    """Whichever finishes first."""
    bench = Bench(Turn(setup()))
    bench.feed(call(0, "look"), call(1, "look"), FINISHED)
    bench.feed(ev.ToolReturned("call_x_1", "second"), ev.ToolReturned("call_x_0", "first"))
    (step,) = bench.of(ev.SaveStep)
    assert [message.text for message in step.messages[1:]] == ["first", "second"]
    assert bench.of(ev.CallModel)[1].request.turn == (*setup().opening, *step.messages)


@pytest.mark.parametrize(
    ("delta", "says"),
    [
        (call(0, "nosuch"), "There is no tool named 'nosuch'"),
        (call(0, "look", '{"a":'), "not one JSON object"),
        (call(0, "look", "[1]"), "not one JSON object"),
        (call(0, "look", '{"a":1}{"b":2}'), "not one JSON object"),
        (call(0, "picky", '{"y":1}'), "x: is missing"),
    ],
)
def test_a_call_that_may_not_run_gets_an_error_the_model_reads(delta: ev.ToolCallDelta, says: str) -> None:
    """It is finished without having started, and the model is asked again."""
    bench = Bench(Turn(setup()))
    bench.feed(delta, FINISHED)
    assert bench.of(ev.ToolCalled) == []
    assert [event.status for event in bench.of(ev.ToolFinished)] == ["error"]
    assert says in bench.of(ev.CallModel)[1].request.turn[-1].text


def test_broken_arguments_are_replayed_as_an_object_with_the_raw_text() -> None:
    """Never silently as an empty object."""
    bench = Bench(Turn(setup()))
    bench.feed(call(0, "look", '{"a": oops'), FINISHED)
    (made,) = bench.of(ev.CallModel)[1].request.turn[1].tool_calls
    assert json.loads(provider_arguments(made)) == {"malformed_arguments": '{"a": oops'}


def test_no_arguments_at_all_are_an_empty_object() -> None:
    """Some providers send nothing for a tool that takes nothing."""
    bench = Bench(Turn(setup()))
    bench.feed(call(0, "look", ""), FINISHED)
    assert bench.of(ev.RunTool)[0].arguments == {}


def test_a_repeated_call_is_refused_where_the_tool_says_so() -> None:
    """In the same reply as well as in a later step."""
    bench = Bench(Turn(setup()))
    bench.feed(
        call(0, "once", '{"a":1,"b":0}'), call(1, "once", '{"b": 0, "a": 1}'), call(2, "once", '{"a":2}'), FINISHED
    )
    assert [effect.arguments for effect in bench.of(ev.RunTool)] == [{"a": 1, "b": 0}, {"a": 2}]
    bench.feed(ev.ToolReturned("call_x_0", "ok"), ev.ToolReturned("call_x_2", "ok"))
    bench.feed(call(0, "once", '{"a":2}'), FINISHED)
    assert len(bench.of(ev.RunTool)) == 2


def test_a_call_that_was_refused_may_be_made_again() -> None:
    """There is no result of it to use."""
    bench = Bench(Turn(setup(rules=[RunFirst(tool="look")])))
    bench.feed(call(0, "once"), call(1, "look"), call(2, "once"), FINISHED)
    bench.feed(ev.ToolReturned("call_x_1", "ok"))
    assert bench.running == ["call_x_2"]


def test_the_last_step_must_speak() -> None:
    """No call is offered in it, one that is made anyway is refused, and the turn ends for that reason."""
    bench = Bench(Turn(setup(max_steps=2)))
    bench.feed(call(0, "look"), FINISHED, ev.ToolReturned("call_x_0", "ok"))
    assert [effect.request.tool_choice for effect in bench.of(ev.CallModel)] == ["auto", "none"]
    bench.feed(call(0, "look"), FINISHED)
    assert bench.ended.reason == "max_steps"
    check_valid_for_providers(bench.ended.messages)


@pytest.mark.parametrize(
    ("reason", "end"),
    [
        ("length", "max_tokens"), ("content_filter", "content_filter"), ("refusal", "refusal"),
        (None, "end_turn"), ("stop", "end_turn"),
    ],
)  # fmt: skip
def test_how_a_reply_ends_is_how_the_turn_ends(reason: Any, end: str) -> None:
    """None of these asks the model again."""
    bench = Bench(Turn(setup()))
    bench.feed(ev.TextDelta("So"), ev.ModelFinished(reason))
    assert bench.ended.reason == end
    assert len(bench.of(ev.CallModel)) == 1


def test_an_empty_reply_ends_the_turn() -> None:
    """With nothing but the user's words in the history."""
    bench = Bench(Turn(setup()))
    bench.feed(FINISHED)
    assert bench.ended.messages == setup().opening


def test_a_cut_reply_with_calls_runs_none_of_them() -> None:
    """A call that was still to start gets a result that says so."""
    bench = Bench(Turn(setup()))
    bench.feed(call(0, "write"), ev.ModelFinished("length"))
    assert bench.of(ev.RunTool) == []
    assert "Not run" in bench.ended.messages[-1].text
    check_valid_for_providers(bench.ended.messages)


def test_a_failing_model_is_told_apologised_for_and_remembered() -> None:
    """What was said before the failure stays, the notice is a message of its own."""
    bench = Bench(Turn(setup(failure_notice="Sorry.")))
    bench.feed(ev.TextDelta("It is"), ev.ModelFailed("the provider answered 500", retryable=True))
    assert bench.of(ev.Failed) == [ev.Failed("provider", "the provider answered 500", True, "t1")]
    assert bench.of(ev.Spoke)[-1] == ev.Spoke("t1", "Sorry.", "notice")
    assert bench.ended.reason == "llm_api_error"
    assert [message.text for message in bench.ended.messages] == ["hello", "It is", "Sorry."]


def test_a_silent_model_fails_at_the_deadline_and_not_before() -> None:
    """Every sign of life moves it."""
    bench = Bench(Turn(setup(stall_s=5.0)))
    bench.feed(ev.TextDelta("a"), at=3.0)
    assert bench.turn.deadline() == 8.0
    assert bench.turn.on_deadline(7.9) == []
    assert any(isinstance(output, ev.TurnEnded) for output in bench.turn.on_deadline(8.0))


def test_a_call_that_hangs_up_ends_the_turn_by_rule() -> None:
    """The goodbye is its utterance."""
    bench = Bench(Turn(setup()))
    bench.feed(call(0, "bye", '{"pre_exec_msg":"Goodbye!"}'), FINISHED, ev.ToolReturned("call_x_0", "done"))
    assert (bench.ended.reason, bench.ended.leaves, bench.ended.heard) == ("tool_rule", "hang_up", "Goodbye!")


def test_a_hang_up_that_failed_goes_on() -> None:
    """The model learns of it."""
    bench = Bench(Turn(setup()))
    bench.feed(call(0, "bye"), FINISHED, ev.ToolReturned("call_x_0", "no", "error"))
    assert bench.turn.state is State.THINKING


def test_a_barge_in_keeps_what_was_heard_and_marks_it() -> None:
    """The mark is exact; the model sees the words up to it."""
    bench = Bench(Turn(setup()))
    bench.feed(ev.TextDelta("It is five "), ev.TextDelta("o'clock."))
    bench.feed(ev.UserInterrupted(ev.Mark(chars=5)))
    assert (bench.ended.heard, bench.ended.generated) == ("It is", "It is five o'clock.")
    said = bench.ended.messages[-1]
    assert (said.text, said.heard, said.interrupted) == ("It is five o'clock.", "It is", True)
    assert provider_text(said) == "It is [interrupted here]"


def test_a_barge_in_before_anything_was_heard_leaves_a_fixed_marker() -> None:
    """So that the history stays valid and says what happened."""
    bench = Bench(Turn(setup()))
    bench.feed(ev.UserInterrupted())
    assert provider_text(bench.ended.messages[-1]) == "[interrupted before anything was heard]"


def test_a_barge_in_without_a_mark_is_estimated_by_speaking_rate() -> None:
    """What was taken back before it left counts as unheard in any case."""
    bench = Bench(Turn(setup()))
    bench.feed(ev.TextDelta("x" * 300), at=1.0)
    bench.feed(ev.UserInterrupted(unsent=290), at=3.0)
    assert len(bench.ended.heard) == 10
    bench = Bench(Turn(setup()))
    bench.feed(ev.TextDelta("x" * 300), at=1.0)
    bench.feed(ev.UserInterrupted(), at=3.0)
    assert len(bench.ended.heard) == 30


def test_a_barge_in_cancels_reads_and_lets_writes_finish() -> None:
    """Each call has a result that tells the model which it was."""
    bench = Bench(Turn(setup()))
    bench.feed(call(0, "look"), call(1, "write"), call(2, "lone"), FINISHED)
    bench.feed(ev.UserInterrupted())
    stop = bench.of(ev.StopWork)[-1]
    assert stop.keep == {"call_x_1"}
    assert [message.text.split()[0] for message in bench.ended.messages if message.role == "tool"] == [
        "Cancelled:", "Still", "Not",
    ]  # fmt: skip
    assert [(event.call_id, event.status) for event in bench.of(ev.ToolFinished)] == [("call_x_0", "cancelled")]
    check_valid_for_providers(bench.ended.messages)


def test_an_interrupted_utterance_is_replayed_as_far_as_it_was_heard() -> None:
    """The model must not believe that it said more."""
    bench = Bench(Turn(setup()))
    bench.feed(call(0, "look", '{"pre_exec_msg":"Looking it up.","q":1}'), ev.UserInterrupted(ev.Mark(text="Looking")))
    (made,) = bench.ended.messages[1].tool_calls
    assert json.loads(provider_arguments(made)) == {"pre_exec_msg": "Looking", "q": 1}


def test_a_second_final_before_any_speech_joins_the_turn() -> None:
    """One turn, asked anew with all the words, which the session puts together; the first request is stopped."""
    bench = Bench(Turn(setup("I want")))
    bench.feed(ev.UserSpoke("I want a pizza", turn_id="t1", revision=1))
    assert isinstance(bench.out[2], ev.StopWork)
    assert bench.of(ev.CallModel)[1].request.turn[0].text == "I want a pizza"
    assert len(bench.of(ev.TurnStarted)) == 1
    assert bench.turn.revision == 1


def test_words_after_speech_are_no_part_of_the_turn() -> None:
    """Merging them would unsay what was said."""
    bench = Bench(Turn(setup()))
    bench.feed(ev.TextDelta("Hi"))
    with pytest.raises(IllegalEventError):
        bench.feed(ev.UserSpoke("more"))


def test_fixed_words_are_a_turn_without_a_model() -> None:
    """A greeting is said, remembered, and over."""
    bench = Bench(Turn(setup(words=("Welcome!", "greeting"), opening=())))
    assert bench.of(ev.CallModel) == []
    assert bench.of(ev.Spoke) == [ev.Spoke("t1", "Welcome!", "greeting")]
    assert [message.heard for message in bench.ended.messages] == ["Welcome!"]


def test_reasoning_is_kept_replayed_in_its_turn_and_never_spoken() -> None:
    """Its pieces are kept as one."""
    bench = Bench(Turn(setup()))
    bench.feed(Opaque("m", "reasoning_content", "I should "), Opaque("m", "reasoning_content", "look."))
    bench.feed(call(0, "look"), FINISHED, ev.ToolReturned("call_x_0", "ok"))
    assert bench.of(ev.Spoke) == []
    assert bench.of(ev.CallModel)[1].request.turn[1].opaque == (Opaque("m", "reasoning_content", "I should look."),)


def test_the_parts_of_the_latency_add_up_to_the_total() -> None:
    """Waiting for the provider and for a tool are told apart."""
    bench = Bench(Turn(setup()))
    bench.feed(call(0, "look"), FINISHED, at=0.3)
    bench.feed(ev.ToolReturned("call_x_0", "ok"), at=0.8)
    bench.feed(ev.TextDelta("Done."), at=1.0)
    bench.feed(FINISHED, at=1.1)
    latency = bench.ended.latency
    assert {part.name: part.ms for part in latency.parts} == {"provider": 600.0, "tool:look": 500.0}
    assert (latency.total, latency.first_speech, latency.first_reply) == (1100.0, 1000.0, 1000.0)


def test_an_event_that_the_state_does_not_take_raises() -> None:
    """The table is the law: what it does not name is a fault of the caller's."""
    bench = Bench(Turn(setup()))
    bench.feed(call(0, "look"), FINISHED)
    assert bench.turn.state is State.ACTING
    with pytest.raises(IllegalEventError, match="TextDelta in state ACTING"):
        bench.feed(ev.TextDelta("x"))


def test_late_input_to_an_ended_turn_is_dropped() -> None:
    """Whatever it is."""
    bench = Bench(Turn(setup()))
    bench.feed(ev.TextDelta("x"), FINISHED)
    late: list[Any] = [ev.TextDelta("y"), ev.UserInterrupted(), ev.ToolReturned("c", "o"), ev.ModelFailed("f")]
    assert bench.feed(*late) == []
    assert ACCEPTS[State.ENDED] == ()


# ---- for any sequence of events ----

_arguments = st.sampled_from(
    ["", "{}", '{"pre_exec_msg":"One moment.","q":1}', '{"q":2,"pre_exec_msg":"Hm"}', '{"q":', "[1]", '{"a":1}{"b":2}']
)
_names = st.sampled_from([*TOOLS, "nosuch"])
_model_event = st.one_of(
    st.builds(ev.TextDelta, st.sampled_from(["", "Hi ", "there. ", "Grüße! 🎉 "])),
    st.builds(call, st.integers(0, 2), _names, _arguments),
    st.builds(lambda index, piece: ev.ToolCallDelta(index=index, json=piece), st.integers(0, 2), _arguments),
    st.just(Opaque("m", "reasoning_content", "hm")),
)
_reasons = st.sampled_from(["stop", "tool_calls", None, "length", "refusal"])
_mark = st.one_of(st.none(), st.builds(lambda n: ev.Mark(chars=n), st.integers(0, 60)), st.just(ev.Mark(text="Hi the")))
_end = st.one_of(
    st.builds(ev.ModelFinished, _reasons),
    st.just(ev.ModelFailed("broke")),
    st.builds(lambda mark, unsent: ev.UserInterrupted(mark, unsent=unsent), _mark, st.integers(0, 40)),
    st.just(ev.UserLeft()),
)
scripts = st.lists(st.tuples(st.lists(_model_event, max_size=6), _end, st.booleans()), min_size=1, max_size=5)


def play(turn: Turn, script: list[tuple[list[Any], Any, bool]]) -> Bench:
    """Play a script: per reply its events and its end, then the results of the calls, in order or reversed."""
    bench = Bench(turn)
    for events, end, backwards in script:
        for event in [*events, end]:
            if turn.state is State.ENDED or isinstance(event, ACCEPTS[turn.state]):
                bench.wait(bench.at + 0.25)
                bench.feed(event)
        while turn.state is State.ACTING:
            bench.wait(bench.at + 0.25)
            waiting = bench.running
            bench.feed(ev.ToolReturned(waiting[-1 if backwards else 0], "result"))
    bench.feed(ev.UserLeft())
    return bench


@settings(max_examples=400, deadline=None)
@given(scripts)
def test_every_turn_ends_once_with_a_history_any_provider_accepts(script: list[Any]) -> None:
    """Exactly one end; each call has one result; what the history says is what was heard; silence after the end."""
    bench = play(Turn(setup(failure_notice="Sorry.")), script)
    ended = bench.ended
    check_valid_for_providers(ended.messages)
    assert bench.out[-1] is ended
    assert isinstance(bench.out[-2], ev.TurnSpoken)
    spoken = "".join(event.text for event in bench.of(ev.Spoke))
    assert ended.generated == spoken
    assert spoken.startswith(ended.heard)
    assert heard_in(ended.messages) == ended.heard
    stop = max(i for i, output in enumerate(bench.out) if isinstance(output, ev.StopWork))
    assert not any(isinstance(output, ev.CallModel | ev.RunTool | ev.SaveStep) for output in bench.out[stop:])


def heard_in(messages: tuple[Message, ...]) -> str:
    """What the history says was heard: in a message the spoken utterance comes before the text."""
    heard = ""
    for message in messages:
        if message.role == "assistant":
            heard += "".join(made.heard or "" for made in message.tool_calls) + (message.heard or "")
    return heard


@settings(max_examples=300, deadline=None)
@given(scripts, st.integers(0, 4))
def test_a_turn_can_be_rebuilt_at_any_step_border_from_its_messages_alone(script: list[Any], border: int) -> None:
    """What the rebuilt turn does from there on is what the first would have done."""
    whole = play(Turn(setup()), script)
    saved = whole.of(ev.SaveStep)
    if border >= len(saved):
        return
    step = whole.out.index(saved[border])
    rest = whole.out[step + 1 :]
    if not rest or not isinstance(rest[0], ev.CallModel):
        return
    done = tuple(message for effect in saved[: border + 1] for message in effect.messages)
    again = Turn(setup(), done)
    outputs: list[Output] = again.begin(0.0)
    assert outputs == rest[:1]
    replayed = Bench.__new__(Bench)
    replayed.turn, replayed.out, replayed.at = again, [], 0.0
    remaining = script[sum(isinstance(output, ev.CallModel) for output in whole.out[: step + 1]) :]
    for events, end, backwards in remaining:
        for event in [*events, end]:
            if again.state is State.ENDED or isinstance(event, ACCEPTS[again.state]):
                replayed.feed(event)
        while again.state is State.ACTING:
            waiting = replayed.running
            replayed.feed(ev.ToolReturned(waiting[-1 if backwards else 0], "result"))
    replayed.feed(ev.UserLeft())
    ours, theirs = replayed.ended, whole.ended
    assert ours.reason == theirs.reason
    assert ours.generated == theirs.generated
    assert without_times(ours.messages) == without_times(theirs.messages)


def without_times(messages: tuple[Message, ...]) -> list[tuple[Any, ...]]:
    return [(m.role, m.text, m.tool_call_id, tuple((c.id, c.name, c.arguments, c.utterance) for c in m.tool_calls))
            for m in messages]  # fmt: skip
