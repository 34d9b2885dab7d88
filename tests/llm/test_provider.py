"""A model over real HTTP: streaming, tools, every fault, a refused field, a cancelled reply."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.llm.asking import Asked, reply
from tests.llm.counters import stats
from tests.llm.rawserver import DONE, Connection, raw_server
from tests.servers import serving
from voice_agent.events import ModelEvent, ModelFailed, ModelFinished, TextDelta, ToolCallDelta
from voice_agent.llm.capabilities import Api
from voice_agent.llm.provider import FORMATS
from voice_agent.llm.simulated.server import create_app
from voice_agent.llm.wire import Http
from voice_agent.messages import Message, ModelRequest, Opaque, ToolSchema

LOOK = ToolSchema("look", "Looks.", {"type": "object", "properties": {"pre_exec_msg": {"type": "string"}}})


def asks(words: str, **fields: Any) -> ModelRequest:
    """A request with these last words."""
    turn = (Message("user", words, 0.0),)
    return ModelRequest(**{"model": "m", "system": "s", "history": (), "turn": turn, "tools": (LOOK,), **fields})


async def test_text_streams_with_usage() -> None:
    """Tokens come one by one, then the end with what was counted."""
    async with serving(create_app(0, 0)) as url:
        *words, end = await reply(url, "chat", asks("!say one two three"))
    assert words == [TextDelta("one"), TextDelta(" two"), TextDelta(" three")]
    assert isinstance(end, ModelFinished)
    assert end.reason == "stop"
    assert end.usage is not None
    assert end.usage.output_tokens == 3
    assert end.usage.cached_input_tokens == 0


async def test_thoughts_and_parallel_calls_stream() -> None:
    """Reasoning is opaque; calls come in pieces, the utterance first, each under its own index."""
    async with serving(create_app(0, 0)) as url:
        out = await reply(url, "chat", asks('!think Hm. !call look {"at": "it"} !call look'))
    assert out[0] == Opaque("acme/m", "reasoning_content", "Hm.")
    pieces = [event for event in out if isinstance(event, ToolCallDelta)]
    arguments = ["".join(piece.json for piece in pieces if piece.index == index) for index in (0, 1)]
    assert [msgspec.json.decode(text) for text in arguments] == [
        {"pre_exec_msg": "One moment, please.", "at": "it"},
        {"pre_exec_msg": "One moment, please."},
    ]
    assert len(pieces) > 10
    assert [piece.name for piece in pieces if piece.name] == ["look", "look"]
    assert isinstance(out[-1], ModelFinished)
    assert out[-1].reason == "tool_calls"


@pytest.mark.parametrize(
    ("fault", "error", "retryable"),
    [
        ("401", "acme refused the API key (HTTP 401)", False),
        ("404", "acme does not know the model or the address (HTTP 404): The model does not exist.", False),
        ("429", "acme limits the rate of requests (HTTP 429)", True),
        ("500", "acme has a fault of its own (HTTP 500)", True),
        ("cut", "acme cut its reply off", True),
        ("malformed", "acme sent something that is no reply", True),
    ],
)
async def test_faults(fault: str, error: str, retryable: bool) -> None:
    """Each fault is one last event, in plain words, that says whether trying again may help."""
    async with serving(create_app(0, 0)) as url:
        out = await reply(url, "chat", asks(f"!fault {fault}"))
    assert out[-1] == ModelFailed(error, retryable)
    assert all(isinstance(event, TextDelta) for event in out[:-1])


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("length", "length"), ("content_filter", "content_filter"), ("empty", "stop"), ("nonsse", "stop")],
)
async def test_odd_ends(fault: str, reason: str) -> None:
    """Ends that are no failures keep their reason."""
    async with serving(create_app(0, 0)) as url:
        out = await reply(url, "chat", asks(f"!fault {fault}"))
    assert isinstance(out[-1], ModelFinished)
    assert out[-1].reason == reason
    assert any(isinstance(event, TextDelta) for event in out) == (fault != "empty")


async def test_nobody_there() -> None:
    """An address where nobody listens is a failure that may be tried again."""
    async with raw_server(Connection.closed) as url:
        pass
    assert await reply(url, "chat", asks("hi")) == [
        ModelFailed("acme cannot be reached: no connection", retryable=True)
    ]


@pytest.mark.parametrize("words", ["!fault stall", "!tokens 9 !first_token_ms 60000"])
async def test_cancel_reaches_the_provider(words: str) -> None:
    """A cancelled reply, stalled or not yet begun, is closed at the provider."""
    async with serving(create_app(0, 0)) as url, Http() as http, asyncio.timeout(10):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(Asked(http, url, "chat").reply(asks(words), lambda _: None))
            while (await stats(url))["open"] == 0:
                await asyncio.sleep(0)
            task.cancel()
        while (counters := await stats(url))["open"]:
            await asyncio.sleep(0)
    assert counters == {"requests": 1, "open": 0, "closed_early": 1}


async def test_refused_field_is_dropped_and_remembered() -> None:
    """A 400 that names a field costs one more request, once; what is refused without a name is told."""
    sent: list[dict[str, Any]] = []

    async def picky(connection: Connection) -> None:
        while True:
            _, body = await connection.request()
            sent.append(msgspec.json.decode(body))
            if "temperature" in sent[-1]:
                connection.send(b'{"error":{"message":"Unsupported","param":"temperature"}}', "400 Bad Request")
            elif "parallel_tool_calls" in sent[-1]:
                connection.send(b'{"detail":"extra field `parallel_tool_calls`"}', "422 Unprocessable Entity")
            elif sent[-1]["messages"][-1]["content"] == "no":
                connection.send(b'{"error":{"message":"bad s3cret-key or sk-abc123"}}', "400 Bad Request")
            else:
                connection.send(DONE)

    out: list[ModelEvent] = []
    async with raw_server(picky) as url, Http() as http:
        asked = Asked(http, url, "chat")
        await asked.reply(asks("a", temperature=0.5), out.append)
        await asked.reply(asks("b", temperature=0.5), out.append)
        await asked.reply(asks("no", temperature=0.5), out.append)
    assert [request["messages"][-1]["content"] for request in sent] == ["a", "a", "a", "b", "no"]
    assert [type(event) for event in out] == [TextDelta, ModelFinished, TextDelta, ModelFinished, ModelFailed]
    assert out[-1] == ModelFailed("acme refused the request (HTTP 400): bad *** or ***")


async def test_a_request_that_is_too_long_teaches_nothing() -> None:
    """Such a refusal may name the output limit (vLLM): that is sent the next time, all the same."""
    sent: list[dict[str, Any]] = []
    told = {"message": "max_completion_tokens: this model's maximum context length is 9 tokens", "code": 400}

    async def short(connection: Connection) -> None:
        while True:
            sent.append(msgspec.json.decode((await connection.request())[1]))
            connection.send(msgspec.json.encode({"error": told}), "400 Bad Request")

    out: list[ModelEvent] = []
    async with raw_server(short) as url, Http() as http, asyncio.timeout(10):
        asked = Asked(http, url, "chat")
        for _ in range(2):
            await asked.reply(asks("a", max_output_tokens=5), out.append)
    assert out == [ModelFailed("acme says that the conversation is too long for the model", overflow=True)] * 2
    assert [request["max_completion_tokens"] for request in sent] == [5, 5]


@pytest.mark.parametrize("api", FORMATS)
@pytest.mark.parametrize("data", [b'{"type":"caf\xe9"}', b'{"error":' + b"[" * 5000 + b"]" * 5000 + b"}"])
async def test_what_cannot_be_read_is_a_failure_in_every_format(api: Api, data: bytes) -> None:
    """Words in another encoding and arrays without end, as an event and as a whole reply."""
    for body in (b"data: " + data + b"\n\n", data):
        decoder = FORMATS[api].decoder("acme/m", "acme", None)
        out = decoder.feed(body)
        out += [] if decoder.finished else decoder.eof()
        assert out == [ModelFailed("acme sent something that is no reply", retryable=True)]


async def test_connection_is_kept_after_done() -> None:
    """A stream whose last bytes come behind `[DONE]` leaves its connection for the next reply."""
    numbers: list[int] = []
    finished = asyncio.Event()

    async def answer(connection: Connection) -> None:
        while True:
            await connection.request()
            numbers.append(connection.number)
            connection.send(DONE, length=len(DONE) + 1)
            await finished.wait()
            finished.clear()
            connection.send_rest(b"\n")

    def emit(event: ModelEvent) -> None:
        if isinstance(event, ModelFinished):
            finished.set()

    async with raw_server(answer) as url, Http() as http, asyncio.timeout(10):
        asked = Asked(http, url, "chat")
        for _ in range(3):
            await asked.reply(asks("a"), emit)
    assert numbers == [1, 1, 1]


async def test_loss_after_the_finish_is_no_failure() -> None:
    """A connection that breaks behind the finish reason takes nothing away."""

    async def cut(connection: Connection) -> None:
        await connection.request()
        connection.send(DONE.partition(b"data: [DONE]")[0], length=5000)

    async with raw_server(cut) as url:
        out = await reply(url, "chat", asks("a"))
    assert out[0] == TextDelta("ok")
    assert isinstance(out[1], ModelFinished)
    assert out[1].reason == "stop"


@pytest.mark.parametrize(
    ("refusal", "remembered"), [("temperature is not supported", True), ("temperature has to be at most 1", False)]
)
async def test_a_value_that_is_refused_says_nothing_of_others(refusal: str, remembered: bool) -> None:
    """The field is left out of this request; of those that follow only if the model takes it at no value."""
    sent: list[bool] = []

    async def picky(connection: Connection) -> None:
        while True:
            _, body = await connection.request()
            sent.append(b"temperature" in body)
            if b"temperature" in body:
                connection.send(b'{"error":{"message":"%b"}}' % refusal.encode(), "400 Bad Request")
            else:
                connection.send(DONE)

    out: list[ModelEvent] = []
    async with raw_server(picky) as url, Http() as http:
        asked = Asked(http, url, "chat")
        for _ in range(2):
            await asked.reply(asks("a", temperature=2), out.append)
    assert sent == ([True, False, False] if remembered else [True, False, True, False])


async def test_what_was_left_out_in_vain_is_not_remembered() -> None:
    """A request that is refused whatever is left out of it takes nothing from those that follow."""
    sent: list[set[str]] = []

    async def hopeless(connection: Connection) -> None:
        while True:
            _, body = await connection.request()
            sent.append(set(msgspec.json.decode(body)))
            connection.send(b'{"error":{"message":"neither temperature nor stream_options help"}}', "400 Bad Request")

    out: list[ModelEvent] = []
    async with raw_server(hopeless) as url, Http() as http:
        asked = Asked(http, url, "chat")
        await asked.reply(asks("a", temperature=1), out.append)
        tries = len(sent)
        await asked.reply(asks("a", temperature=1), out.append)
    assert tries == 3
    assert sent[tries] == sent[0]
