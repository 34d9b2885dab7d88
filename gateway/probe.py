"""The command `voice-gateway health`: asks the process beside it whether it works. Containers call it as they run."""

import sys
from http.client import HTTPConnection, HTTPException
from typing import Annotated, Literal
from urllib.parse import urlsplit

import typer

from gateway.address import url_of
from voice_agent.config import ConfigError, Settings, read_settings

TIMEOUT_S = 4.0
LOOPBACK = "127.0.0.1"
Role = Annotated[Literal["gateway", "worker"], typer.Argument(help="Whom to ask.", show_default=True)]


def health(role: Role = "gateway") -> None:
    """Ask the gateway of this machine whether it lets callers in, or the memory worker whether it runs: code 0 or 1."""
    url = _url(role, read_settings())
    fault = probe(url)
    if fault is not None:
        sys.stderr.write(f"voice-gateway: the {role} at {url} {fault}\n")
        raise typer.Exit(1)


def probe(url: str) -> str | None:
    """What is wrong with the server that should answer 200 at `url`, or None. Blocks for `TIMEOUT_S` at most."""
    where = urlsplit(url)
    connection = HTTPConnection(where.hostname or LOOPBACK, where.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", where.path)
        status = connection.getresponse().status
    except (OSError, HTTPException):
        return "does not answer"
    finally:
        connection.close()
    return None if status == 200 else f"answers with HTTP {status}"


def _url(role: Literal["gateway", "worker"], settings: Settings) -> str:
    if role == "gateway":
        return f"{url_of(settings.host, settings.port)}/readyz"
    if settings.sleeptime_metrics_port is None:
        raise ConfigError("VOICE_SLEEPTIME_METRICS_PORT: the worker is asked at this port, and none is set")
    return f"{url_of(LOOPBACK, settings.sleeptime_metrics_port)}/metrics"
