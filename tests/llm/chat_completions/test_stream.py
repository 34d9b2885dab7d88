"""The Chat Completions decoder against bad endings and other APIs' replies. Whole streams: `test_goldens`."""

import pytest

from tests.llm.goldens import decode_chat as decode
from voice_agent.events import ModelFailed, ModelFinished, TextDelta, ToolCallDelta
from voice_agent.llm.chat_completions.stream import ChatDecoder
from voice_agent.messages import Usage


def chunk(delta: str, reason: str = "null") -> bytes:
    """One event of a stream."""
    return f'data: {{"choices":[{{"index":0,"delta":{delta},"finish_reason":{reason}}}]}}\n\n'.encode()


def test_end_without_finish_is_a_cut() -> None:
    """A stream that just ends has failed, and may be tried again."""
    out = decode(chunk('{"content":"a"}'))
    assert out == [TextDelta("a"), ModelFailed("acme cut its reply off", retryable=True)]


def test_done_without_finish_is_a_clean_end_without_reason() -> None:
    """`[DONE]` alone ends a reply well, with no reason."""
    assert decode(chunk('{"content":"a"}'), b"data: [DONE]\n\n")[-1] == ModelFinished(None, Usage(steps=1))


def test_finish_without_done_is_a_clean_end() -> None:
    """A finish reason is enough where `[DONE]` never comes."""
    assert decode(chunk("{}", '"length"')) == [ModelFinished("length", Usage(steps=1))]


def test_last_of_many_reasons_counts() -> None:
    """A server that sends a reason with every chunk is read to its end."""
    out = decode(chunk('{"content":"a"}', '"stop"'), chunk('{"content":"b"}', '"length"'))
    assert out == [TextDelta("a"), TextDelta("b"), ModelFinished("length", Usage(steps=1))]


@pytest.mark.parametrize(
    ("body", "error", "retryable"),
    [
        ('{"error":{"message":"too long","code":"invalid_prompt"}}', ": too long", False),
        ('{"error":"gone wrong"}', ": gone wrong", True),
        ('{"error":{"message":"hold s3cret-key","type":"server_error"}}', ": hold ***", True),
    ],
)
@pytest.mark.parametrize("frame", ["data: {}\n\n", "{}"])
def test_error_objects_end_the_reply(body: str, error: str, retryable: bool, frame: str) -> None:
    """An error inside a 200 ends the reply, in a stream and as the whole body, without the key."""
    out = decode(frame.replace("{}", body).encode())
    assert out == [ModelFailed(f"acme failed in the middle of its reply{error}", retryable)]


@pytest.mark.parametrize("garbage", [b"data: {oops\n\ndata: [DONE]\n\n", b'{"choices": 5}', b'{"a": 1}', b"[]"])
def test_garbage_is_a_failure(garbage: bytes) -> None:
    """What is no reply is one failure that may be tried again."""
    assert decode(garbage) == [ModelFailed("acme sent something that is no reply", retryable=True)]


@pytest.mark.parametrize(
    "reply",
    [
        b'event: message_start\ndata: {"type":"message_start","message":{"type":"message","content":[]}}\n\n',
        b'{"type":"message","role":"assistant","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn"}',
        b'event: response.created\ndata: {"type":"response.created","response":{"object":"response"}}\n\n',
        b'{"id":"r","object":"response","status":"completed","error":null,"output":[]}',
    ],
)
def test_reply_of_another_api(reply: bytes) -> None:
    """Anthropic's and Responses' streams and documents are named as what they are, not as garbage."""
    error = "acme does not answer as Chat Completions does: check its address and its `api` setting"
    assert decode(reply) == [ModelFailed(error)]


def test_nothing_follows_the_end() -> None:
    """Bytes behind `[DONE]` give no events."""
    decoder = ChatDecoder("acme/model", "acme")
    assert decoder.feed(b"data: [DONE]\n\n" + chunk('{"content":"late"}')) == [ModelFinished(None, Usage(steps=1))]
    assert decoder.feed(chunk('{"content":"later"}')) == []
    assert decoder.eof() == []


def test_held_text_comes_before_the_call_that_follows() -> None:
    """A tail that might have become a tag is spoken before a tool call, not after it."""
    out = decode(
        chunk('{"content":"2 <"}'),
        chunk('{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}', '"stop"'),
    )
    assert out[:3] == [TextDelta("2 "), TextDelta("<"), ToolCallDelta(0, "a", "f", "{}")]


def test_name_that_comes_late_opens_the_call() -> None:
    """Arguments before a name are kept and come with it."""
    out = decode(
        chunk('{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{\\"x\\""}}]}'),
        chunk('{"tool_calls":[{"index":0,"function":{"name":"f","arguments":":1}"}}]}', '"tool_calls"'),
    )
    assert out[0] == ToolCallDelta(0, "a", "f", '{"x":1}')


def test_call_without_a_name_is_a_failure() -> None:
    """A call that nobody could run is no reply."""
    out = decode(chunk('{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{}"}}]}', '"stop"'))
    assert isinstance(out[-1], ModelFailed)
    assert len(out) == 1
