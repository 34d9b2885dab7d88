"""Webhooks: tools that an HTTP server runs. What is sent, how it is signed, and what is made of the answer.

A call is one POST of JSON, {"call_id", "name", "arguments", "agent_id", "user", "session_id", "turn_id"}, with the
header `Idempotency-Key: CALL_ID`. If the tool has a secret, there is also `X-Voice-Signature: t=UNIX,v1=HEX`, where HEX
is the HMAC-SHA256 of "UNIX.BODY" (that time, a full stop, the bytes of the body) keyed with the secret. A receiver
computes the same, compares in constant time, and refuses times that are more than five minutes off.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from voice_agent.clock import Clock
from voice_agent.tool_definitions import WebhookTool
from voice_agent.tools.base import ToolContext, ToolFault
from voice_agent.tools.defined import spec_of
from voice_agent.tools.outward import Answer, Outward, OutwardError

SIGNATURE = "X-Voice-Signature"
PAUSES_S = (0.25, 1.0)
_MOST_BYTES = 4_000_000
_QUOTED_CHARS = 500


def signature(secret: str, at: int, body: bytes) -> str:
    """The value of the header X-Voice-Signature for a body that is sent at this time (Unix seconds)."""
    digest = hmac.new(secret.encode(), b"%d.%b" % (at, body), hashlib.sha256)
    return f"t={at},v1={digest.hexdigest()}"


class Webhook:
    """A webhook of an agent, as a tool.

    `secrets` are the agent's, by name; `pauses_s` come before an idempotent call is sent again, one before each time.
    """

    def __init__(
        self,
        definition: WebhookTool,
        secrets: Mapping[str, str],
        outward: Outward,
        clock: Clock,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        """Raises SchemaError, and KeyError if a secret is missing: neither happens to an agent that was validated."""
        self.spec = spec_of(definition)
        self.timeout_s = definition.timeout_s
        self.return_char_limit = definition.return_char_limit
        self._url = definition.url
        self._secret = None if definition.secret is None else secrets[definition.secret]
        self._headers = definition.headers_with(secrets)
        self._pauses = pauses_s if definition.idempotent else ()
        # A character takes four bytes at most.
        self._most_bytes = min(4 * definition.return_char_limit, _MOST_BYTES)
        self._outward = outward
        self._clock = clock

    async def run(self, arguments: dict[str, Any], context: ToolContext) -> object:
        """What the server answered: JSON or text. Raises ToolFault.

        An idempotent call that failed for the moment is sent again, as long as `timeout_s` allows it.
        """
        deadline = self._clock.now() + self.timeout_s
        body = msgspec.json.encode({
            "call_id": context.call_id,
            "name": self.spec.schema.name,
            "arguments": arguments,
            "agent_id": context.agent_id,
            "user": context.user,
            "session_id": context.session_id,
            "turn_id": context.turn_id,
        })  # fmt: skip
        outcome = await self._send(body, context.call_id)
        for pause in self._pauses:
            wait = max(pause, self._asked_to_wait(outcome))
            if not _is_passing(outcome) or self._clock.now() + wait >= deadline:
                break
            await asyncio.sleep(wait)
            outcome = await self._send(body, context.call_id)
        return self._result(outcome)

    async def _send(self, body: bytes, call_id: str) -> Answer | OutwardError:
        headers = {
            **self._headers,
            "Content-Type": "application/json",
            "User-Agent": "voice-agent-gateway",
            "Idempotency-Key": call_id,
        }
        if self._secret is not None:
            headers[SIGNATURE] = signature(self._secret, int(self._clock.wall()), body)
        try:
            return await self._outward.post(self._url, body, headers, self._most_bytes)
        except OutwardError as fault:
            return fault

    def _asked_to_wait(self, outcome: Answer | OutwardError) -> float:
        """The seconds that a Retry-After asks for (RFC 9110: a number, or a date); 0 if there is none."""
        given = "" if isinstance(outcome, OutwardError) else outcome.headers.get("Retry-After", "").strip()
        if given.isascii() and given.isdigit():
            return float(given)
        try:
            return parsedate_to_datetime(given).replace(tzinfo=UTC).timestamp() - self._clock.wall()
        except ValueError:
            return 0.0

    def _result(self, outcome: Answer | OutwardError) -> object:
        if isinstance(outcome, OutwardError):
            unsure = outcome.sent and self.spec.effects != "none"
            raise ToolFault(f"the webhook failed: {outcome}{'; it may have taken effect' if unsure else ''}")
        status, text = outcome.status, outcome.body.decode("utf-8", "replace")
        if 300 <= status < 400:
            raise ToolFault(f"the webhook answered with a redirect ({status}), which is not followed")
        if not 200 <= status < 300:
            quoted = " ".join(text[:_QUOTED_CHARS].split())
            raise ToolFault(f"the webhook answered {status}" + (f": {quoted}" if quoted else ""))
        if not outcome.whole:
            mark = f"\n[cut: the answer was longer than {self._most_bytes} bytes]"
            return text[: max(0, self.return_char_limit - len(mark))] + mark
        return _read(text, outcome.headers.get("Content-Type", ""))


def _is_passing(outcome: Answer | OutwardError) -> bool:
    """Whether the same request may fare better soon."""
    if isinstance(outcome, OutwardError):
        return not outcome.final
    return outcome.status == 429 or outcome.status >= 500


def _read(text: str, content_type: str) -> object:
    """The value that JSON stands for; anything else is text, whatever it says it is. An empty answer is None."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            pass
    return text or None
