"""Which field a refusal names, and what is known of a model by its name."""

import pytest

from voice_agent.llm.capabilities import Capabilities, refused_field

SENT = frozenset({"model", "messages", "temperature", "tools", "tool_choice", "parallel_tool_calls"})


@pytest.mark.parametrize(
    ("message", "param", "field"),
    [
        ("Unsupported value", "temperature", "temperature"),
        ("Extra inputs: 'parallel_tool_calls'", "", "parallel_tool_calls"),
        ("tool_choice is not known here", "body", "tool_choice"),
        ("reasoning_effort is refused, though it was not sent", "reasoning_effort", None),
        ("messages[3] is wrong", "messages", None),
        ("my_temperature_sensor is no tool", "tools", None),
        ("", "", None),
    ],
)
def test_refused_field(message: str, param: str, field: str | None) -> None:
    """Only a field that was sent, and that a request can do without, is named."""
    assert refused_field(message, param, SENT) == field


def test_records_add_up_and_keep_what_the_name_tells() -> None:
    """Each refusal is remembered beside the earlier ones and the name's own rule."""
    capabilities = Capabilities()
    capabilities.refuse("u", "gpt-6-luna", "temperature")
    capabilities.refuse("u", "gpt-6-luna", "tool_choice")
    record = capabilities.of("u", "gpt-6-luna")
    assert record.refused == {"temperature", "tool_choice"}
    assert record.effort_with_tools == "none"
    assert capabilities.of("u", "gpt-6-astra").refused == frozenset()


@pytest.mark.parametrize(
    ("model", "effort"),
    [("gpt-5.4", "none"), ("gpt-5.6-mini", "none"), ("gpt-5.10", None), ("gpt-4o", None), ("my-gpt-6", None)],
)
def test_effort_rule_by_name(model: str, effort: str | None) -> None:
    """The rule holds for the names it was seen with."""
    assert Capabilities().of("u", model).effort_with_tools == effort
