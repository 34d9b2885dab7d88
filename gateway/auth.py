"""Who may come in: API keys, client tokens, and the refusal to listen beyond this machine without a key."""

import hashlib
import hmac
import ipaddress
import re
import secrets
from typing import Literal
from urllib.parse import urlsplit

import jwt
import msgspec

from gateway.errors import Forbidden, InvalidRequest, Unauthorized
from voice_agent.agent import DEFAULT_USER, USER_PATTERN, Fault
from voice_agent.clock import Clock
from voice_agent.config import ConfigError
from voice_agent.store.base import Directory, KeyRow

# The store's secret signs other things too (resume tokens): the audience keeps one from passing for the other.
AUDIENCE = "client_token"


class NewKey(msgspec.Struct, frozen=True):
    """A key just made. `key` is shown to its owner now and never again: only its hash is kept."""

    id: str
    key: str


class Keys:
    """The API keys kept in the store, as SHA-256 of the whole key: 256 random bits need no slower hash."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    async def create(self, name: str) -> NewKey:
        """A new key, `vg_<id>_<secret>`, valid from now on."""
        key_id = secrets.token_hex(6)
        key = f"vg_{key_id}_{secrets.token_urlsafe(32)}"
        await self._directory.add_key(KeyRow(key_id, name, _hash(key), self._clock.wall()))
        return NewKey(key_id, key)

    async def list(self) -> tuple[KeyRow, ...]:
        """All keys, oldest first, without what would open a door."""
        return await self._directory.list_keys()

    async def revoke(self, key_id: str) -> bool:
        """Shut a key out from the next request on. False if there is none of that id."""
        return await self._directory.revoke_key(key_id)


class Caller(msgspec.Struct, frozen=True):
    """Who was let in: anybody while the gateway is open, a key's holder, or a token's. A token binds agent and user."""

    kind: Literal["open", "key", "token"]
    agent: str | None = None
    user: str | None = None

    def manage(self) -> None:
        """Check the right to HTTP resources. Raises Forbidden for a client token: it opens sessions and no more."""
        if self.kind == "token":
            raise Forbidden("a client token opens sessions only; this needs an API key")

    def enter(self, agent: str, user: str | None) -> str:
        """The user (`?user=`, or the token's, or the default) of a session with an agent.

        Raises Forbidden if the token is for another agent or user, InvalidRequest if the user is no possible one.
        """
        if self.agent not in {None, agent}:
            raise Forbidden(f"this token is not for agent {agent!r}")
        if self.user is not None and user not in {None, self.user}:
            raise Forbidden("this token is for another user")
        chosen = user if user is not None else self.user or DEFAULT_USER
        if not re.fullmatch(USER_PATTERN, chosen):
            raise InvalidRequest(Fault("/query/user", "a user is 1 to 200 characters, no control characters"))
        return chosen


class ClientToken(msgspec.Struct, frozen=True):
    """A short-lived token for a browser; `expires_at` in seconds since the epoch."""

    token: str
    expires_at: int


class _Claims(msgspec.Struct, frozen=True):
    agent: str
    exp: int
    user: str | None = None


class Doors:
    """Lets callers in, or not.

    Keys are read from the store at each request, so that a revoked one is out at once; VOICE_API_KEY costs no read.
    `loopback`: the gateway listens on loopback only, where everybody may enter until the first key exists.
    """

    def __init__(self, directory: Directory, clock: Clock, *, api_key: str | None, loopback: bool) -> None:
        self._directory = directory
        self._clock = clock
        self._api_key = api_key
        self._loopback = loopback

    async def has_key(self) -> bool:
        """Whether any key exists, in the environment or in the store."""
        return self._api_key is not None or bool(await self._directory.list_keys())

    async def admit(self, authorization: str | None, token: str | None = None) -> Caller:
        """Who the caller is, by the Authorization header (an API key or a client token) or `?token=` (a client token).

        Raises Unauthorized. A key is not taken from a URL: URLs end up in logs.
        """
        bearer = _bearer(authorization)
        if bearer is not None and self._api_key is not None and _same(bearer, self._api_key):
            return Caller("key")
        rows = await self._directory.list_keys()
        if self._loopback and self._api_key is None and not rows:
            return Caller("open")
        if bearer is not None:
            given = _hash(bearer)
            if sum(_same(given, row.hash) for row in rows):  # no `any`: it would take less time for an early key
                return Caller("key")
        if bearer is None and token is None:
            raise Unauthorized("no credentials: send `Authorization: Bearer KEY`, or ?token= for a session")
        return await self._read(bearer or token or "")

    async def mint(self, agent: str, user: str | None, ttl_s: int) -> ClientToken:
        """A token that opens sessions with one agent (as one user, if given) for `ttl_s` seconds."""
        expires_at = int(self._clock.wall()) + ttl_s
        claims = {"aud": AUDIENCE, "agent": agent, "exp": expires_at} | ({} if user is None else {"user": user})
        return ClientToken(jwt.encode(claims, await self._directory.secret(), algorithm="HS256"), expires_at)

    async def _read(self, token: str) -> Caller:
        secret = await self._directory.secret()
        try:
            # Expiry is checked below, against our clock and not the library's.
            fields = jwt.decode(
                token, secret, algorithms=["HS256"], audience=AUDIENCE, options={"verify_exp": False}
            )  # fmt: skip
            claims = msgspec.convert(fields, _Claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError):
            raise Unauthorized("these credentials are not valid") from None
        if claims.exp <= self._clock.wall():
            raise Unauthorized("the client token has expired")
        return Caller("token", claims.agent, claims.user)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address (an IP address or a host name)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def refuse_strangers(origin: str | None, host: str | None) -> None:
    """While no key guards the door, a page from elsewhere must not get in through its reader's browser.

    Raises Forbidden for another origin, and for a host name that is not this machine's own: names can be made to lead
    here by whoever owns them (DNS rebinding).
    """
    name = urlsplit(f"//{host or ''}").hostname
    if name is None or not is_loopback(name):
        raise Forbidden("while no API key is configured, the gateway answers to loopback addresses and localhost only")
    if origin is not None and origin.partition("://")[2] != host:
        raise Forbidden("a page of another origin may not connect while no API key is configured")


def refuse_open_door(host: str, has_key: bool) -> None:
    """Raises ConfigError if others could reach the gateway and no key would stop them."""
    if not has_key and not is_loopback(host):
        raise ConfigError(
            f"VOICE_HOST: {host!r} can be reached from other machines and there is no API key: set VOICE_API_KEY, "
            "or make a key with `voice-gateway keys create`, or listen on 127.0.0.1"
        )


def _bearer(authorization: str | None) -> str | None:
    scheme, _, credentials = (authorization or "").partition(" ")
    return credentials.strip() or None if scheme.lower() == "bearer" else None


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
