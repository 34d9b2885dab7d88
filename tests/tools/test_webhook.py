"""Webhooks over real sockets: what is sent and signed, what becomes of each answer, and when it is sent again."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from typing import Any

import pytest

from tests.llm.rawserver import Connection, raw_server
from voice_agent.clock import SystemClock
from voice_agent.tool_definitions import WebhookTool
from voice_agent.tools.base import ToolContext, ToolFault
from voice_agent.tools.outcome import as_text
from voice_agent.tools.outward import Guard, Outward
from voice_agent.tools.webhook import Webhook, signature

CONTEXT = ToolContext(agent_id="a1", user="u1", session_id="s1", turn_id="t1", call_id="call_1", at=5.0)
SECRETS = {"KEY": "s3cret-ü", "TOKEN": "t0ken"}
AT = 1_800_000_000


class StoppedClock:
    """Its time never moves, so that no deadline comes nearer."""

    def now(self) -> float:
        return 5.0

    def wall(self) -> float:
        return AT + 0.75


class Hook:
    """A server that gives the next of its answers to each request: raw bytes; none hangs up without one."""

    def __init__(self, *answers: bytes | None) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self._answers = list(answers)
        self.url = ""
        self.closed = asyncio.Event()

    @asynccontextmanager
    async def tool(self, **fields: Any) -> AsyncIterator[Webhook]:
        """A webhook tool that leads here."""
        async with raw_server(self._serve) as self.url, Outward(Guard(["127.0.0.1"])) as outward:
            given = {"name": "book", "description": "Book.", "url": self.url} | fields
            yield Webhook(WebhookTool.model_validate(given), SECRETS, outward, StoppedClock(), (0.001, 0.002))

    async def _serve(self, connection: Connection) -> None:
        while True:
            head, body = await connection.request()
            lines = [line.partition(": ") for line in head.splitlines()[1:] if line]
            self.requests.append(({name.lower(): value for name, _, value in lines}, body))
            if not self._answers:
                await connection.closed()
                self.closed.set()
                return
            answer = self._answers.pop(0)
            if answer is None:
                return
            connection.send_rest(answer)


def answer(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def fault_of(tool: Webhook) -> str:
    with pytest.raises(ToolFault) as caught:
        await tool.run({}, CONTEXT)
    assert caught.value.status == "error"
    return str(caught.value)


async def test_a_receiver_can_verify_what_it_gets() -> None:
    """By nothing but the module's description: body, headers, and the signature over time and body."""
    hook = Hook(answer(b"done"))
    async with hook.tool(
        secret="KEY", headers={"Authorization": "Bearer ${TOKEN}", "X-Two": "${TOKEN}/${TOKEN}"}
    ) as tool:
        assert await tool.run({"day": "Freitag ü", "count": 2}, CONTEXT) == "done"
    ((sent, body),) = hook.requests
    assert json.loads(body) == {
        "call_id": "call_1",
        "name": "book",
        "arguments": {"day": "Freitag ü", "count": 2},
        "agent_id": "a1",
        "user": "u1",
        "session_id": "s1",
        "turn_id": "t1",
    }
    fields = dict(part.split("=") for part in sent["x-voice-signature"].split(","))
    expected = hmac.new("s3cret-ü".encode(), fields["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(expected, fields["v1"])
    assert int(fields["t"]) == AT
    assert (sent["idempotency-key"], sent["authorization"]) == ("call_1", "Bearer t0ken")
    assert sent["x-two"] == "t0ken/t0ken"
    assert (sent["content-type"], sent["user-agent"]) == ("application/json", "voice-agent-gateway")


async def test_without_a_secret_nothing_is_signed() -> None:
    """And one byte of the body, or another second, makes another signature."""
    hook = Hook(answer(b"done"))
    async with hook.tool() as tool:
        await tool.run({}, CONTEXT)
    assert "x-voice-signature" not in hook.requests[0][0]
    made = {signature("a", 1, b"x"), signature("b", 1, b"x"), signature("a", 2, b"x"), signature("a", 1, b"y")}
    assert len(made) == 4


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (b'{ "ok": [1, 2.5, null] }', "application/json", '{"ok":[1,2.5,null]}'),
        (b'"word"', "application/json; charset=utf-8", "word"),
        (b"true", "application/problem+json", "true"),
        (b"null", "application/json", "done"),
        (b"", "application/json", "done"),
        (b"", "text/plain", "done"),
        (b'{"broken"', "application/json", '{"broken"'),
        (b"[" * 5000, "application/json", "[" * 5000),
        (b'{ "as": "is" }', "text/plain", '{ "as": "is" }'),
        (b"caf\xe9 \xff\x00", "text/plain", "caf\ufffd \ufffd\x00"),
        ("grün".encode(), "", "grün"),
    ],
)
async def test_any_answer_becomes_a_result(body: bytes, kind: str, text: str) -> None:
    """JSON is read, what is no JSON is text, and bytes that are not UTF-8 are replaced."""
    async with Hook(answer(body, Content_Type=kind)).tool() as tool:
        assert as_text(await tool.run({}, CONTEXT)) == text


