"""Where a gateway is, what is no address of one, and what is said of a refusal."""

import pytest

from gateway.bench.where import Address, refusal


@pytest.mark.parametrize(
    ("url", "session", "provider"),
    [
        ("ws://host:1", "ws://host:1/v1/agents/a%2Fb/session?user=u", "http://host:1/v1"),
        ("https://host/base/", "wss://host/base/v1/agents/a%2Fb/session?user=u", "https://host/base/v1"),
        ("http://host:1/v1", "ws://host:1/v1/agents/a%2Fb/session?user=u", "http://host:1/v1"),
    ],
)
def test_one_address_serves_both_protocols(url: str, session: str, provider: str) -> None:
    """Given with either's scheme."""
    address = Address(url, "a/b", None)
    assert address.fault() is None
    assert (address.session("u"), address.provider()) == (session, provider)


@pytest.mark.parametrize("url", ["", "host:8080", "ftp://host", "ws://", "ws://host:port", "ws://host:99999"])
def test_what_is_no_address_is_told_before_the_run(url: str) -> None:
    """With the option's name, and what one looks like."""
    assert str(Address(url, "a", None).fault()).startswith(f"--url: {url!r} is no address of a gateway")


def test_a_refusal_without_words_is_still_told() -> None:
    """Whatever its body is."""
    for body in (b"", b"<html>", b"[]", b"{}"):
        assert refusal(503, body) == "the gateway refused (503): no reason given"


@pytest.mark.parametrize(
    ("url", "better"),
    [
        ("ws://host:1/v1/agents/demo/session?user=ada", "--url ws://host:1 --agent demo"),
        ("https://host/base/v1/agents/a%20b", "--url https://host/base --agent a b"),
        ("http://host/v1/chat/completions", "--url http://host"),
        ("ws://host:1?user=ada", "--url ws://host:1"),
    ],
)
def test_more_than_an_address_is_refused_with_what_to_give(url: str, better: str) -> None:
    """Nothing of it would be heeded."""
    told = Address(url, "a", None).fault()
    assert told == f"--url: {url!r} is more than the address of a gateway; give {better}"
