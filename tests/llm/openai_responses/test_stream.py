"""The Responses decoder against bad endings and other APIs' replies. Whole streams: `test_goldens`."""

import msgspec
import pytest

from tests.llm.goldens import decode_responses as decode
from voice_agent.events import ModelFailed, ModelFinished, TextDelta, ToolCallDelta
from voice_agent.llm.openai_responses.stream import ResponsesDecoder
from voice_agent.messages import Opaque, Usage


def frame(**fields: object) -> bytes:
    """One event of a stream."""
    return b"data: " + msgspec.json.encode(fields) + b"\n\n"


def said(text: str) -> bytes:
    """A piece of the first message."""
    return frame(type="response.output_text.delta", output_index=0, delta=text)


def ended(kind: str, **fields: object) -> bytes:
    """The last event."""
    return frame(type=f"response.{kind}", response={"object": "response", "status": kind, **fields})


@pytest.mark.parametrize("rest", [b"", b"data: [DONE]\n\n"])
def test_end_without_a_last_event_is_a_cut(rest: bytes) -> None:
    """A stream that just ends has failed, and may be tried again; `[DONE]` changes nothing."""
    assert decode(said("a"), rest) == [TextDelta("a"), ModelFailed("acme cut its reply off", retryable=True)]


def test_last_event_without_its_blank_line() -> None:
    """The last event counts though the stream ends right behind it."""
    assert decode(said("a"), ended("completed").rstrip())[-1] == ModelFinished("stop", Usage(steps=1))


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"reason": "max_output_tokens"}, "length"),
        ({"reason": "content_filter"}, "content_filter"),
        ({"reason": "steered"}, None),
        (None, None),
    ],
)
def test_incomplete_replies(details: object, reason: str | None) -> None:
    """An incomplete reply is a clean end for its reason."""
    end = decode(said("a"), ended("incomplete", incomplete_details=details))[-1]
    assert isinstance(end, ModelFinished)
    assert end.reason == reason


def test_reasoning_that_cannot_go_back_leaves_nothing() -> None:
    """An item without encrypted content is known to nobody: all that is kept of it is that it lived."""
    item: dict[str, object] = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": None}
    out = decode(frame(type="response.output_item.done", output_index=0, item=item), ended("completed"))
    assert out[:-1] == [Opaque("acme/model", "reasoning", "", block=0)]


def test_what_came_in_pieces_does_not_come_again_whole() -> None:
    """An item that is told of only at its end, or in part before, gives what is missing and nothing twice."""
    message = {"type": "message", "content": [{"type": "output_text", "text": "Hi."}], "phase": "final_answer"}
    call = {"type": "function_call", "call_id": "a", "arguments": '{"x":1}'}
    out = decode(
        said("Hi."),
        frame(type="response.output_item.done", output_index=0, item=message),
        frame(type="response.output_item.added", output_index=1, item={**call, "arguments": ""}),
        frame(type="response.function_call_arguments.delta", output_index=1, delta='{"'),
        frame(type="response.output_item.done", output_index=1, item={**call, "name": "look"}),
        frame(type="response.output_item.added", output_index=2, item={**call, "name": "look", "arguments": '{"'}),
        frame(type="response.function_call_arguments.delta", output_index=2, delta="x"),
        frame(type="response.function_call_arguments.done", output_index=2, arguments='{"x":1}'),
        ended("completed"),
    )
    assert out[:-1] == [
        TextDelta("Hi."),
        ToolCallDelta(0, "a", "look"),
        ToolCallDelta(0, json='{"x":1}'),
        ToolCallDelta(1, "a", "look"),
        ToolCallDelta(1, json='{"'),
        ToolCallDelta(1, json="x"),
        ToolCallDelta(1, json='":1}'),
    ]


def test_only_messages_in_a_row_are_set_apart() -> None:
    """A space keeps two sentences apart unless one is there, or a call stands between them."""

    def begins(place: int, **item: object) -> bytes:
        return frame(type="response.output_item.added", output_index=place, item=item)

    out = decode(
        *(begins(0, type="message"), said("One. ")),
        *(begins(1, type="message"), said("Two.")),
        *(begins(2, type="function_call", call_id="a", name="look", arguments="{}"),),
        *(begins(3, type="message"), said("Three.")),
        *(begins(4, type="reasoning"), begins(5, type="message"), said("Four.")),
        ended("completed"),
    )
    texts = [event.text for event in out if isinstance(event, TextDelta)]
    assert texts == ["One. ", "Two.", "Three.", " ", "Four."]


