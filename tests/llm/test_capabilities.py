"""What is known of a model by its name, its provider's list and configuration, and what refusals teach."""

import msgspec
import pytest

from voice_agent.llm.capabilities import Api, Capabilities, Capability, refused_field
from voice_agent.messages import Message, ModelRequest, ToolSchema

OPENAI = "https://api.openai.com/v1"
CHOICES = ("auto", "none", "required", "look")
DROPPABLE = ("temperature", "tool_choice", "parallel_tool_calls", "reasoning_effort", "eager_input_streaming")
BODY = msgspec.json.encode(
    {"model": "m", "messages": [], "temperature": 1, "tools": [{"eager_input_streaming": True}], "tool_choice": "auto",
     "parallel_tool_calls": True}
)  # fmt: skip


@pytest.mark.parametrize(
    ("message", "param", "field"),
    [
        ("Unsupported value", "temperature", "temperature"),
        ("Extra inputs: 'parallel_tool_calls'", "", "parallel_tool_calls"),
        ("tools.0.custom.eager_input_streaming: Extra inputs are not permitted", "", "eager_input_streaming"),
        ("tool_choice is not known here", "body", "tool_choice"),
        ("reasoning_effort is refused, though it was not sent", "reasoning_effort", None),
        ("messages[3] is wrong", "messages", None),
        ("In context=('properties', 'temperature'): no type", "tools[0].function.parameters", None),
        ("Too long: shorten them, or temperature", "messages", None),
        ("Not supported with this model", "tool_choice.type", "tool_choice"),
        ("Extra inputs are not permitted", "tools.0.custom.eager_input_streaming", "eager_input_streaming"),
        ("my_temperature_sensor is no tool", "tools", None),
        ("", "", None),
    ],
)
def test_refused_field(message: str, param: str, field: str | None) -> None:
    """Only a field that was sent, and that a request can do without, is named."""
    assert refused_field(message, param, DROPPABLE, BODY) == field


def test_records_add_up_and_keep_what_the_name_tells() -> None:
    """Each refusal is remembered beside the earlier ones and the name's own rule."""
    capabilities = Capabilities()
    capabilities.learn("u", "gpt-6-luna", capabilities.of("u", "gpt-6-luna").without("temperature"))
    capabilities.learn("u", "gpt-6-luna", capabilities.of("u", "gpt-6-luna").without("tool_choice"))
    record = capabilities.of("u", "gpt-6-luna")
    assert record.refused == {"temperature", "tool_choice"}
    assert record.effort_with_tools == "none"
    assert capabilities.of("u", "gpt-6-astra").refused == frozenset()


def test_a_refused_output_limit_goes_by_its_other_name() -> None:
    """Only where the other name is refused too is the limit left out."""
    capabilities = Capabilities()
    capabilities.learn("u", "m", capabilities.of("u", "m").without("max_completion_tokens"))
    assert capabilities.of("u", "m") == Capability(max_tokens_field="max_tokens")
    capabilities.learn("u", "m", capabilities.of("u", "m").without("max_tokens"))
    assert capabilities.of("u", "m").refused == {"max_tokens"}


def test_lists_fill_a_record_and_configuration_has_the_last_word() -> None:
    """A list tells over the name, configuration over both, a refusal over all."""
    capabilities = Capabilities()
    capabilities.configure("u", "m", {"api": "responses", "context_window": 7, "refused": ["temperature"]})
    assert not capabilities.told("u")
    capabilities.tell("u", "chat", {"m": {"context_window": 8, "max_output": 9}, "n": {"max_output": 3}})
    assert capabilities.told("u")
    record = capabilities.of("u", "m")
    assert (record.api, record.context_window, record.max_output) == ("responses", 7, 9)
    assert record.refused == {"temperature"}
    assert capabilities.of("u", "n").max_output == 3


def test_a_refusal_outlives_a_list_that_comes_late() -> None:
    """The first request may be quicker than the list, and what it taught holds."""
    capabilities = Capabilities()
    capabilities.learn("u", "m", capabilities.of("u", "m").without("temperature"))
    capabilities.tell("u", "chat", {"m": {"refused": frozenset({"tool_choice"}), "max_output": 9}})
    record = capabilities.of("u", "m")
    assert record.refused == {"temperature", "tool_choice"}
    assert record.max_output == 9


