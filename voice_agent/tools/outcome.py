"""A tool's outcome in words for the model: any result as text, any exception as one sentence, neither too long."""

import json
import re
from typing import Any

import msgspec
from pydantic import BaseModel

from voice_agent.tools.secrets import NO_SECRETS, Secrets
from voice_agent.utterance import well_formed

_LONGEST_FAULT = 1000
_SHAPES = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 ***"),
    (
        re.compile(
            r"(?i)((?:api[-_]?key|token|secret|passw(?:or)?d|signature|credential)\w*[\"']?\s*[:=]\s*[\"']?)[^\s\"',;&)]+"
        ),
        r"\1***",
    ),
    (re.compile(r"://[^/\s:@]*:[^/\s@]+@"), "://***@"),
    (re.compile(r"\b(?:sk|pk|rk|ghp|xox[a-z])[-_][\w-]{12,}"), "***"),
)


def as_text(result: object) -> str:
    """What the model reads of a result: text as it is, nothing as "done", all else as JSON, or as Python prints it.

    Never raises: the tool has had its effect by now, and an error would have the model try again.
    """
    if result is None:
        return "done"
    if isinstance(result, str):
        return well_formed(result)
    try:
        plain = msgspec.to_builtins(
            result, builtin_types=(bytes, bytearray, memoryview), str_keys=True, enc_hook=_plain
        )
        if not isinstance(plain, str | bytes | bytearray | memoryview):
            plain = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), default=_plain)
        return well_formed(_plain(plain))
    except Exception:  # noqa: BLE001 - whatever a foreign object does when it is written down
        return printed(result)


def sentence(fault: BaseException, secrets: Secrets = NO_SECRETS) -> str:
    """An exception's type and message on one line, `secrets` and those of well-known shapes masked, no traceback."""
    message = one_line(secrets.masked(printed(fault)))
    return f"{type(fault).__name__}: {message}" if message else type(fault).__name__


def one_line(text: str) -> str:
    """`text` without line breaks, cut to what a log line holds, secrets of well-known shapes masked."""
    line = cut(" ".join(text.split()), _LONGEST_FAULT)
    for pattern, mask in _SHAPES:
        line = pattern.sub(mask, line)
    return line


def cut(text: str, limit: int) -> str:
    """`text`, or its first `limit` characters and a note of how many are missing."""
    return text if len(text) <= limit else f"{text[:limit]}\n[cut: {len(text) - limit} more characters]"


def _plain(value: Any) -> Any:
    """A value that msgspec or json do not know, in a form that they do."""
    match value:
        case bytes() | bytearray() | memoryview():
            return bytes(value).decode("utf-8", "replace")
        case BaseModel():
            return value.model_dump(mode="json")
        case _:
            return str(value)


def printed(value: object) -> str:
    """A value as Python prints it. Never raises."""
    try:
        return well_formed(str(value))
    except Exception:  # noqa: BLE001 - `__str__` is foreign code too
        return f"an unprintable {type(value).__name__}"
