"""HTTP to addresses that users give (webhooks, callbacks), guarded: only public ones are reached, unless allowed.

The address that is connected to is the one that was looked at: names are resolved here, and nothing else resolves them.
Redirects are not followed, and no proxy of the environment is used. aiohttp's faults leave here as `OutwardError`.
"""

import re
import socket
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http_exceptions import ContentEncodingError
from aiohttp.resolver import ThreadedResolver
from yarl import URL

_CONNECT_S = 5.0
# Below the 5 s after which usual servers close: what was sent on a connection just closed may not be sent again.
_KEEPALIVE_S = 4.0
_NAME = re.compile(r"([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_NAT64 = IPv6Network("64:ff9b::/96")
_NOT_PUBLIC = "its address is not public"


class OutwardError(Exception):
    """There is no answer, or not all of it; the message says why in a few words, without an address.

    `final`: trying again would not help. `sent`: the other side may have got the request.
    """

    def __init__(self, message: str, *, final: bool = False, sent: bool = False) -> None:
        super().__init__(message)
        self.final = final
        self.sent = sent


class Answer(msgspec.Struct, frozen=True):
    """What came back. `whole` is False if the body was longer than what was read of it."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True


class Guard:
    """Which hosts may be reached: public ones, and those of `allowed` (names, addresses, networks such as 10.0.0.0/8).

    A name that is allowed may lead anywhere.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        self._networks = []
        for entry in allowed:
            try:
                self._networks.append(ip_network(entry, strict=False))
            except ValueError:
                self._names.add(_plain(entry))

    def fault(self, url: str) -> str | None:
        """What keeps the URL from being used, as far as it can be seen without resolving its host; None: nothing."""
        try:
            parsed = URL(url)
            host = parsed.raw_host
        except ValueError:
            return "it is no URL"
        if parsed.scheme not in ("https", "http") or not host:
            return "it has to begin with https:// or http:// and to name a host"
        if parsed.raw_user is not None or parsed.raw_password is not None:
            return "it holds a name or password, which belong into a header"
        if self.names(host):
            return None
        try:
            return None if self.admits(host) else _NOT_PUBLIC
        except ValueError:
            pass
        if not _is_name(host):
            return "its host is neither a name nor an address in the usual form"
        return _NOT_PUBLIC if f".{_plain(host)}".endswith(".localhost") else None

    def names(self, host: str) -> bool:
        """Whether the host's name is allowed as such."""
        return _plain(host) in self._names

    def admits(self, address: str) -> bool:
        """Whether this address may be connected to. Raises ValueError if it is none."""
        return self._is_open(ip_address(address))

    def _is_open(self, address: IPv4Address | IPv6Address) -> bool:
        if any(address in network for network in self._networks):
            return True
        if isinstance(address, IPv4Address):
            return address.is_global and not address.is_multicast
        if address.ipv4_mapped is not None:
            return self._is_open(address.ipv4_mapped)
        if address in _NAT64:
            return self._is_open(IPv4Address(address.packed[-4:]))
        return address in _GLOBAL_UNICAST and address.is_global and address not in _SIX_TO_FOUR


class Outward:
    """The client, open from construction (in a running loop) until `close`. `resolver`: who is asked for names."""

    def __init__(self, guard: Guard, resolver: AbstractResolver | None = None) -> None:
        self._guard = guard
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=_KEEPALIVE_S,
                resolver=_GuardedResolver(guard, resolver or ThreadedResolver()),
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], most_bytes: int) -> Answer:
        """The answer and at most so many bytes of its body, with no deadline of its own. Raises OutwardError."""
        # The connector asks no resolver about what it takes for an address.
        if reason := self._guard.fault(url):
            raise OutwardError(reason, final=True)
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                read = bytearray()
                async for piece in response.content.iter_any():
                    read += piece
                    if len(read) > most_bytes:
                        return Answer(response.status, response.headers, bytes(read[:most_bytes]), whole=False)
                return Answer(response.status, response.headers, bytes(read))
        except (aiohttp.ClientError, OSError) as fault:
            raise _translated(fault) from fault


class _NotPublicError(OSError):
    """A name led to no address that may be connected to."""


class _GuardedResolver(AbstractResolver):
    def __init__(self, guard: Guard, resolver: AbstractResolver) -> None:
        self._guard = guard
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if self._guard.names(host):
            return found
        public = [each for each in found if self._guard.admits(each["host"])]
        if found and not public:
            raise _NotPublicError
        return public

    async def close(self) -> None:
        await self._resolver.close()


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def _is_name(host: str) -> bool:
    """Whether it is a name, that no resolver would read as an address: 127.1, 2130706433, 0x7f.0.0.1, 0177.0.0.1."""
    if not _NAME.fullmatch(host):
        return False
    try:
        socket.inet_aton(host.rstrip("."))
    except OSError:
        return not host.replace(".", "").isdigit()
    return False


def _translated(fault: Exception) -> OutwardError:
    match fault:
        case aiohttp.ClientConnectorDNSError(os_error=_NotPublicError()):
            return OutwardError(_NOT_PUBLIC, final=True)
        case aiohttp.ClientConnectorDNSError():
            return OutwardError("its host name is not known")
        case aiohttp.ClientSSLError():
            return OutwardError("no trusted TLS connection", final=True)
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return OutwardError("no connection")
        case aiohttp.InvalidURL():
            return OutwardError("it is no URL", final=True)
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError(__cause__=ContentEncodingError()):
            return OutwardError("its answer cannot be read", sent=True)
        case _:
            return OutwardError("the connection was lost", sent=True)
