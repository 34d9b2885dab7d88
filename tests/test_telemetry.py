"""The metrics, read back from the text that Prometheus scrapes."""

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from voice_agent.events import (
    EndReason,
    Failed,
    Flushed,
    SessionEnded,
    Spoke,
    ToolCalled,
    ToolFinished,
    TurnEnded,
    TurnEvent,
    TurnHeard,
    TurnSpoken,
    TurnStarted,
)
from voice_agent.messages import Latency, Part, Usage
from voice_agent.telemetry import Telemetry


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry(CollectorRegistry())


def samples(telemetry: Telemetry) -> dict[str, float]:
    """All samples but the buckets and creation times, as `name{label=value}`."""
    found = {}
    for family in text_string_to_metric_families(telemetry.render().decode()):
        for sample in family.samples:
            if not sample.name.endswith(("_bucket", "_created")):
                labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                found[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


def ended(reason: EndReason = "end_turn", usage: Usage | None = None, first: float | None = 300.0) -> TurnEnded:
    latency = Latency(first_speech=first, first_reply=first and first + 100, gateway=2.5, total=1500.0, parts=())
    return TurnEnded("t", reason, (), "", "", usage or Usage(), latency)


def test_a_turn_counts_its_end_and_its_times(telemetry: Telemetry) -> None:
    """Milliseconds of the turn become seconds of the histograms."""
    telemetry.observe(ended())
    telemetry.observe(ended("interrupted"))
    found = samples(telemetry)
    assert found["voice_turns_total{reason=end_turn}"] == 1
    assert found["voice_turns_total{reason=interrupted}"] == 1
    for name, total in (("first_speech", 0.6), ("first_reply", 0.8), ("gateway_overhead", 0.005), ("turn", 3.0)):
        assert found[f"voice_{name}_seconds_count"] == 2
        assert found[f"voice_{name}_seconds_sum"] == pytest.approx(total)


def test_a_silent_turn_has_no_first_speech(telemetry: Telemetry) -> None:
    """What did not happen is not counted as having been quick."""
    telemetry.observe(ended(first=None))
    found = samples(telemetry)
    assert (found["voice_first_speech_seconds_count"], found["voice_first_reply_seconds_count"]) == (0, 0)
    assert found["voice_turn_seconds_count"] == 1


def test_tokens_are_counted_by_kind_where_they_were_reported(telemetry: Telemetry) -> None:
    """A count that the provider does not give makes no series."""
    usage = Usage(steps=1, input_tokens=100, output_tokens=20, cached_input_tokens=0)
    telemetry.observe(ended(usage=usage))
    telemetry.observe(ended(usage=Usage(steps=1, input_tokens=11, reasoning_tokens=7, cache_write_tokens=3)))
    tokens = {name: value for name, value in samples(telemetry).items() if name.startswith("voice_tokens")}
    assert tokens == {
        "voice_tokens_total{kind=input}": 111,
        "voice_tokens_total{kind=output}": 20,
        "voice_tokens_total{kind=cached_input}": 0,
        "voice_tokens_total{kind=reasoning}": 7,
        "voice_tokens_total{kind=cache_write}": 3,
    }


def test_tool_time_is_kept_by_tool_and_status(telemetry: Telemetry) -> None:
    """A tool that has run is named; a call that was refused before any run is not."""
    telemetry.observe(ToolFinished("t", "c0", "made_up_by_the_model", "error", 0.0))
    telemetry.observe(ToolCalled("t", "c1", "get_time", {}))
    telemetry.observe(ToolFinished("t", "c1", "get_time", "ok", 250.0))
    telemetry.observe(ToolFinished("t", "c2", "get_time", "timeout", 1500.0))
    found = samples(telemetry)
    assert found["voice_tool_seconds_sum{status=ok,tool=get_time}"] == 0.25
    assert found["voice_tool_seconds_sum{status=timeout,tool=get_time}"] == 1.5
    assert found["voice_tool_seconds_count{status=error,tool=other}"] == 1
    assert "made_up" not in telemetry.render().decode()


def test_tool_names_are_bounded(telemetry: Telemetry) -> None:
    """However many tools clients bring, the series stay few."""
    for index in range(1000):
        telemetry.observe(ToolCalled("t", f"c{index}", f"tool_{index}", {}))
        telemetry.observe(ToolFinished("t", f"c{index}", f"tool_{index}", "ok", 1.0))
    found = samples(telemetry)
    assert len([name for name in found if name.startswith("voice_tool_seconds_count")]) == 201
    assert found["voice_tool_seconds_count{status=ok,tool=other}"] == 800


def test_errors_are_counted_by_code(telemetry: Telemetry) -> None:
    """The message, which may say anything, is no label."""
    telemetry.observe(Failed("provider", "it said no", turn_id="t"))
    telemetry.observe(Failed("provider", "again"))
    assert samples(telemetry)["voice_errors_total{code=provider}"] == 2
    assert b"it said no" not in telemetry.render()


@pytest.mark.parametrize(
    "event",
    [
        TurnStarted("t"), Spoke("t", "words", "reply"), Flushed("t", "reply"), TurnSpoken("t"), TurnHeard("t", "w"),
        SessionEnded("client"), ToolCalled("t", "c", "n", {}),
    ],
)  # fmt: skip
def test_other_events_change_nothing(telemetry: Telemetry, event: TurnEvent) -> None:
    """They are the ones that may come often."""
    before = samples(telemetry)
    telemetry.observe(event)
    assert samples(telemetry) == before


def test_sessions_go_up_and_down(telemetry: Telemetry) -> None:
    """The gauge says how many are open."""
    telemetry.session_opened()
    telemetry.session_opened()
    telemetry.session_closed()
    assert samples(telemetry)["voice_sessions"] == 1


def test_what_is_measured_beside_turns_is_kept(telemetry: Telemetry) -> None:
    """Interruptions have a series of their own; storing a turn is the share of its time that it says."""
    telemetry.barge_in_seconds(0.25)
    latency = Latency(None, None, 0.0, 500.0, (Part("store", 500.0),))
    telemetry.observe(TurnEnded("t", "end_turn", (), "", "", Usage(), latency))
    found = samples(telemetry)
    assert (found["voice_commit_seconds_sum"], found["voice_commit_seconds_count"]) == (0.5, 1)
    assert (found["voice_barge_in_seconds_sum"], found["voice_barge_in_seconds_count"]) == (0.25, 1)


def test_every_process_has_its_own_metrics() -> None:
    """Two in one interpreter, as in tests, do not meet."""
    one, two = Telemetry(CollectorRegistry()), Telemetry(CollectorRegistry())
    one.session_opened()
    assert (samples(one)["voice_sessions"], samples(two)["voice_sessions"]) == (1, 0)


def test_requests_are_counted_by_why_they_were_sent(telemetry: Telemetry) -> None:
    """One for each step that was asked for; those beside another, and those after it, apart. None: no series."""
    telemetry.observe(ended(usage=Usage(steps=2)))
    telemetry.observe(ended(usage=Usage(steps=2, attempts=5, hedges=1)))
    telemetry.observe(ended(usage=Usage(steps=1, attempts=1)))
    found = {name: count for name, count in samples(telemetry).items() if name.startswith("voice_model_requests")}
    assert found == {
        "voice_model_requests_total{kind=first}": 3,
        "voice_model_requests_total{kind=hedge}": 1,
        "voice_model_requests_total{kind=again}": 2,
    }


def test_what_was_thought_in_vain_is_counted_apart(telemetry: Telemetry) -> None:
    """Its tokens are none of any turn's."""
    telemetry.speculation("adopted", Usage())
    telemetry.speculation("discarded", Usage(steps=1, input_tokens=40))
    found = samples(telemetry)
    assert found["voice_speculations_total{outcome=adopted}"] == 1
    assert found["voice_speculations_total{outcome=discarded}"] == 1
    assert found["voice_wasted_tokens_total{kind=input}"] == 40
    assert not [name for name in found if name.startswith("voice_tokens")]


def test_models_that_keep_failing_are_shown(telemetry: Telemetry) -> None:
    """Until they answer again."""
    telemetry.circuit("openai/m", opens=True)
    telemetry.circuit("anthropic/m", opens=True)
    telemetry.circuit("anthropic/m", opens=False)
    found = samples(telemetry)
    assert found["voice_open_circuits{model=openai/m}"] == 1
    assert found["voice_open_circuits{model=anthropic/m}"] == 0