async def test_a_long_answer_is_cut_and_marked() -> None:
    """Ten megabytes are not read to their end, and the mark survives the runner's own limit."""
    async with Hook(answer(b"x" * 10_000_000)).tool(return_char_limit=1000) as tool:
        result = str(await tool.run({}, CONTEXT))
    assert len(result) == 1000
    assert result.endswith("x\n[cut: the answer was longer than 4000 bytes]")
    async with Hook(answer(b"x" * 4000)).tool(return_char_limit=1000) as tool:
        assert await tool.run({}, CONTEXT) == "x" * 4000


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (answer(b'{"error":\n "no table"}', "404 Not Found"), 'the webhook answered 404: {"error": "no table"}'),
        (answer(b"", "500 Oops"), "the webhook answered 500"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "the webhook answered 101"),
        (answer(b"y" * 600, "400 Bad"), f"the webhook answered 400: {'y' * 500}"),
        (
            answer(b"", "302 Found", Location="http://169.254.169.254/"),
            "the webhook answered with a redirect (302), which is not followed",
        ),
        (None, "the webhook failed: the connection was lost; it may have taken effect"),
    ],
)  # fmt: skip
async def test_what_is_no_success_is_a_fault_in_words(given: bytes | None, text: str) -> None:
    """A status, a redirect, a connection that is lost: each is told once, and nothing is sent again."""
    hook = Hook(given)
    async with hook.tool() as tool:
        assert await fault_of(tool) == text
    assert len(hook.requests) == 1


async def test_a_redirect_to_a_private_address_leads_nowhere() -> None:
    """The server inside is not asked."""
    inside = Hook(answer(b"secret"))
    async with inside.tool():
        outside = Hook(answer(b"", "307 Temporary Redirect", Location=inside.url))
        async with outside.tool(idempotent=True) as tool:
            assert "redirect (307)" in await fault_of(tool)
    assert (len(outside.requests), len(inside.requests)) == (1, 0)


async def test_a_private_address_is_not_reached() -> None:
    """The fault says why, and not that it may have taken effect."""
    hook = Hook(answer(b"secret"))
    async with hook.tool(), Outward(Guard()) as outward:
        definition = WebhookTool(name="book", description="Book.", url=hook.url, idempotent=True)
        tool = Webhook(definition, {}, outward, SystemClock())
        assert await fault_of(tool) == "the webhook failed: its address is not public"
    assert hook.requests == []


async def test_an_idempotent_call_is_sent_again_twice() -> None:
    """After 5xx, 429 and a lost connection, each time with the same key; the third outcome stands."""
    hook = Hook(answer(b"", "503 Away"), None, answer(b"at last"))
    async with hook.tool(idempotent=True, secret="KEY") as tool:
        assert await tool.run({}, CONTEXT) == "at last"
    assert {sent["idempotency-key"] for sent, _ in hook.requests} == {"call_1"}
    assert len({body for _, body in hook.requests}) == 1
    hook = Hook(*[answer(b"busy", "429 Slow down")] * 5)
    async with hook.tool(idempotent=True) as tool:
        assert await fault_of(tool) == "the webhook answered 429: busy"
    assert len(hook.requests) == 3


async def test_what_will_not_get_better_is_not_sent_again() -> None:
    """A refusal, or a success, is final."""
    for given in (answer(b"", "400 Bad"), answer(b"fine")):
        hook = Hook(given, answer(b"again"))
        async with hook.tool(idempotent=True) as tool:
            with suppress(ToolFault):
                await tool.run({}, CONTEXT)
        assert len(hook.requests) == 1


async def test_retry_after_is_honoured_within_the_deadline() -> None:
    """A wait that the deadline does not allow, in seconds or as a date, is not begun."""
    for too_long in ("3600", formatdate(AT + 60, usegmt=True), "9" * 400):
        hook = Hook(answer(b"", "503 Away", Retry_After=too_long), answer(b"fine"))
        async with hook.tool(idempotent=True, timeout_s=10) as tool:
            assert await fault_of(tool) == "the webhook answered 503"
        assert len(hook.requests) == 1
    for short in ("0", formatdate(AT - 60, usegmt=True), "soon", ""):
        hook = Hook(answer(b"", "503 Away", Retry_After=short), answer(b"fine"))
        async with hook.tool(idempotent=True, timeout_s=10) as tool:
            assert await tool.run({}, CONTEXT) == "fine"
        assert len(hook.requests) == 2


async def test_a_cancelled_call_closes_its_connection() -> None:
    """The server sees it, and nothing is sent again."""
    hook = Hook()
    async with hook.tool(idempotent=True) as tool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await tool.run({}, CONTEXT)
        async with asyncio.timeout(10):
            await hook.closed.wait()
    assert len(hook.requests) == 1