def test_wire_formats_of_one_address_have_records_of_their_own() -> None:
    """What one refuses says nothing of the other, and a move of one leaves the other where it is."""
    capabilities = Capabilities()
    capabilities.configure("u", "m", {"context_window": 7}, "responses")
    capabilities.tell("u", "responses", {"m": {"max_output": 9}})
    capabilities.learn("u", "m", capabilities.of("u", "m", "responses").without("temperature"), "responses")
    capabilities.learn("u", "m", capabilities.of("u", "m", "messages").moved("responses"), "messages")
    assert capabilities.of("u", "m") == Capability()
    assert (capabilities.told("u", "responses"), capabilities.told("u")) == (True, False)
    record = capabilities.of("u", "m", "responses")
    assert (record.api, record.context_window, record.max_output) == ("responses", 7, 9)
    assert record.refused == {"temperature"}
    assert capabilities.of("u", "m", "messages").api == "responses"


@pytest.mark.parametrize(
    ("model", "effort"),
    [("gpt-5.4", "none"), ("gpt-5.6-mini", "none"), ("gpt-5.10", None), ("gpt-4o", None), ("my-gpt-6", None)],
)
def test_effort_rule_by_name(model: str, effort: str | None) -> None:
    """The rule holds for the names it was seen with."""
    assert Capabilities().of("u", model).effort_with_tools == effort


@pytest.mark.parametrize(
    ("base_url", "model", "reasoning", "tools", "api"),
    [
        (OPENAI, "gpt-6-luna", None, True, "chat"),
        (OPENAI, "gpt-6-luna", "none", True, "chat"),
        (OPENAI, "gpt-6-luna", "low", True, "responses"),
        (OPENAI, "gpt-6-luna", "low", False, "chat"),
        (OPENAI, "gpt-6-astra", None, False, "responses"),
        (OPENAI, "gpt-6.1-sol", None, True, "responses"),
        ("https://reseller/v1", "gpt-6.1-sol", "low", True, "chat"),
        ("https://reseller/v1", "gpt-6-luna", "low", True, "chat"),
    ],
)
def test_a_request_goes_where_its_model_takes_it(
    base_url: str, model: str, reasoning: str | None, tools: bool, api: Api
) -> None:
    """Responses takes what OpenAI's Chat Completions refuses, and only at OpenAI's own address."""
    offered = (ToolSchema("look", "", {"type": "object"}),) if tools else ()
    request = ModelRequest(model, "s", (), (Message("user", "hi", 0.0),), offered, reasoning=reasoning)
    assert Capabilities().of(base_url, model).api_for(request) == api


@pytest.mark.parametrize(
    ("model", "thinking_off", "forced_call"),
    [
        ("claude-opus-5-5", "impossible", "never"),
        ("claude-fable-5-2", "impossible", "never"),
        ("claude-sonnet-5-5", "between_tools", "never"),
        ("claude-haiku-5-5", "disabled", "thinking_off"),
        ("claude-opus-5", "disabled", "thinking_off"),
        ("claude-opus-4-8", "omit", "thinking_off"),
        ("claude-haiku-4-5", "omit", "thinking_off"),
        ("anthropic/claude-opus-5.5", "impossible", "never"),
    ],
)
def test_messages_models_by_name(model: str, thinking_off: str, forced_call: str) -> None:
    """How each is told not to think, and whether a call can be demanded; none takes a temperature."""
    record = Capabilities().of("u", model, "messages")
    assert (record.api, record.sampling) == ("messages", False)
    assert (record.thinking_off, record.forced_call) == (thinking_off, forced_call)


@pytest.mark.parametrize(
    ("record", "thinks", "asked"),
    [
        (Capability(), True, ("auto", "none", "required", "look")),
        (Capability(named_call=False), False, ("auto", "none", "required", "required")),
        (Capability(forced_call="thinking_off"), False, ("auto", "none", "required", "look")),
        (Capability(forced_call="thinking_off"), True, ("auto", "none", "auto", "auto")),
        (Capability(forced_call="never", named_call=False), False, ("auto", "none", "auto", "auto")),
    ],
)
def test_a_call_is_demanded_as_far_as_the_model_takes_it(
    record: Capability, thinks: bool, asked: tuple[str, ...]
) -> None:
    """One tool by name, else any, else none in particular."""
    assert tuple(record.tool_choice(wanted, thinks=thinks) for wanted in CHOICES) == asked


def test_a_list_does_not_make_a_silent_model_think() -> None:
    """That a model can be told not to think does not mean that it thinks untold; configuration has the last word."""
    capabilities = Capabilities()
    capabilities.configure("u", "claude-opus-4-7", {"thinking_off": "disabled"}, "messages")
    told = {"thinking_off": "disabled"}
    names = ("claude-opus-4-8", "claude-haiku-5-5", "claude-next", "claude-opus-4-7")
    capabilities.tell("u", "messages", dict.fromkeys(names, told))
    ways = [capabilities.of("u", name, "messages").thinking_off for name in names]
    assert ways == ["omit", "disabled", "disabled", "disabled"]
