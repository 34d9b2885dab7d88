"""Settings that are more than a word or a number."""

from typing import Any

import pytest

from voice_agent.config import ConfigError, Settings, read_settings


@pytest.mark.parametrize(
    ("given", "model"),
    [
        ({}, "simulated"),
        ({"openai_api_key": "", "anthropic_api_key": ""}, "simulated"),
        ({"anthropic_api_key": "k"}, "anthropic/claude-haiku-4-5"),
        ({"anthropic_api_key": "k", "openai_api_key": "k"}, "openai/gpt-6-luna"),
        ({"anthropic_api_key": "k", "model": "simulated"}, "simulated"),
    ],
)
def test_the_default_model_is_of_who_has_a_key(given: dict[str, str], model: str) -> None:
    """OpenAI first; what is named stands over all keys."""
    unset: dict[str, Any] = {"openai_api_key": None, "anthropic_api_key": None, "model": None}
    assert Settings(**{**unset, **given}).default_model == model


def test_allowed_hosts_are_listed_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, addresses and networks."""
    monkeypatch.setenv("VOICE_ALLOWED_HOSTS", "hooks.internal, 127.0.0.1,10.0.0.0/8 , fd00::/8,")
    assert read_settings().allowed_hosts == ("hooks.internal", "127.0.0.1", "10.0.0.0/8", "fd00::/8")
    monkeypatch.delenv("VOICE_ALLOWED_HOSTS")
    assert read_settings().allowed_hosts == ()


@pytest.mark.parametrize("wrong", ["10.0.0.0/40", "localhost:8080", "http://localhost", "10.0.0.", "a b", "*.internal"])
def test_what_names_no_host_is_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable's name."""
    monkeypatch.setenv("VOICE_ALLOWED_HOSTS", f"localhost,{wrong}")
    with pytest.raises(ConfigError, match="VOICE_ALLOWED_HOSTS"):
        read_settings()


def test_tool_modules_are_listed_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once; what is given on the command line stands over them."""
    monkeypatch.setenv("VOICE_TOOLS", "shop, shop.stock,shop,")
    assert read_settings().tools == ("shop", "shop.stock")
    assert read_settings(tools=["other"]).tools == ("other",)


@pytest.mark.parametrize("wrong", ["./shop", "shop/stock", "a b", ".shop", "shop.", "1shop", "shop-stock"])
def test_what_names_no_module_is_refused(wrong: str) -> None:
    """Before anything is imported."""
    with pytest.raises(ConfigError, match=r"VOICE_TOOLS: .* is no name of a module"):
        read_settings(tools=[wrong])
