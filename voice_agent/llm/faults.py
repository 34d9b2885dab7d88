"""What goes wrong at a provider, as a sentence fit for the client's eyes: no key, no raw body."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from voice_agent.events import ModelFailed

_FINAL_CODES = frozenset({
    "authentication_error", "billing_hard_limit_reached", "content_filter", "context_length_exceeded",
    "credit_balance_exhausted", "insufficient_quota", "invalid_api_key", "invalid_prompt", "invalid_request_error",
    "model_not_found", "not_found_error", "permission_error", "request_too_large",
})  # fmt: skip
_QUOTA = re.compile("quota|credit_balance|spend_limit|billing")
# As Anthropic, Messages proxies, vLLM, llama.cpp, Gemini and others write it, where they give no code of its own.
_TOO_LONG = re.compile(
    r"prompt is too long|maximum context length|exceeds? (?:the |its )?(?:available |maximum |model's )?context"
    r"|context (?:window|length|size) (?:is )?exceeded|input token count.{0,60}exceeds|too many input tokens",
    re.IGNORECASE,
)
_LIKE_A_KEY = re.compile(
    r"\b(?:sk|pk|gsk|xai|key|nvapi|AIza)[-_][\w*.-]+|\bAIza[\w-]+|\bBearer\s+\S+|\S*\*{3,}\S*|[\w-]{32,}"
)
_QUOTED_CHARS = 200
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")

NOT_JSON = (ValueError, RecursionError)
"""What reading JSON of a provider's may raise: it is none, no UTF-8, or nested without end."""


class ProviderError(msgspec.Struct, frozen=True):
    """The error a provider reported, in whichever shape it came."""

    message: str = ""
    code: str = ""
    type: str = ""
    param: str = ""


def read_error(body: Any) -> ProviderError | None:
    """The error in a decoded JSON body or stream chunk, or None if it holds none (facts/providers.md, section 3)."""
    if isinstance(body, list):
        body = body[0] if body else None
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if error is None and (body.get("object") == "error" or "detail" in body):
        error = body
    if error is None:
        return None
    if not isinstance(error, dict):
        return ProviderError(message=str(error))
    inner = error.get("error")
    if isinstance(inner, dict):
        error = inner
    return ProviderError(
        message=str(error.get("message") or error.get("detail") or ""),
        **{name: str(error[name]) for name in ("code", "type", "param") if error.get(name) is not None},
    )


def read_body(body: bytes) -> ProviderError:
    """The error in the body of a refusal; an empty one if it is no JSON."""
    try:
        return read_error(msgspec.json.decode(body)) or ProviderError()
    except NOT_JSON:
        return ProviderError()


def read_retry_after(headers: Mapping[bytes, bytes]) -> float | None:
    """Seconds until a provider wants to be asked again, by its headers (names in lower case); None if it says nothing.

    A date (RFC 9110, 10.2.3) is counted from the answer's own, so that nobody's clock has to be right.
    """
    told, factor = headers.get(b"retry-after-ms"), 0.001
    if told is None:
        told, factor = headers.get(b"retry-after"), 1.0
    if told is None:
        return None
    text = told.decode("latin-1").strip()
    if _SECONDS.fullmatch(text):
        return float(text) * factor
    try:
        sent = parsedate_to_datetime(headers.get(b"date", b"").decode("latin-1"))
        return max(0.0, (parsedate_to_datetime(text) - sent).total_seconds())
    except (ValueError, TypeError):  # the last: one of them names no time zone
        return None


def is_overflow(error: ProviderError) -> bool:
    """Whether the provider says that the request is longer than the model takes."""
    return "context_length_exceeded" in (error.code, error.type) or bool(_TOO_LONG.search(error.message))


def http_fault(provider: str, status: int, error: ProviderError, secret: str | None) -> ModelFailed:
    """The failure that an HTTP status stands for."""
    retryable = _is_transient(status, error)
    if status in (401, 403):
        # Never quoted: providers repeat parts of the key in these.
        return ModelFailed(f"{provider} refused {'the API key' if status == 401 else 'access'} (HTTP {status})")
    if _QUOTA.search(error.code) or _QUOTA.search(error.type) or status == 402:
        return ModelFailed(f"{provider} says that the account has no credit left (HTTP {status})")
    if status == 429:
        return ModelFailed(f"{provider} limits the rate of requests (HTTP 429)", retryable)
    if status == 529 or (status == 503 and "overloaded" in f"{error.code} {error.type} {error.message}".lower()):
        return ModelFailed(f"{provider} is overloaded (HTTP {status})", retryable)
    if status >= 500:
        return ModelFailed(f"{provider} has a fault of its own (HTTP {status})", retryable)
    if status in (400, 413, 422) and is_overflow(error):
        return overflow(provider)
    what = "does not know the model or the address" if status == 404 else "refused the request"
    return ModelFailed(f"{provider} {what} (HTTP {status}){_quote(error, secret)}", retryable)


def stream_fault(provider: str, error: ProviderError, secret: str | None) -> ModelFailed:
    """The failure that an error inside a stream stands for, whose HTTP status was 200."""
    status = int(error.code) if error.code.isdecimal() and len(error.code) == 3 else None
    if status is not None and status >= 400:
        return http_fault(provider, status, error, secret)
    if is_overflow(error):
        return overflow(provider)
    return ModelFailed(
        f"{provider} failed in the middle of its reply{_quote(error, secret)}", _is_transient(500, error)
    )


def overflow(provider: str) -> ModelFailed:
    """What was to be said and answered is more than the model takes at once."""
    return ModelFailed(f"{provider} says that the conversation is too long for the model", overflow=True)


def cut(provider: str) -> ModelFailed:
    """The stream ended before the reply did."""
    return ModelFailed(f"{provider} cut its reply off", retryable=True)


def garbled(provider: str) -> ModelFailed:
    """The stream held something that is no reply."""
    return ModelFailed(f"{provider} sent something that is no reply", retryable=True)


def foreign(provider: str, expected: str) -> ModelFailed:
    """The reply is in the shape of another API than the one that was asked, such as "Anthropic Messages"."""
    return ModelFailed(f"{provider} does not answer as {expected} does: check its address and its `api` setting")


def unreachable(provider: str, why: str) -> ModelFailed:
    """No answer came at all."""
    return ModelFailed(f"{provider} cannot be reached: {why}", retryable=True)


def _is_transient(status: int, error: ProviderError) -> bool:
    if {error.code, error.type} & _FINAL_CODES or _QUOTA.search(error.code) or _QUOTA.search(error.type):
        return False
    return status in (408, 409, 429) or status >= 500


def masked(text: str, secret: str | None) -> str:
    """The text without the key, and without whatever else looks like one."""
    return _LIKE_A_KEY.sub("***", text.replace(secret, "***") if secret else text)


def _quote(error: ProviderError, secret: str | None) -> str:
    text = masked(" ".join(error.message.split()), secret)
    if not text:
        return ""
    return f": {text[:_QUOTED_CHARS]}…" if len(text) > _QUOTED_CHARS else f": {text}"
