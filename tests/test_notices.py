"""Every failing end of a live turn is told of in the agent's words, once."""

from typing import Any

import pytest

from tests.turns import FINISHED, TOOLS, call, check_valid_for_providers, spec
from tests.waits import SAID, bench, kinds
from voice_agent import events as ev
from voice_agent.rules.kinds import RequiredBeforeExit, RunFirst


@pytest.mark.parametrize(
    "fails",
    [
        [ev.ModelFailed("gone")],
        [ev.ModelFailed("too long", overflow=True)],
        [ev.ModelFinished("length")],
        [ev.ModelFinished("content_filter")],
        [ev.ModelFinished("refusal")],
        [call(0, "write", SAID), ev.ModelFinished("length")],
    ],
)
def test_a_failing_end_has_one_notice_though_fillers_were_said(fails: list[Any]) -> None:
    """A filler, or the promise of an utterance, is no answer."""
    failing = bench()
    failing.wait(5.0)
    failing.feed(*fails)
    assert kinds(failing).count("notice") == 1
    assert kinds(failing)[-1] == "notice"
    check_valid_for_providers(failing.ended.messages)


def test_a_stalled_model_and_a_fault_of_our_own_have_one_notice() -> None:
    """Though the turn is told to end twice."""
    failing = bench()
    failing.wait(25.0)
    assert failing.ended.reason == "llm_api_error"
    assert kinds(failing)[-1] == "notice"
    aborted = bench()
    aborted.out += [*aborted.turn.abort(1.0), *aborted.turn.abort(2.0)]
    assert kinds(aborted) == ["notice"]


def test_an_invalid_call_is_apologised_for_though_it_was_announced() -> None:
    """The caller was promised something; words that were said instead of the call are an answer of a kind."""
    tools = TOOLS | {"picky": spec("picky", check=lambda _: "y: is wrong")}
    failing = bench(tools=tools, rules=[RunFirst(tool="picky", args={"y": 1})])
    failing.feed(call(0, "picky", SAID), FINISHED)
    assert (failing.ended.reason, kinds(failing)) == ("invalid_tool_call", ["utterance", "notice"])
    failing = bench(rules=[RequiredBeforeExit(tool="look")])
    failing.feed(ev.TextDelta("No."), FINISHED, ev.TextDelta("No."), FINISHED)
    assert (failing.ended.reason, kinds(failing)) == ("invalid_tool_call", ["reply", "reply"])
