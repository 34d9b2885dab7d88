"""Settings: read from the environment once, frozen, passed in. Nothing else in the product reads the environment."""

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DEFAULT_OPENAI_URL = "https://api.openai.com/v1"
DEFAULT_ANTHROPIC_URL = "https://api.anthropic.com"

_SECRETS = ("API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "REDIS_URL")

_MODULE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_HOST = re.compile(r"[A-Za-z0-9._-]*[A-Za-z][A-Za-z0-9-]*[.]?")


class ConfigError(Exception):
    """A setting is wrong; the message names it and says what it takes."""


def _env(name: str, default: Any, **rules: Any) -> Any:
    """A setting read from `name` as it stands, outside the VOICE_ prefix too."""
    return Field(default=default, validation_alias=AliasChoices(name, name.lower()), **rules)


class Settings(BaseSettings):
    """Every setting there is, with its default. The environment name is VOICE_ and the field's, unless it is given."""

    model_config = SettingsConfigDict(env_prefix="VOICE_", frozen=True, extra="ignore", populate_by_name=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    data: Path = Path("~/.local/share/voice-agent-gateway")
    redis_url: str | None = _env("REDIS_URL", None)
    redis_bin: str | None = None
    allow_volatile: bool = False
    shards: int = Field(default=16, ge=1, le=16)
    api_key: str | None = Field(default=None, min_length=8, max_length=200, pattern="^[!-~]+$")
    model: str | None = None
    openai_api_key: str | None = _env("OPENAI_API_KEY", None)
    openai_base_url: str = _env("OPENAI_BASE_URL", DEFAULT_OPENAI_URL)
    anthropic_api_key: str | None = _env("ANTHROPIC_API_KEY", None)
    anthropic_base_url: str = _env("ANTHROPIC_BASE_URL", DEFAULT_ANTHROPIC_URL)
    providers: Path | None = None
    mcp_servers: Path | None = None
    agents: Path | None = None
    tools: Annotated[tuple[str, ...], NoDecode] = ()
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    simulated_first_token_ms: float = Field(default=150, ge=0)
    simulated_token_ms: float = Field(default=25, ge=0)
    lease_ms: int = Field(default=10_000, ge=100)
    resume_s: float = Field(default=60, ge=0)
    idle_s: float = Field(default=3600, gt=0)
    max_frame_bytes: int = Field(default=262_144, ge=1024)
    max_text_chars: int = Field(default=16_000, ge=1)
    max_frames_per_s: float = Field(default=50, gt=0)
    run_days: float = Field(default=7, gt=0)
    trace: bool = False
    sleeptime_jobs: int = Field(default=16, ge=1, le=1000)
    sleeptime_deliveries: int = Field(default=5, ge=1, le=16)
    sleeptime_lease_ms: int = Field(default=10_000, ge=100)
    sleeptime_job_s: float = Field(default=120, gt=0)
    sleeptime_grace_s: float = Field(default=1, ge=0)
    sleeptime_metrics_port: int | None = Field(default=None, ge=1, le=65535)
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _lists_hosts(cls, value: Any) -> tuple[str, ...]:
        entries = value.split(",") if isinstance(value, str) else value
        hosts = tuple(host for entry in entries if (host := entry.strip()))
        for host in hosts:
            if not _HOST.fullmatch(host):
                ip_network(host, strict=False)
        return hosts

    @field_validator("tools", mode="before")
    @classmethod
    def _lists_modules(cls, value: Any) -> tuple[str, ...]:
        entries = value.split(",") if isinstance(value, str) else value
        modules = tuple(dict.fromkeys(module for entry in entries if (module := entry.strip())))
        for module in modules:
            if not _MODULE.fullmatch(module):
                raise ValueError(f"{module!r} is no name of a module, as `shop` and `shop.tools` are (without .py)")
        return modules

    @property
    def default_model(self) -> str:
        """The model of agents that name none: OpenAI's or Anthropic's if there is a key, else the simulated one."""
        if self.model:
            return self.model
        if self.openai_api_key:
            return "openai/gpt-6-luna"
        # Their newer ones think unless they are told not to: silence, to a caller.
        return "anthropic/claude-haiku-4-5" if self.anthropic_api_key else "simulated"

    @property
    def data_dir(self) -> Path:
        """The data directory, with `~` resolved."""
        return self.data.expanduser().absolute()


def environment(name: str) -> str | None:
    """A variable that the user's own configuration names, such as a provider's key."""
    return os.environ.get(name)  # noqa: TID251 - the one reader of the environment


def tool_environment() -> dict[str, str]:
    """All that the process of an isolated tool sees of the environment."""
    kept = ("PATH", "HOME", "LANG")
    return {name: value for name, value in os.environ.items() if name in kept or name.startswith("PYTHON")}  # noqa: TID251


def inherited(**settings: str) -> dict[str, str]:
    """What a child process inherits of the environment: all but the product's own settings, and these."""
    ours = ("VOICE_", "REDIS_URL", "OPENAI_", "ANTHROPIC_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}  # noqa: TID251
    return kept | settings


def read_settings(**overrides: Any) -> Settings:
    """The environment's settings, with the command line's over them. Raises ConfigError naming every fault."""
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as fault:
        lines = []
        for error in fault.errors(include_url=False):
            name = str(error["loc"][0]) if error["loc"] else "settings"
            named = name if name.isupper() else f"VOICE_{name.upper()}"
            given = "" if name.upper() in _SECRETS else f" (given: {error['input']!r})"
            lines.append(f"{named}: {error['msg'].removeprefix('Value error, ')}{given}")
        raise ConfigError("; ".join(lines)) from None
