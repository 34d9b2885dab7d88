"""The file that names the MCP servers, in the shape that other MCP clients read too, with a few fields of our own."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from voice_agent.config import ConfigError, environment

_SETTING = "VOICE_MCP_SERVERS"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,22}[A-Za-z0-9])?")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Stdio(msgspec.Struct, frozen=True):
    """A server that is a process of ours. `env` is all it sees of the environment besides HOME, PATH and the like."""

    command: str
    args: tuple[str, ...]
    env: dict[str, str]
    cwd: str | None


class Http(msgspec.Struct, frozen=True):
    """A server that is reached by streamable HTTP; `headers` go with every request."""

    url: str
    headers: dict[str, str]


class Definition(msgspec.Struct, frozen=True):
    """One server, its secrets filled in. `tools`: those of its tools that are offered; None: all.

    `timeout_s` seconds is what a call may take. `effects` and `say`, by the server's name of a tool, stand over what
    the server says of it.
    """

    name: str
    place: Stdio | Http
    tools: frozenset[str] | None = None
    timeout_s: float = 15.0
    effects: Mapping[str, Literal["none", "irreversible"]] = {}
    say: Mapping[str, bool] = {}


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A server as the file has it."""

    type: Literal["stdio", "http", "streamable-http"] | None = None
    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = {}
    tools: frozenset[str] | None = None
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 15.0
    effects: dict[str, Literal["none", "irreversible"]] = {}
    say: dict[str, bool] = {}


class _File(msgspec.Struct, frozen=True):
    servers: dict[str, msgspec.Raw] = msgspec.field(name="mcpServers")


def read_definitions(path: Path) -> tuple[Definition, ...]:
    """The servers of a file, in its order, `${NAME}` in `env`, `headers` and `url` taken from the environment.

    Raises ConfigError naming file, server and field or variable.
    """
    try:
        file = msgspec.json.decode(path.expanduser().read_bytes(), type=_File)
    except OSError as fault:
        raise ConfigError(f"{_SETTING}: {path} cannot be read: {fault.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{_SETTING}: {path}: {fault}") from None
    try:
        return tuple(_definition(name, raw) for name, raw in file.servers.items())
    except ConfigError as fault:
        raise ConfigError(f"{_SETTING}: {path}: {fault}") from None


def _definition(name: str, raw: msgspec.Raw) -> Definition:
    # "__" divides a server's name from its tool's: no two servers may come to the same name.
    if not _NAME.fullmatch(name) or "__" in name:
        raise ConfigError(
            f"the server name {name!r} must be 1 to 24 of A-Z, a-z, 0-9, _ and -, begin and end with a letter or "
            "digit, and hold no double _"
        )
    try:
        entry = msgspec.json.decode(raw, type=_Entry)
    except msgspec.ValidationError as fault:
        raise ConfigError(f"server {name!r}: {fault}") from None
    return Definition(name, _place(name, entry), entry.tools, entry.timeout_s, entry.effects, entry.say)


def _place(name: str, entry: _Entry) -> Stdio | Http:
    if (entry.command is None) == (entry.url is None):
        raise ConfigError(f"server {name!r} needs a command or a url, and not both")
    if entry.command is not None:
        if entry.headers or entry.type not in (None, "stdio"):
            raise ConfigError(f"server {name!r} has a command, so it takes no headers, and its type is stdio")
        if not entry.command:
            raise ConfigError(f"server {name!r}: command is empty")
        return Stdio(entry.command, entry.args, _filled(name, "env", entry.env), entry.cwd)
    if entry.args or entry.env or entry.cwd or entry.type == "stdio":
        raise ConfigError(f"server {name!r} has a url, so it takes no args, env or cwd, and its type is not stdio")
    url = _filled(name, "url", {"url": entry.url or ""})["url"]
    if not _is_http(url):
        raise ConfigError(f"server {name!r}: url is no http or https URL")
    headers = _filled(name, "headers", entry.headers)
    if wrong := [
        key for key, value in headers.items() if not (key + value).isascii() or not (key + value).isprintable()
    ]:
        raise ConfigError(f"server {name!r}: headers: {wrong[0]!r} holds a character that no header has")
    return Http(url, headers)


def _filled(name: str, field: str, values: dict[str, str]) -> dict[str, str]:
    def variable(found: re.Match[str]) -> str:
        value = environment(found[1])
        if value is None:
            raise ConfigError(f"server {name!r}: {field} needs the environment variable {found[1]}, which is not set")
        return value

    return {key: _VARIABLE.sub(variable, value) for key, value in values.items()}


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
