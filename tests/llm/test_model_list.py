"""What lists of models tell: the real shapes of providers, and whatever else a server may answer."""

from typing import Any

import msgspec
import pytest
from anthropic.types import ModelInfo

from voice_agent.llm.capabilities import Capabilities
from voice_agent.llm.model_list import read_models

YES, NO = {"supported": True}, {"supported": False}


def listed(*models: dict[str, Any]) -> bytes:
    """A list as every provider has it."""
    return msgspec.json.encode({"object": "list", "data": models})


def anthropic_model(name: str, *ways: str) -> dict[str, Any]:
    """A model that takes these ways of thinking, as the real SDK's types have it."""
    types = {way: YES if way in ways else NO for way in ("adaptive", "between_tools", "disabled", "enabled")}
    capabilities = {
        **dict.fromkeys(
            ("batch", "citations", "code_execution", "image_input", "pdf_input", "structured_outputs"), YES
        ),
        "context_management": YES,
        "effort": {"high": YES, "low": YES, "max": NO, "medium": YES, "supported": True},
        "server_tools": {"code_execution": YES, "supported": True, "web_search": YES},
        "thinking": {"supported": bool(ways), "types": types},
    }
    told = ModelInfo.model_validate(
        {
            "id": name,
            "type": "model",
            "display_name": name,
            "created_at": "2026-10-21T00:00:00Z",
            "lifecycle": "active",
            "max_input_tokens": 1_000_000,
            "max_tokens": 128_000,
            "capabilities": capabilities,
        }
    )
    return told.model_dump(mode="json")


@pytest.mark.parametrize(
    ("ways", "off"),
    [
        ((), "omit"),
        (("adaptive", "enabled", "disabled"), "disabled"),
        (("adaptive", "between_tools"), "between_tools"),
        (("adaptive",), "impossible"),
    ],
)
def test_anthropic_tells_its_limits_and_how_not_to_think(ways: tuple[str, ...], off: str) -> None:
    """And a record takes it as it is."""
    told = read_models(listed(anthropic_model("claude-x", *ways)))
    assert told == {"claude-x": {"context_window": 1_000_000, "max_output": 128_000, "thinking_off": off}}
    capabilities = Capabilities()
    capabilities.tell("u", "messages", told)
    record = capabilities.of("u", "claude-x", "messages")
    assert (record.api, record.sampling) == ("messages", False)
    assert (record.context_window, record.max_output, record.thinking_off) == (1_000_000, 128_000, off)


def test_anthropic_tells_which_models_take_no_schema() -> None:
    """Such a one is not sent any."""
    model = anthropic_model("claude-x")
    model["capabilities"]["structured_outputs"] = NO
    assert read_models(listed(model))["claude-x"]["refused"] == {"format"}


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ({"object": "model", "created": 1, "owned_by": "vllm", "max_model_len": 32_768}, {"context_window": 32_768}),
        (
            {"active": True, "context_window": 131_072, "max_completion_tokens": 32_768},
            {"context_window": 131_072, "max_output": 32_768},
        ),
        (
            {"context_length": 400_000, "supported_parameters": ["tools", "tool_choice", "max_tokens"]},
            {"context_window": 400_000, "refused": {"temperature", "reasoning_effort", "response_format"}},
        ),
        (
            {
                "context_length": 8192,
                "supported_parameters": ["temperature", "tool_choice", "reasoning", "structured_outputs"],
            },
            {"context_window": 8192, "refused": frozenset()},
        ),
        ({"object": "model", "created": 1, "owned_by": "openai"}, None),
    ],
    ids=["vllm", "groq", "openrouter", "openrouter-takes-all", "openai"],
)
def test_others_tell_what_they_tell(model: dict[str, Any], fields: dict[str, Any] | None) -> None:
    """A model of which only the name is told is left out."""
    assert read_models(listed({"id": "m", **model})) == ({} if fields is None else {"m": fields})


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"null", b"[]", b"{}", b'{"data":{}}', b'{"data":"x"}', b'{"data":[1,null,[],{},{"id":7}]}',
        b'{"data":"\xff"}', b"[" * 100_000, listed({"id": "m", "max_tokens": "many", "context_window": True}),
        listed({"id": "m", "max_tokens": 0, "max_model_len": -1, "context_length": 1.5}),
        listed({"id": "m", "supported_parameters": "all", "capabilities": ["thinking"]}),
        listed({"id": "m", "capabilities": {"thinking": {"types": ["adaptive"]}}}),
    ],
)  # fmt: skip
def test_garbage_tells_nothing(body: bytes) -> None:
    """Whatever a server answers, a call goes on."""
    assert read_models(body) == {}


def test_one_bad_model_does_not_hide_the_others() -> None:
    """Each is read for itself, and a field for itself."""
    body = listed({"id": "bad", "max_tokens": []}, {"id": "good", "max_tokens": 9, "context_window": None})
    assert read_models(body) == {"good": {"max_output": 9}}
