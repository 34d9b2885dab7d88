"""A Messages model over real HTTP: text, tools, thinking within a turn, every fault, refused fields, warming."""

import asyncio

import msgspec
import pytest

from tests.llm.asking import SCHEMAS, Asked, asks, reply, think_in_three_steps
from tests.llm.rawserver import Connection, raw_server
from tests.servers import serving
from voice_agent.events import ModelEvent, ModelFailed, ModelFinished, TextDelta, ToolCallDelta
from voice_agent.llm.anthropic_messages.request import messages_fields
from voice_agent.llm.capabilities import Capabilities
from voice_agent.llm.simulated.server import create_app
from voice_agent.llm.wire import Http
from voice_agent.messages import Message, Opaque, ToolCall

OK = (
    b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"ok"}}\n\n'
    b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\ndata: {"type":"message_stop"}\n\n'
)


async def test_text_streams_with_usage() -> None:
    """Tokens come one by one, then the end with what was counted."""
    async with serving(create_app(0, 0)) as url:
        *words, end = await reply(url, "messages", asks("!say one two three"))
    assert words == [TextDelta("one"), TextDelta(" two"), TextDelta(" three")]
    assert isinstance(end, ModelFinished)
    assert (end.reason, end.usage and end.usage.output_tokens) == ("stop", 3)
    assert end.usage is not None
    assert (end.usage.cached_input_tokens, end.usage.reasoning_tokens) == (0, None)


async def test_thoughts_and_parallel_calls_stream() -> None:
    """Thoughts are opaque and signed; calls come in pieces, each under its own index."""
    async with serving(create_app(0, 0)) as url:
        out = await reply(url, "messages", asks('!think Hm, so. !call look {"at": "it", "now": true} !call look'))
    thoughts = [event for event in out if isinstance(event, Opaque)]
    assert [(part.kind, part.data, part.block) for part in thoughts[:3]] == [
        ("thinking", "", 0),
        ("thinking", "Hm,", 0),
        ("thinking", " so.", 0),
    ]
    assert [part.kind for part in thoughts[3:]] == ["signature"]
    pieces = [event for event in out if isinstance(event, ToolCallDelta)]
    arguments = ["".join(piece.json for piece in pieces if piece.index == index) for index in (0, 1)]
    assert [msgspec.json.decode(text) for text in arguments] == [{"at": "it", "now": True}, {}]
    assert len(pieces) > 6
    assert [piece.name for piece in pieces if piece.name] == ["look", "look"]
    assert isinstance(out[-1], ModelFinished)
    assert out[-1].reason == "tool_calls"


async def test_thinking_goes_back_within_a_turn() -> None:
    """Over three steps every thought returns as it came, which the strict rules check, and the turn ends well."""
    ended, requests = await think_in_three_steps("messages")
    assert ended.reason == "end_turn"
    assert ended.heard == "Let me see.Done."
    fields = messages_fields(requests[-1], "m", "acme/m", Capabilities().of("u", "m", "messages"))
    replayed = [
        [block.get("thinking") or block["type"] for block in message["content"]]
        for message in fields["messages"]
        if message["role"] == "assistant"
    ]
    assert replayed == [["One.", "redacted_thinking", "text", "tool_use"], ["Two, twice.", "tool_use"]]


@pytest.mark.parametrize(
    ("fault", "error", "retryable"),
    [
        ("401", "acme refused the API key (HTTP 401)", False),
        ("404", "acme does not know the model or the address (HTTP 404): The model does not exist.", False),
        ("429", "acme limits the rate of requests (HTTP 429)", True),
        ("500", "acme has a fault of its own (HTTP 500)", True),
        ("529", "acme is overloaded (HTTP 529)", True),
        ("cut", "acme cut its reply off", True),
        ("malformed", "acme sent something that is no reply", True),
    ],
)
async def test_faults(fault: str, error: str, retryable: bool) -> None:
    """Each fault is one last event, in plain words, that says whether trying again may help."""
    async with serving(create_app(0, 0)) as url:
        out = await reply(url, "messages", asks(f"!fault {fault}"))
    assert out[-1] == ModelFailed(error, retryable)
    assert all(isinstance(event, TextDelta) for event in out[:-1])


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("length", "length"),
        ("refusal", "refusal"),
        ("content_filter", "refusal"),
        ("empty", "stop"),
        ("nonsse", "stop"),
    ],
)
async def test_odd_ends(fault: str, reason: str) -> None:
    """Ends that are no failures keep their reason."""
    async with serving(create_app(0, 0)) as url:
        out = await reply(url, "messages", asks(f"!fault {fault}"))
    assert isinstance(out[-1], ModelFinished)
    assert out[-1].reason == reason
    assert any(isinstance(event, TextDelta) for event in out) == (fault != "empty")


