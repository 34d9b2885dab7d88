"""Providers' errors in all shapes, as plain sentences without keys."""

from typing import Any

import pytest

from voice_agent.events import ModelFailed
from voice_agent.llm import faults
from voice_agent.llm.faults import ProviderError


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"error": {"message": "m", "code": "c", "type": "t", "param": "p"}}, ProviderError("m", "c", "t", "p")),
        ({"error": {"message": "m", "code": 503, "param": None}}, ProviderError("m", "503")),
        ({"error": "m"}, ProviderError("m")),
        ({"error": {"error": {"message": "m"}}}, ProviderError("m")),
        ({"object": "error", "message": "m", "code": 400}, ProviderError("m", "400")),
        ({"detail": "m"}, ProviderError("m")),
        ([{"error": {"message": "m"}}], ProviderError("m")),
        ({"choices": []}, None),
        ([], None),
        ("m", None),
    ],
)
def test_shapes(body: Any, error: ProviderError | None) -> None:
    """Each server's way to say that something is wrong is read."""
    assert faults.read_error(body) == error


def test_body_that_is_no_json() -> None:
    """A proxy's HTML page says nothing, nor do words in another encoding, or arrays without end."""
    for body in (b"<html>", b'{"error":{"message":"caf\xe9"}}', b'{"error":' + b"[" * 5000 + b"]" * 5000 + b"}"):
        assert faults.read_body(body) == ProviderError()


@pytest.mark.parametrize(
    ("status", "error", "text", "retryable"),
    [
        (400, ProviderError("Bad\n thing"), "p refused the request (HTTP 400): Bad thing", False),
        (401, ProviderError("Incorrect key: abc"), "p refused the API key (HTTP 401)", False),
        (402, ProviderError(), "p says that the account has no credit left (HTTP 402)", False),
        (403, ProviderError(), "p refused access (HTTP 403)", False),
        (404, ProviderError(), "p does not know the model or the address (HTTP 404)", False),
        (408, ProviderError(), "p refused the request (HTTP 408)", True),
        (409, ProviderError(), "p refused the request (HTTP 409)", True),
        (429, ProviderError("slow"), "p limits the rate of requests (HTTP 429)", True),
        (429, ProviderError("x", "insufficient_quota"), "p says that the account has no credit left (HTTP 429)", False),
        (503, ProviderError(), "p has a fault of its own (HTTP 503)", True),
        (503, ProviderError("x", "server_is_overloaded"), "p is overloaded (HTTP 503)", True),
        (503, ProviderError("Overloaded"), "p is overloaded (HTTP 503)", True),
        (529, ProviderError("Overloaded", "", "overloaded_error"), "p is overloaded (HTTP 529)", True),
    ],
)
def test_statuses(status: int, error: ProviderError, text: str, retryable: bool) -> None:
    """What happened, who, which status, and whether trying again may help."""
    assert faults.http_fault("p", status, error, None) == ModelFailed(text, retryable)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({b"retry-after": b"7"}, 7.0),
        ({b"retry-after": b" 1.5 "}, 1.5),
        ({b"retry-after": b"2", b"retry-after-ms": b"250"}, 0.25),
        ({b"retry-after": b"soon"}, None),
        ({b"retry-after": b"-1"}, None),
        ({b"retry-after": b"1e9"}, None),
        ({b"retry-after": "٣".encode()}, None),
        ({b"retry-after": b"Sat, 21 Nov 2026 17:00:30 GMT", b"date": b"Sat, 21 Nov 2026 17:00:00 GMT"}, 30.0),
        ({b"retry-after": b"Sat, 21 Nov 2026 16:00:00 GMT", b"date": b"Sat, 21 Nov 2026 17:00:00 GMT"}, 0.0),
        ({b"retry-after": b"Sat, 21 Nov 2026 17:00:30 GMT"}, None),
        ({b"retry-after": b"Sat, 21 Nov 2026 17:00:30 GMT", b"date": b"Sat, 21 Nov 2026 17:00:00 -0000"}, None),
    ],
)
def test_when_to_come_again(headers: dict[bytes, bytes], seconds: float | None) -> None:
    """Seconds, milliseconds, or a date by the provider's own clock; anything else says nothing."""
    assert faults.read_retry_after(headers) == seconds


@pytest.mark.parametrize(
    "leak", ["sk-proj-abc_DEF123", "gsk_0a1b2c3d", "AIzaSyA-1234", "my-sh***key", "Bearer abc", "k3y", "f" * 40]
)
def test_nothing_like_a_key_is_quoted(leak: str) -> None:
    """The key itself and whatever looks like one are masked."""
    failure = faults.http_fault("p", 400, ProviderError(f"wrong key {leak}, sorry"), "k3y")
    assert leak not in failure.error
    assert failure.error.startswith("p refused the request (HTTP 400): wrong key ***")


@pytest.mark.parametrize(
    ("kind", "retryable"), [("overloaded_error", True), ("api_error", True), ("not_found_error", False)]
)
def test_inside_a_stream(kind: str, retryable: bool) -> None:
    """An error after HTTP 200 says whether trying again may help."""
    failure = faults.stream_fault("p", ProviderError("Sorry", type=kind), None)
    assert failure == ModelFailed("p failed in the middle of its reply: Sorry", retryable)


@pytest.mark.parametrize(
    "error",
    [
        ProviderError("m", "context_length_exceeded", "invalid_request_error", "messages"),
        ProviderError("prompt is too long: 210000 tokens > 200000 maximum", type="invalid_request_error"),
        ProviderError("This model's maximum context length is 8192 tokens. However, you requested 9000.", "400"),
        ProviderError("Your input exceeds the context window of this model."),
        ProviderError("the request exceeds the available context size (4096 tokens)", type="exceed_context_size_error"),
        ProviderError("The input token count (9) exceeds the maximum number of tokens allowed (8)."),
    ],
)
def test_a_request_that_was_too_long(error: ProviderError) -> None:
    """Whatever the provider's words, as a refusal and in a stream; trying the same again would not help."""
    wanted = ModelFailed("p says that the conversation is too long for the model", overflow=True)
    assert faults.http_fault("p", 400, error, None) == wanted
    assert faults.stream_fault("p", error, None) == wanted


@pytest.mark.parametrize("words", ["max_tokens is too large: 9000", "messages: too long", "Unknown parameter: context"])
def test_other_refusals_are_no_overflow(words: str) -> None:
    """Cutting the conversation would not help against them."""
    assert not faults.http_fault("p", 400, ProviderError(words), None).overflow


def test_another_api() -> None:
    """The words name what was expected and what to check."""
    assert faults.foreign("p", "Chat Completions") == ModelFailed(
        "p does not answer as Chat Completions does: check its address and its `api` setting"
    )


def test_long_messages_are_shortened() -> None:
    """A dump is not passed on."""
    assert len(faults.http_fault("p", 400, ProviderError("word " * 100), None).error) < 250
