"""Agents: validation that reports every fault, merge patch, what is stored."""

import msgspec
import pytest

from tests.api.world import check_model
from tests.turns import spec
from voice_agent.agent import Agent, Fault, InvalidAgentError
from voice_agent.agent_document import merge_patch, validate_agent
from voice_agent.agent_parts import Sleeptime
from voice_agent.tools.outward import Guard

TOOLS = {
    "set_reminder": spec("set_reminder", check=lambda given: None if "at" in given else "at: this field is required"),
    "get_time": spec("get_time"),
}


def validated(document: dict[str, object], default_model: str = "simulated") -> Agent:
    return validate_agent(document, TOOLS, check_model, Guard().fault, default_model)


def faults(document: dict[str, object], default_model: str = "simulated") -> dict[str, str]:
    with pytest.raises(InvalidAgentError) as caught:
        validated(document, default_model)
    return {fault.path: fault.message for fault in caught.value.faults}


def test_a_small_definition_gets_every_default() -> None:
    """An id and a name are enough."""
    agent = validated({"id": "ann", "name": "Ann"})
    assert (agent.max_steps, agent.tools, agent.second_session) == (10, (), "serialise")
    assert [block.label for block in agent.all_blocks()] == ["persona", "human", "summary"]


def test_every_fault_is_reported_at_once() -> None:
    """Shape, tools, model and nested fields are all named in one go, each by its JSON pointer."""
    found = faults(
        {
            "id": "no spaces",
            "temperature": "warm",
            "max_steps": 51,
            "tools": ["get_time", "fly", "sing"],
            "model": "nowhere/large",
            "blocks": [{"label": "human"}, {"label": "Bad", "limit": 0}, {"label": "n", "value": "ab", "limit": 1}],
            "voice": {"stall_timeout_ms": 1},
            "timezone": "Mars/Olympus",
            "surprise/~": 1,
        }
    )  # fmt: skip
    assert set(found) == {
        "/id", "/name", "/temperature", "/max_steps", "/tools/1", "/tools/2", "/model", "/blocks/1/label",
        "/blocks/1/limit", "/blocks/2", "/voice/stall_timeout_ms", "/timezone", "/surprise~1~0",
    }  # fmt: skip
    assert found["/tools/1"] == "there is no tool 'fly'; known: get_time, set_reminder"
    assert found["/model"] == "there is no provider 'nowhere'"
    assert found["/name"] == "this field is required"
    assert found["/surprise~1~0"] == "there is no such field"
    assert found["/blocks/2"] == "the value has 2 characters, the limit is 1"


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("temperature", "0.5", "/temperature"),
        ("max_steps", True, "/max_steps"),
        ("max_steps", 2.5, "/max_steps"),
        ("tools", "get_time", "/tools"),
        ("tools", ["get_time", 5], "/tools/1"),
        ("tools", ["get_time", "get_time"], "/tools"),
        ("blocks", [{"label": "human"}, {"label": "human"}], "/blocks"),
        ("id", "ann\n", "/id"),
        ("id", "a" * 65, "/id"),
        ("name", "", "/name"),
        ("greeting", "", "/greeting"),
        ("second_session", "queue", "/second_session"),
        ("model", "gpt", "/model"),
        ("model", 5, "/model"),
        ("model", "", "/model"),
    ],
)
def test_a_wrong_value_is_refused_where_it_stands(field: str, value: object, path: str) -> None:
    """One wrong field gives one fault, at that field, and nothing is coerced."""
    assert list(faults({"id": "ann", "name": "Ann", field: value})) == [path]


def test_a_missing_provider_key_is_a_fault_of_the_model() -> None:
    """The variable that would help is named."""
    assert faults({"id": "ann", "name": "Ann", "model": "openai/gpt-test"}) == {"/model": "OPENAI_API_KEY is not set"}