async def test_another_apis_address() -> None:
    """A server that answers as Chat Completions do is named as what it is."""
    chat = b'data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n'

    async def answer(connection: Connection) -> None:
        await connection.request()
        connection.send(chat)

    async with raw_server(answer) as url:
        out = await reply(url, "messages", asks("hi"))
    assert out == [
        ModelFailed("acme does not answer as Anthropic Messages does: check its address and its `api` setting")
    ]


def refusal(message: str) -> bytes:
    """The body of a 400."""
    error = {"type": "invalid_request_error", "message": message}
    return msgspec.json.encode({"type": "error", "error": error})


async def test_refused_fields_are_dropped_and_remembered() -> None:
    """A 400 that names a field, nested ones too, costs one more request, once; the version goes with each."""
    sent: list[bytes] = []
    heads: list[str] = []

    async def picky(connection: Connection) -> None:
        while True:
            head, body = await connection.request()
            heads.append(head.lower())
            sent.append(body)
            if b"eager_input_streaming" in body:
                text = refusal("tools.0.custom.eager_input_streaming: Extra inputs are not permitted")
                connection.send(text, "400 Bad Request")
            elif b'"thinking":' in body:
                connection.send(refusal("adaptive thinking is not supported on this model"), "400 Bad Request")
            else:
                connection.send(OK)

    out: list[ModelEvent] = []
    async with raw_server(picky) as url, Http() as http, asyncio.timeout(10):
        asked = Asked(http, url, "messages")
        await asked.reply(asks("a", reasoning="low"), out.append)
        await asked.reply(asks("b", reasoning="low"), out.append)
    assert [type(event) for event in out] == [TextDelta, ModelFinished] * 2
    assert [(b'"eager' in body, b'"thinking"' in body) for body in sent] == [
        (True, True),
        (False, True),
        (False, False),
        (False, False),
    ]
    assert all("anthropic-version: 2026-10-21\r\n" in head for head in heads)
    assert all("x-api-key: s3cret-key\r\n" in head for head in heads)


async def test_refused_thinking_blocks_are_left_out() -> None:
    """What is said of a replayed thought is not taken for the field of that name; the turn goes on without it."""
    bodies: list[bytes] = []

    async def strict(connection: Connection) -> None:
        while True:
            bodies.append((await connection.request())[1])
            if b"Hm." in bodies[-1]:
                text = "messages.1.content.0: `thinking` blocks in the latest assistant message cannot be modified"
                connection.send(refusal(text), "400 Bad Request")
            else:
                connection.send(OK)

    opaque = (Opaque("acme/m", "thinking", "Hm.", block=0), Opaque("acme/m", "signature", "sig", block=0))
    step = Message("assistant", "", 0.0, tool_calls=(ToolCall("a", "look", "{}"),), opaque=opaque)
    out: list[ModelEvent] = []
    async with raw_server(strict) as url, Http() as http, asyncio.timeout(10):
        known = Capabilities()
        await Asked(http, url, "messages", known).reply(asks("go", step, reasoning="low"), out.append)
        record = known.of(url.removesuffix("/v1"), "simulated", "messages")
    assert out[0] == TextDelta("ok")
    assert [b'"signature"' in body for body in bodies] == [True, False]
    assert b'"thinking":{"type":"adaptive"}' in bodies[1]
    assert record.refused == frozenset()


async def test_a_refusal_that_goes_on_is_told() -> None:
    """A provider that refuses the same word for ever is asked twice and not again."""
    count = 0

    async def stubborn(connection: Connection) -> None:
        nonlocal count
        while True:
            await connection.request()
            count += 1
            connection.send(refusal("tools.0.input_schema.temperature: thinking of something else"), "400 Bad Request")

    tool = msgspec.structs.replace(
        SCHEMAS[0], parameters={"type": "object", "properties": {"temperature": {"type": "number"}}}
    )
    async with raw_server(stubborn) as url:
        out = await reply(url, "messages", asks("hi", tools=(tool,)))
    assert isinstance(out[0], ModelFailed)
    assert out[0].error.startswith("acme refused the request (HTTP 400): tools.0.input_schema.temperature")
    assert count == 1


async def test_warming_reads_the_list_of_models() -> None:
    """The list fills the record: how thinking is switched off, and the limits."""
    known = Capabilities()
    async with serving(create_app(0, 0)) as url, Http() as http, asyncio.timeout(10):
        await Asked(http, url, "messages", known).warm()
        record = known.of(url, "simulated", "messages")
        out: list[ModelEvent] = []
        await Asked(http, url, "messages", known).reply(
            asks("!say hi", reasoning="none", tool_choice="none"), out.append
        )
    assert (record.api, record.thinking_off, record.max_output, record.context_window) == (
        "messages",
        "disabled",
        64_000,
        200_000,
    )
    assert out[0] == TextDelta("hi")
