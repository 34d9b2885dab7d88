"""The Messages decoder against bad endings and other APIs. Whole streams: `test_goldens`."""

import pytest

from tests.llm.goldens import decode_messages as decode
from voice_agent.events import FinishReason, ModelFailed, ModelFinished, TextDelta, ToolCallDelta
from voice_agent.llm.anthropic_messages.stream import MessagesDecoder
from voice_agent.messages import Opaque, Usage

ONE_STEP = Usage(steps=1)


def event(fields: str) -> bytes:
    """One event of a stream."""
    return f"event: x\ndata: {fields}\n\n".encode()


def stop(reason: str) -> bytes:
    """The event that names the stop reason."""
    return event(f'{{"type":"message_delta","delta":{{"stop_reason":"{reason}"}},"usage":{{"output_tokens":2}}}}')


TEXT = event('{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}')
CALL = event('{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f"}}')
END = event('{"type":"message_stop"}')
CUT = ModelFailed("acme cut its reply off", retryable=True)
GARBLED = ModelFailed("acme sent something that is no reply", retryable=True)


def test_end_without_a_stop_reason_is_a_cut() -> None:
    """A stream that just ends has failed, and may be tried again, also in the middle of an argument."""
    assert decode(TEXT) == [TextDelta("a"), CUT]
    assert decode(b"") == [CUT]
    piece = event('{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\\"a"}}')
    assert decode(CALL, piece) == [ToolCallDelta(0, "t", "f"), ToolCallDelta(0, json='{"a'), CUT]


def test_end_behind_the_stop_reason_is_clean() -> None:
    """A stop reason is enough where `message_stop` never comes, and a call that was left open gets its arguments."""
    assert decode(TEXT, stop("end_turn")) == [TextDelta("a"), ModelFinished("stop", Usage(steps=1, output_tokens=2))]
    assert decode(CALL, stop("tool_use"))[1:-1] == [ToolCallDelta(0, json="{}")]


def test_message_stop_alone_is_a_clean_end_without_reason() -> None:
    """What was not reported is None: neither a reason nor a zero."""
    assert decode(TEXT, END) == [TextDelta("a"), ModelFinished(None, ONE_STEP)]


@pytest.mark.parametrize(
    ("told", "reason", "with_call"),
    [
        ("end_turn", "stop", "tool_calls"),
        ("stop_sequence", "stop", "tool_calls"),
        ("pause_turn", "stop", "tool_calls"),
        ("a_new_one", "stop", "tool_calls"),
        ("tool_use", "stop", "tool_calls"),
        ("max_tokens", "length", "length"),
        ("refusal", "refusal", "refusal"),
    ],
)
def test_stop_reasons(told: str, reason: FinishReason, with_call: FinishReason) -> None:
    """Each reason maps to one of ours; otherwise what was called counts."""
    usage = Usage(steps=1, output_tokens=2)
    assert decode(TEXT, stop(told), END)[-1] == ModelFinished(reason, usage)
    assert decode(CALL, stop(told), END)[-1] == ModelFinished(with_call, usage)


def test_a_reply_that_ends_at_the_end_of_the_context_window_has_failed() -> None:
    """It can be asked for again with less before it."""
    end = decode(TEXT, stop("model_context_window_exceeded"), END)[-1]
    assert isinstance(end, ModelFailed)
    assert end.overflow


def test_later_counts_replace_earlier_ones() -> None:
    """Usage is cumulative: reports are never added up."""
    start = event('{"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":4}}}')
    out = decode(start, stop("end_turn"), stop("end_turn"), END)
    assert out == [ModelFinished("stop", Usage(steps=1, input_tokens=9, output_tokens=2))]


@pytest.mark.parametrize(
    ("body", "text", "retryable"),
    [
        ('{"type":"error","error":{"type":"invalid_request_error","message":"too long"}}', ": too long", False),
        ('{"type":"error","error":{"type":"api_error","message":"hold s3cret-key"}}', ": hold ***", True),
        ('{"error":"gone wrong"}', ": gone wrong", True),
    ],
)
@pytest.mark.parametrize("frame", ["data: {}\n\n", "{}"])
def test_error_objects_end_the_reply(body: str, text: str, retryable: bool, frame: str) -> None:
    """An error inside a 200 ends the reply, in a stream and as the whole body, without the key."""
    out = decode(frame.replace("{}", body).encode())
    assert out == [ModelFailed(f"acme failed in the middle of its reply{text}", retryable)]


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: {oops\n\n",
        b'{"a": 1}',
        b'{"type":"message"}',
        b"[]",
        event('{"type":"content_block_delta","delta":5}'),
        event('{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t"}}'),
    ],
)
def test_garbage_is_a_failure(garbage: bytes) -> None:
    """What is no reply is one failure that may be tried again; so is a call that nobody could run."""
    assert decode(garbage) == [GARBLED]


@pytest.mark.parametrize(
    "reply",
    [
        b'data: {"id":"c","object":"chat.completion.chunk","choices":[{"delta":{"content":"hi"}}]}\n\n',
        b'data: {"id":"c","object":"chat.completion.chunk","choices":[]}\n\ndata: [DONE]\n\n',
        b'{"id":"c","object":"chat.completion","choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}',
        b'data: {"type":"response.created","response":{"object":"response"},"sequence_number":0}\n\n',
        b'{"id":"r","object":"response","status":"completed","error":null,"output":[]}',
    ],
)
def test_reply_of_another_api(reply: bytes) -> None:
    """Chat Completions' and Responses' streams and documents are named as what they are, not as garbage."""
    error = "acme does not answer as Anthropic Messages does: check its address and its `api` setting"
    assert decode(reply) == [ModelFailed(error)]


def test_nothing_follows_the_end() -> None:
    """Bytes behind `message_stop` give no events."""
    decoder = MessagesDecoder("acme/model", "acme")
    assert decoder.feed(END + TEXT) == [ModelFinished(None, ONE_STEP)]
    assert decoder.feed(TEXT) == []
    assert decoder.eof() == []


def test_pings_keep_a_silent_thought_alive() -> None:
    """While a thought is under way each ping is a sign of life, and at no other time an event."""
    start = event('{"type":"content_block_start","index":3,"content_block":{"type":"thinking","thinking":""}}')
    ping = event('{"type":"ping"}')
    sign = event('{"type":"content_block_delta","index":3,"delta":{"type":"signature_delta","signature":"s"}}')
    alive = Opaque("acme/model", "thinking", "", block=3)
    out = decode(ping, start, ping, ping, sign, ping, stop("end_turn"))
    assert out[:-1] == [alive, alive, alive, Opaque("acme/model", "signature", "s", block=3)]
