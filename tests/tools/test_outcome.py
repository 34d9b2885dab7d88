"""Results and exceptions as the model reads them."""

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from voice_agent.tools.outcome import as_text, cut, sentence


@dataclass
class Point:
    x: int
    note: str


class Row(msgspec.Struct):
    id: int


class Form(BaseModel):
    when: datetime


class Odd:
    def __str__(self) -> str:
        return "odd one"


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no")


LOOP: list[object] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (None, "done"),
        ("", ""),
        ("as it {is}", "as it {is}"),
        ("lone \ud800", "lone \ufffd"),
        (True, "true"),
        (3, "3"),
        (["é", 1, None], '["é",1,null]'),
        ({"a": {1: 2}}, '{"a":{"1":2}}'),
        ((1, 2), "[1,2]"),
        (Point(1, "é"), '{"x":1,"note":"é"}'),
        (Row(7), '{"id":7}'),
        (Form(when=datetime(2026, 1, 2, tzinfo=UTC)), '{"when":"2026-01-02T00:00:00Z"}'),
        ([Row(1), Odd()], '[{"id":1},"odd one"]'),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (b"gr\xfc\xdfe \xc3\xa9", "gr\ufffd\ufffde é"),
        ({"raw": b"\xff!"}, '{"raw":"\ufffd!"}'),
        ({"lone": "\udfff"}, '{"lone":"\ufffd"}'),
        (Odd(), "odd one"),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        (Mute(), "an unprintable Mute"),
        (LOOP, "[[...]]"),
    ],
)
def test_any_result_becomes_text(result: object, text: str) -> None:
    """Text is left alone, data becomes JSON, and what is neither is printed."""
    assert as_text(result) == text


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (ValueError("no such\n  street"), "ValueError: no such street"),
        (KeyError("x"), "KeyError: 'x'"),
        (TimeoutError(), "TimeoutError"),
        (RuntimeError(Mute()), "RuntimeError: an unprintable RuntimeError"),
    ],
)
def test_an_exception_becomes_a_sentence(fault: BaseException, text: str) -> None:
    """Its type and its message, on one line."""
    assert sentence(fault) == text


@pytest.mark.parametrize(
    "message",
    [
        "401 for Authorization: Bearer HUSH1234.abc-def",
        "GET https://x.test/?api_key=HUSH1234&q=1",
        'refused {"access_token": "HUSH1234"}',
        "password = HUSH1234",
        "cannot reach redis://user:HUSH1234@host/0",
        "cannot reach redis://:HUSH1234@host/0",
        "bad key sk-HUSH1234HUSH1234",
        "Incorrect API key provided: sk_HUSH1234HUSH1234",
    ],
)
def test_secrets_are_masked(message: str) -> None:
    """Keys, tokens and passwords of well-known shapes do not reach the model."""
    said = sentence(RuntimeError(message))
    assert "HUSH" not in said
    assert "***" in said


def test_a_long_exception_is_cut() -> None:
    """A message of a megabyte is not handed on."""
    assert len(sentence(RuntimeError("x" * 1_000_000))) < 1_100


@settings(deadline=None)
@given(st.text(max_size=60), st.integers(1, 50))
def test_a_cut_says_how_much_is_missing(text: str, limit: int) -> None:
    """Text within the limit is untouched; of longer text the beginning stays, and the rest is counted."""
    found = cut(text, limit)
    if len(text) <= limit:
        assert found == text
    else:
        assert found == f"{text[:limit]}\n[cut: {len(text) - limit} more characters]"
