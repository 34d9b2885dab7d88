"""Where the gateway is that is loaded, and what to say of one that refuses. Pure."""

from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

import msgspec

_SECURE = {"http": False, "https": True, "ws": False, "wss": True}


class Address(msgspec.Struct, frozen=True):
    """Where a gateway is (http, https, ws or wss), an agent of its, and an API key or None."""

    url: str
    agent: str
    key: str | None

    def session(self, user: str) -> str:
        """The WebSocket address of a user's session."""
        path = f"/v1/agents/{quote(self.agent, safe='')}/session?{urlencode({'user': user})}"
        return self._at("ws") + path

    def provider(self) -> str:
        """The base URL of its Chat Completions."""
        return self._at("http") + "/v1"

    def fault(self) -> str | None:
        """Why it is no address, or None."""
        try:
            parts = urlsplit(self.url)
            named = parts.hostname is not None and parts.port != 0
        except ValueError:
            named = False
        if not named or parts.scheme not in _SECURE:
            return f"--url: {self.url!r} is no address of a gateway; it looks like ws://127.0.0.1:8080"
        base, _, inside = parts.path.partition("/v1/")
        if not (inside or parts.query or parts.fragment):
            return None
        kind, _, rest = inside.partition("/")
        agent = f" --agent {unquote(rest.partition('/')[0])}" if kind == "agents" and rest else ""
        better = urlunsplit((parts.scheme, parts.netloc, base, "", ""))
        return f"--url: {self.url!r} is more than the address of a gateway; give --url {better}{agent}"

    def _at(self, scheme: str) -> str:
        parts = urlsplit(self.url)
        path = parts.path.rstrip("/").removesuffix("/v1")
        return urlunsplit((scheme + "s" * _SECURE[parts.scheme], parts.netloc, path, "", ""))


def refusal(status: int, body: bytes) -> str:
    """What to say of a request that was refused."""
    try:
        detail = str(msgspec.json.decode(body)["detail"])
    except (msgspec.DecodeError, KeyError, TypeError):
        detail = "no reason given"
    hint = {401: "; give a key with --key", 404: "; --agent names the agent"}.get(status, "")
    return f"the gateway refused ({status}): {detail}{hint}"
