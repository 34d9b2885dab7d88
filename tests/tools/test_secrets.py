"""Secrets: not printed, and masked in whatever form they come back."""

import base64
import html
import json
import shlex
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice_agent.tools.secrets import NO_SECRETS, Secrets

ODD = 'a/<"key">\\with\nlines, it\'s 100 % ü'


def test_they_are_a_mapping_that_shows_names_only() -> None:
    """A tool reads them by name; a printed context tells nothing."""
    secrets = Secrets({"KEY": "HUSH-HUSH"})
    assert (secrets["KEY"], dict(secrets), len(secrets)) == ("HUSH-HUSH", {"KEY": "HUSH-HUSH"}, 1)
    assert (repr(secrets), str(secrets)) == ("Secrets(KEY)", "Secrets(KEY)")
    assert secrets == Secrets({"KEY": "HUSH-HUSH"}) != Secrets({"KEY": "other"})


@pytest.mark.parametrize(
    "text",
    [
        ODD, json.dumps(ODD), json.dumps(ODD, ensure_ascii=False), repr(ODD), quote(ODD, safe=""), urlencode({"": ODD}),
        " ".join(ODD.split()), quote(ODD), quote(ODD, safe="").lower(), shlex.quote(ODD), html.escape(ODD),
        base64.b64encode(ODD.encode()).decode(),
    ],
)  # fmt: skip
def test_a_value_is_masked_however_it_was_escaped(text: str) -> None:
    """As in JSON, Python, a URL, or on one line."""
    masked = Secrets({"K": ODD}).masked(f"it is {text}!")
    assert "key" not in masked
    assert "lines" not in masked
    assert "100" not in masked
    assert masked.startswith("it is ")
    assert "***" in masked


def test_a_short_value_is_masked_where_it_stands_alone() -> None:
    """A PIN of four digits is not torn out of a longer number."""
    assert Secrets({"PIN": "1234"}).masked("PIN 1234, order 512345, [1234]") == "PIN ***, order 512345, [***]"


def test_the_longer_of_two_values_is_masked_first() -> None:
    """Nothing of it is left standing."""
    assert Secrets({"A": "secret", "B": "secret-and-more"}).masked("secret-and-more secret") == "*** ***"


def test_without_a_secret_text_is_left_alone() -> None:
    """Also if there are secrets, and they are not in it."""
    assert NO_SECRETS.masked("fine") == "fine"
    assert Secrets({"K": base64.b64encode(b"x" * 30).decode()}).masked("fine") == "fine"


@settings(deadline=None)
@given(st.text(min_size=6, max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_long_value_survives(value: str, before: str, after: str) -> None:
    """Wherever it stands."""
    if value not in "***":
        assert value not in Secrets({"K": value}).masked(before + value + after).replace("***", "")
