"""Where a server of ours listens: sockets, and faults that name the setting."""

import errno
import ipaddress
import socket

from voice_agent.config import ConfigError

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on `host` (a name or an IP address); port 0 takes a free one.

    Raises ConfigError if the address is taken, not ours or not allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ConfigError(f"VOICE_HOST: {host!r} is no address that this machine knows") from None
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError as fault:
        bound.close()
        raise ConfigError(_told(fault, host, port)) from None
    return bound


def _told(fault: OSError, host: str, port: int) -> str:
    match fault.errno:
        case errno.EADDRINUSE:
            return f"VOICE_PORT: {host}:{port} is taken by another process; choose another port with --port"
        case errno.EACCES:
            return f"VOICE_PORT: this user may not listen on {host}:{port}; choose a port above 1023 with --port"
        case errno.EADDRNOTAVAIL:
            return f"VOICE_HOST: {host!r} is no address of this machine"
        case _:
            return f"VOICE_HOST, VOICE_PORT: cannot listen on {host}:{port}: {fault.strerror}"


def url_of(host: str, port: int, scheme: str = "http") -> str:
    """The URL at which this machine reaches a server that listens on `host` and `port`."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"{scheme}://{host}:{port}"
    if address.is_unspecified:  # "everywhere" is no place to connect to
        return f"{scheme}://{'127.0.0.1' if address.version == 4 else '[::1]'}:{port}"
    return f"{scheme}://{address if address.version == 4 else f'[{address}]'}:{port}"