def test_the_default_model_is_checked_where_none_is_given() -> None:
    """An agent that would get an unusable default is refused."""
    assert faults({"id": "ann", "name": "Ann"}, "openai/gpt-test") == {"/model": "OPENAI_API_KEY is not set"}
    assert validated({"id": "ann", "name": "Ann", "model": "simulated"}, "openai/gpt-test").model == "simulated"


def test_faults_do_not_repeat_what_was_given() -> None:
    """A value that may be a secret is in no message."""
    with pytest.raises(InvalidAgentError) as caught:
        validated({"id": "ann", "name": "Ann", "temperature": "hunter2", "passwords": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "/temperature" in str(caught.value)


def test_only_what_was_given_is_stored() -> None:
    """A stored document holds no defaults, and gives the same agent back."""
    agent = validated({"id": "ann", "name": "Ann", "voice": {"stall_timeout_ms": 500}})
    document = agent.document()
    assert msgspec.json.decode(document) == {"id": "ann", "name": "Ann", "voice": {"stall_timeout_ms": 500}}
    assert Agent.model_validate_json(document) == agent


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_does_what_its_rfc_lists(target: object, patch: object, result: object) -> None:
    """The examples of RFC 7396, appendix A."""
    before = msgspec.json.encode(target)
    assert merge_patch(target, patch) == result
    assert msgspec.json.encode(target) == before


def test_a_fault_of_the_whole_document_is_called_so() -> None:
    """The empty pointer reads as a word in the one-line form."""
    assert str(InvalidAgentError((Fault("", "no"), Fault("/a", "bad")))) == "document: no; /a: bad"


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"buffer": {"max": 4}}, "/buffer/max"),
        ({"buffer": {"min": 4}}, "/buffer/min"),
        ({"buffer": {"max": 20, "min": 20}}, "/buffer"),
        ({"buffer": {"max": 10}}, "/buffer"),
        ({"buffer": {"max_tokens": 99}}, "/buffer/max_tokens"),
        ({"context_window": 255}, "/context_window"),
        ({"retention_days": 0}, "/retention_days"),
        ({"message_buffer_autoclear": "yes"}, "/message_buffer_autoclear"),
        ({"sleeptime": {"idle_after_s": 0}}, "/sleeptime/idle_after_s"),
        ({"sleeptime": {"model": "nameless"}}, "/sleeptime/model"),
        ({"sleeptime": {"model": "nowhere/large"}}, "/sleeptime/model"),
        ({"sleeptime": {"when": "now"}}, "/sleeptime/when"),
    ],
)
def test_buffer_and_sleeptime_are_validated(document: dict[str, object], path: str) -> None:
    """Bounds, their order, and a model that can be had."""
    assert set(faults({"id": "ann", "name": "Ann"} | document)) == {path}


@pytest.mark.parametrize(("length", "fits"), [(1023, True), (1024, False)])
def test_a_system_text_that_fills_the_context_window_is_refused(length: int, fits: bool) -> None:
    """There would be no room for a word; where nothing is known of the model, nothing is said."""
    document: dict[str, object] = {"id": "ann", "name": "Ann", "system": "s" * length}
    validated(document)
    if fits:
        validated(document | {"context_window": 256})
    else:
        told = "the text has about 256 tokens, the model takes 256 with all that is said"
        assert faults(document | {"context_window": 256}) == {"/system": told}


def test_the_sleeptime_model_is_the_agents_own_unless_it_says_so() -> None:
    """And the default one where it has none."""
    own = Agent(id="a", name="A", model="openai/day")
    assert Agent(id="a", name="A").sleeptime_model("simulated") == "simulated"
    assert own.sleeptime_model("simulated") == "openai/day"
    assert own.model_copy(update={"sleeptime": Sleeptime(model="openai/night")}).sleeptime_model("s") == "openai/night"


def test_a_run_may_take_more_steps_than_a_call_unless_the_agent_says() -> None:
    """Nobody waits on the line."""
    assert (Agent(id="a", name="A").max_steps, Agent(id="a", name="A").run_steps) == (10, 50)
    assert Agent(id="a", name="A", max_steps=7).run_steps == 7
