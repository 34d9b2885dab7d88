"""Where servers listen: a fault names the setting to change."""

import re
import socket

import pytest

from gateway.address import listen, url_of
from voice_agent.config import ConfigError


def test_port_0_takes_a_free_one() -> None:
    """The socket listens: a client gets through before anybody accepts."""
    with listen("127.0.0.1", 0) as bound:
        address = bound.getsockname()
        assert address[1] > 0
        socket.create_connection(address).close()


@pytest.mark.parametrize(("host", "setting"), [("no host", "VOICE_HOST"), ("203.0.113.7", "VOICE_HOST")])
def test_a_host_that_is_not_ours_is_named(host: str, setting: str) -> None:
    """Unknown names and addresses of other machines."""
    with pytest.raises(ConfigError, match=re.escape(host)) as caught:
        listen(host, 0)
    assert str(caught.value).startswith(setting)


def test_a_taken_port_is_named() -> None:
    """The message says what to do."""
    with listen("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"^VOICE_PORT: 127\.0\.0\.1:{port} is taken .*--port$"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("10.1.2.3", "http://10.1.2.3:80"),
        ("localhost", "http://localhost:80"),
    ],
)
def test_the_url_is_one_that_this_machine_can_use(host: str, url: str) -> None:
    """The unspecified address becomes loopback; IPv6 gets its brackets."""
    assert url_of(host, 80) == url
