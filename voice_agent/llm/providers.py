"""The providers that can be asked: OpenAI and Anthropic, and those that a file of the user's names."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from voice_agent.config import ConfigError, Settings, environment
from voice_agent.llm.capabilities import Api, Capability
from voice_agent.llm.wire import Auth, Endpoint


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table of the file. `key_env` names the environment variable that holds the key; none: no key is sent.

    `api` is what it speaks by default, `auth` the header the key goes in (Azure: `api-key`), `query` what every URL
    ends in. `models` holds fields of `Capability` by model, for what a server cannot tell.
    """

    url: str
    key_env: str | None = None
    api: Api = "chat"
    auth: Auth | None = None
    query: dict[str, str] = {}
    models: dict[str, dict[str, Any]] = {}

    def endpoint(self, name: str, key: str | None) -> Endpoint:
        """Where it listens. Messages' paths begin with their version, so a URL may end in it or not."""
        url = self.url.rstrip("/")
        if self.api == "messages":
            url = url.removesuffix("/v1")
        auth = self.auth or ("x-api-key" if self.api == "messages" else "bearer")
        return Endpoint(name, url, key, auth, tuple(self.query.items()), self.api)


def read_providers(settings: Settings) -> dict[str, Provider]:
    """The providers by name; a table of the file replaces a built-in one. Raises ConfigError naming file and field."""
    builtin = {
        "openai": Provider(url=settings.openai_base_url, key_env="OPENAI_API_KEY"),
        "anthropic": Provider(url=settings.anthropic_base_url, key_env="ANTHROPIC_API_KEY", api="messages"),
    }
    return {**builtin, **_read(settings.providers)} if settings.providers is not None else builtin


def key_of(provider: Provider, settings: Settings) -> str | None:
    """The provider's key, if it is set."""
    match provider.key_env:
        case None:
            return None
        case "OPENAI_API_KEY":
            return settings.openai_api_key
        case "ANTHROPIC_API_KEY":
            return settings.anthropic_api_key
        case name:
            return environment(name)


def fault_of(name: str, provider: Provider, key: str | None) -> str | None:
    """Why this provider cannot be asked (which setting is missing or wrong), or None."""
    source = provider.key_env
    if source is not None:
        if not key:
            return f"{name} needs an API key: set {source} (any text for a server that asks for none)"
        if not (key.isascii() and key.isprintable()) or " " in key:
            return f"{source} holds a character that no key has (a space, a line break, a letter outside ASCII)"
    if not _is_http(provider.url):
        setting = {"OPENAI_API_KEY": "OPENAI_BASE_URL", "ANTHROPIC_API_KEY": "ANTHROPIC_BASE_URL"}.get(source or "")
        return f"{setting or 'the url of provider ' + name.partition('/')[0]} is no http or https URL"
    return None


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _read(path: Path) -> Mapping[str, Provider]:
    try:
        tables = tomllib.loads(path.expanduser().read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise ConfigError(f"VOICE_PROVIDERS: {path} cannot be read: {fault}") from None
    try:
        providers = msgspec.convert(tables, dict[str, Provider])
        for provider in providers.values():
            msgspec.convert(provider.models, dict[str, Capability])
    except msgspec.ValidationError as fault:
        raise ConfigError(f"VOICE_PROVIDERS: {path}: {fault}") from None
    return providers
