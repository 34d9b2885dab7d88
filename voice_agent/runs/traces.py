"""Exchanges with a provider as they are kept: bounded, and without the secrets of the agent whose they are."""

import msgspec
from msgspec.structs import replace

from voice_agent.run_record import Trace, traced
from voice_agent.tools.secrets import Secrets


def without_secrets(trace: Trace, secrets: Secrets) -> Trace:
    """The trace with every secret's value masked, its request cut where it is long."""
    request = masked_json(trace.request, secrets)
    text = bytes(request).decode()
    if (kept := traced(text)) != text:
        request = msgspec.Raw(msgspec.json.encode(kept))
    return replace(trace, request=request, response=secrets.masked(trace.response))


def masked_json(document: msgspec.Raw, secrets: Secrets) -> msgspec.Raw:
    """The document with every secret's value masked. What is no JSON any more then is kept as a text."""
    text = bytes(document).decode(errors="replace")
    masked = secrets.masked(text)
    if masked != text and not _is_json(masked):
        masked = msgspec.json.encode(masked).decode()
    return msgspec.Raw(masked.encode())


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True