def test_items_are_told_apart_by_id_where_no_index_comes() -> None:
    """A server that sends no index is understood by the items' ids."""
    calls = [{"id": f"fc_{name}", "type": "function_call", "call_id": name, "name": "look"} for name in "ab"]
    pieces = [("fc_b", '{"b'), ("fc_a", "{}"), ("fc_b", '":1}')]
    out = decode(
        *(frame(type="response.output_item.added", item=call) for call in calls),
        *(frame(type="response.function_call_arguments.delta", item_id=of, delta=piece) for of, piece in pieces),
        ended("completed"),
    )
    assert out[2:-1] == [ToolCallDelta(1, json='{"b'), ToolCallDelta(0, json="{}"), ToolCallDelta(1, json='":1}')]


@pytest.mark.parametrize(
    ("stream", "error", "retryable"),
    [
        (frame(type="error", code="server_error", message="hold s3cret-key", param=None), ": hold ***", True),
        (frame(type="error", error={"type": "invalid_request_error", "message": "no"}), ": no", False),
        (frame(error={"message": "no", "code": "invalid_prompt"}), ": no", False),
        (ended("failed", error={"code": "rate_limit_exceeded", "message": "slow"}), ": slow", True),
        (ended("failed", error={"code": "invalid_prompt", "message": "no"}), ": no", False),
        (ended("failed", error=None), "", True),
        (b'{"error":{"message":"gone wrong"}}', ": gone wrong", True),
        (b'{"object":"response","status":"failed","error":{"code":"server_error","message":"m"}}', ": m", True),
    ],
)
def test_errors_end_the_reply(stream: bytes, error: str, retryable: bool) -> None:
    """An error inside a 200, in each of its shapes, ends the reply without the key."""
    assert decode(stream) == [ModelFailed(f"acme failed in the middle of its reply{error}", retryable)]


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: {oops\n\n",
        b"data: {}\n\n",
        b"data: 5\n\n",
        b'{"a": 1}',
        b"[]",
        b'{"object":"response","output":5}',
        frame(type="response.completed"),
        frame(type="response.output_item.added", output_index=0, item=None),
    ],
)
def test_garbage_is_a_failure(garbage: bytes) -> None:
    """What is no reply is one failure that may be tried again."""
    assert decode(garbage) == [ModelFailed("acme sent something that is no reply", retryable=True)]


@pytest.mark.parametrize(
    "reply",
    [
        b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n',
        b'{"object":"chat.completion","choices":[{"index":0,"message":{"content":"hi"}}]}',
        b'event: message_start\ndata: {"type":"message_start","message":{"type":"message","content":[]}}\n\n',
        b'{"type":"message","role":"assistant","content":[{"type":"text","text":"hi"}]}',
    ],
)
def test_reply_of_another_api(reply: bytes) -> None:
    """Chat Completions' and Anthropic's streams and documents are named as what they are, not as garbage."""
    error = "acme does not answer as OpenAI Responses does: check its address and its `api` setting"
    assert decode(reply) == [ModelFailed(error)]


def test_events_to_come_are_passed_over() -> None:
    """An event of an unknown kind may hold anything under any name."""
    strange = frame(type="response.hum", delta={"x": 1}, item=5, response="r", output_index=[1], error=None)
    assert decode(strange, said("a"), ended("completed"))[0] == TextDelta("a")


def test_nothing_follows_the_end() -> None:
    """Bytes behind the last event give no events."""
    decoder = ResponsesDecoder("acme/model", "acme")
    assert decoder.feed(ended("completed") + said("late")) == [ModelFinished("stop", Usage(steps=1))]
    assert decoder.feed(said("later")) + decoder.eof() == []


def test_background_status_is_no_end() -> None:
    """A document of a response that is still under way, or was cancelled, is no whole reply."""
    for status in ("in_progress", "queued", "cancelled"):
        document = msgspec.json.encode({"object": "response", "status": status, "output": []})
        assert decode(document) == [ModelFailed("acme cut its reply off", retryable=True)]
