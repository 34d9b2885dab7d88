"""The providers that can be asked: OpenAI and Anthropic, and those that a file of the user's names."""

import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from voice_agent.config import ConfigError, Settings, environment
from voice_agent.llm.capabilities import Api, Capability
from voice_agent.llm.wire import Auth, Endpoint

_NAME = re.compile(r"[A-Za-z0-9_-]+")  # as an agent's `model` may begin
T = TypeVar("T")


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
    """The providers by name; a table of the file replaces a built-in one. Raises ConfigError naming file and fields."""
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
    # The file's URLs were looked at when it was read: this one is of a built-in provider.
    wrong = _url_fault(provider.url)
    return f"{'ANTHROPIC' if provider.api == 'messages' else 'OPENAI'}_BASE_URL {wrong}" if wrong else None


def _url_fault(url: str) -> str | None:
    """What keeps paths from being added to a URL, or None."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if sound and "@" in parts.netloc:
        return "may not hold a user or a password: a key goes where `key_env` says"
    if not sound or not url.isascii() or not url.isprintable() or " " in url:
        return "is no http or https URL"
    return "may not end in a query or a fragment" if parts.query or parts.fragment else None


def _read(path: Path) -> dict[str, Provider]:
    try:
        tables = tomllib.loads(path.expanduser().read_text("utf-8"))
    except (OSError, ValueError, RuntimeError) as fault:  # the last: `~` of nobody
        why = fault.strerror if isinstance(fault, OSError) else fault
        raise ConfigError(f"VOICE_PROVIDERS: {path} cannot be read: {why}") from None
    providers, faults = {}, []
    for name, table in tables.items():
        try:
            providers[name] = _provider(name, table)
        except ValueError as fault:
            faults.append(str(fault))
    if faults:
        raise ConfigError(f"VOICE_PROVIDERS: {path}: {'; '.join(faults)}")
    return providers


def _provider(name: str, table: Any) -> Provider:
    """Raises ValueError naming the table, and what in it is wrong."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"[{name}]: a provider's name consists of letters, digits, _ and -")
    provider = _converted(table, Provider, name)
    if wrong := _url_fault(provider.url):
        raise ValueError(f"[{name}]: `url` {wrong}")
    for model, fields in provider.models.items():
        capability = _converted(fields, Capability, f'{name}.models."{model}"')
        if "api" in fields and "messages" in {capability.api, provider.api} and capability.api != provider.api:
            raise ValueError(f'[{name}.models."{model}"]: Messages has an address of its own, so a table of its own')
    return provider


def _converted(table: Any, kind: type[T], where: str) -> T:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as fault:
        raise ValueError(f"[{where}]: {fault}") from None
