"""A Responses model over real HTTP: tools, reasoning within a turn, every fault, refused fields, the move to it."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.llm.asking import Asked, asks, reply, think_in_three_steps
from tests.llm.rawserver import DONE, Connection, raw_server
from tests.servers import serving
from voice_agent.events import ModelEvent, ModelFailed, ModelFinished, TextDelta, ToolCallDelta
from voice_agent.llm.capabilities import Capabilities
from voice_agent.llm.openai_responses.request import responses_fields
from voice_agent.llm.simulated.server import create_app
from voice_agent.llm.wire import Http
from voice_agent.messages import Message, Opaque, ToolCall

OK = (
    b'data: {"type":"response.output_text.delta","output_index":0,"delta":"ok"}\n\n'
    b'data: {"type":"response.completed","response":{"object":"response","status":"completed"}}\n\n'
)
SECRET = '{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"gAAA"}'
THOUGHT = Message(
    "assistant",
    "",
    0.0,
    tool_calls=(ToolCall("a", "look", "{}"),),
    opaque=(Opaque("acme/m", "reasoning", SECRET, block=0),),
)


def refusal(message: str, param: str | None = None) -> bytes:
    """The body of a 400."""
    return msgspec.json.encode({"error": {"message": message, "type": "invalid_request_error", "param": param}})


async def test_text_streams_with_usage() -> None:
    """Tokens come one by one, then the end with what was counted."""
    async with serving(create_app(0, 0)) as url:
        phase, *words, end = await reply(url, "responses", asks("!say one two three"))
    assert phase == Opaque("acme/m", "phase", "final_answer", block=0)
    assert words == [TextDelta("one"), TextDelta(" two"), TextDelta(" three")]
    assert isinstance(end, ModelFinished)
    assert end.usage is not None
    assert (end.reason, end.usage.output_tokens, end.usage.cached_input_tokens) == ("stop", 3, 0)


async def test_thoughts_and_parallel_calls_stream() -> None:
    """Every piece of reasoning is a sign of life, its item comes whole; calls come in pieces under their own index."""
    async with serving(create_app(0, 0)) as url:
        out = await reply(url, "responses", asks('!think Hm, so. !call look {"at": "it", "now": true} !call look'))
    thoughts = [event.data for event in out if isinstance(event, Opaque) and event.kind == "reasoning"]
    assert thoughts[:-1] == ["", "", ""]
    assert msgspec.json.decode(thoughts[-1])["summary"] == [{"type": "summary_text", "text": "Hm, so."}]
    pieces = [event for event in out if isinstance(event, ToolCallDelta)]
    arguments = ["".join(piece.json for piece in pieces if piece.index == index) for index in (0, 1)]
    assert [msgspec.json.decode(text) for text in arguments] == [{"at": "it", "now": True}, {}]
    assert len(pieces) > 6
    assert [piece.name for piece in pieces if piece.name] == ["look", "look"]
    assert isinstance(out[-1], ModelFinished)
    assert out[-1].reason == "tool_calls"


async def test_reasoning_goes_back_within_a_turn() -> None:
    """Over three steps reasoning returns as it came, which the strict rules check, and the turn ends well."""
    ended, requests = await think_in_three_steps("responses")
    assert ended.reason == "end_turn"
    assert ended.heard == "Let me see.Done."
    record = Capabilities().of("u", "m", "responses")
    [_, *items] = responses_fields(requests[-1], "m", "acme/m", record)["input"]
    assert [item.get("phase") or item["type"] for item in items] == [
        "reasoning", "reasoning", "commentary", "function_call", "function_call_output",
        "reasoning", "function_call", "function_call_output",
    ]  # fmt: skip
    fields = responses_fields(asks("go", *ended.messages[1:], history=ended.messages), "m", "acme/m", record)
    assert [item.get("phase") for item in fields["input"] if item.get("role") == "assistant"] == [
        "commentary",
        "final_answer",
    ] * 2


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
        out = await reply(url, "responses", asks(f"!fault {fault}"))
    assert out[-1] == ModelFailed(error, retryable)
    assert all(isinstance(event, TextDelta | Opaque) for event in out[:-1])


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("length", "length"),
        ("refusal", "refusal"),
        ("content_filter", "content_filter"),
        ("empty", "stop"),
        ("nonsse", "stop"),
    ],
)
async def test_odd_ends(fault: str, reason: str) -> None:
    """Ends that are no failures keep their reason."""
    async with serving(create_app(0, 0)) as url:
        out = await reply(url, "responses", asks(f"!fault {fault}"))
    assert isinstance(out[-1], ModelFinished)
    assert out[-1].reason == reason
    assert any(isinstance(event, TextDelta) for event in out) == (fault != "empty")


async def test_stalled_reply_is_closed_at_the_provider() -> None:
    """A reply that is given up ends at the provider too, with what had come by then told."""
    out: list[ModelEvent] = []
    closed = asyncio.Event()

    async def stall(connection: Connection) -> None:
        await connection.request()
        connection.send(OK.partition(b"\n\n")[0] + b"\n\n", length=5000)
        await connection.closed()
        closed.set()

    async with raw_server(stall) as url, Http() as http, asyncio.timeout(10):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(Asked(http, url, "responses").reply(asks("hi"), out.append))
            while not out:
                await asyncio.sleep(0)
            task.cancel()
        await closed.wait()
    assert out == [TextDelta("ok")]


async def test_another_apis_address() -> None:
    """A server that answers as Chat Completions do is named as what it is."""

    async def answer(connection: Connection) -> None:
        await connection.request()
        connection.send(DONE)

    async with raw_server(answer) as url:
        out = await reply(url, "responses", asks("hi"))
    assert out == [
        ModelFailed("acme does not answer as OpenAI Responses does: check its address and its `api` setting")
    ]


async def test_refused_fields_are_dropped_and_remembered() -> None:
    """A 400 that names a field costs one more request, once."""
    sent: list[dict[str, Any]] = []

    async def picky(connection: Connection) -> None:
        while True:
            sent.append(msgspec.json.decode((await connection.request())[1]))
            if "include" in sent[-1]:
                text = refusal("Encrypted content is not supported with this model.", "include")
                connection.send(text, "400 Bad Request")
            elif "reasoning" in sent[-1]:
                text = refusal("Unsupported parameter: 'reasoning.effort' is not supported.", "reasoning.effort")
                connection.send(text, "400 Bad Request")
            else:
                connection.send(OK)

    out: list[ModelEvent] = []
    async with raw_server(picky) as url, Http() as http, asyncio.timeout(10):
        asked = Asked(http, url, "responses")
        await asked.reply(asks("a", reasoning="low"), out.append)
        await asked.reply(asks("b", reasoning="low"), out.append)
    assert [type(event) for event in out] == [TextDelta, ModelFinished] * 2
    assert [("include" in fields, "reasoning" in fields) for fields in sent] == [
        (True, True),
        (False, True),
        (False, False),
        (False, False),
    ]


@pytest.mark.parametrize(
    "message",
    [
        "The encrypted content gAAA... could not be verified.",
        "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
    ],
)
async def test_refused_reasoning_is_left_out(message: str) -> None:
    """What is said of a replayed item is not taken for the field of that name; the turn goes on without it."""
    bodies: list[dict[str, Any]] = []

    async def strict(connection: Connection) -> None:
        while True:
            body = (await connection.request())[1]
            bodies.append(msgspec.json.decode(body))
            if b"rs_1" in body:
                connection.send(refusal(message, "input"), "400 Bad Request")
            else:
                connection.send(OK)

    out: list[ModelEvent] = []
    async with raw_server(strict) as url, Http() as http, asyncio.timeout(10):
        known = Capabilities()
        await Asked(http, url, "responses", known).reply(asks("go", THOUGHT, reasoning="low"), out.append)
        record = known.of(url, "simulated", "responses")
    assert out[0] == TextDelta("ok")
    assert [[item["type"] for item in body["input"]] for body in bodies] == [
        ["message", "reasoning", "function_call", "function_call_output"],
        ["message", "function_call", "function_call_output"],
    ]
    assert bodies[1]["reasoning"] == {"effort": "low"}
    assert record.refused == frozenset()


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found"])
@pytest.mark.parametrize("where", ["Please use /v1/responses", "only supported in v1/responses"])
async def test_chat_model_moves_here_when_it_is_told_to(status: str, where: str) -> None:
    """A refusal that names this address costs one more request, once; everything after it comes here."""
    paths: list[str] = []
    asked_of: list[bytes] = []

    async def openai(connection: Connection) -> None:
        while True:
            head, body = await connection.request()
            paths.append(head.split()[1])
            asked_of.append(body)
            if paths[-1] == "/v1/responses":
                connection.send(OK)
            else:
                connection.send(refusal(f"Tools with reasoning_effort: {where}.", "model"), status)

    out: list[ModelEvent] = []
    async with raw_server(openai) as url, Http() as http, asyncio.timeout(10):
        asked = Asked(http, url, "chat")
        await asked.reply(asks("a", reasoning="low"), out.append)
        await asked.reply(asks("b", reasoning="low"), out.append)
    assert paths == ["/v1/chat/completions", "/v1/responses", "/v1/responses"]
    assert [type(event) for event in out] == [TextDelta, ModelFinished] * 2
    assert msgspec.json.decode(asked_of[1])["reasoning"] == {"effort": "low"}
