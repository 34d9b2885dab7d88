"""The simulated Anthropic over HTTP, used by the real client."""

from typing import Any

import anthropic
import msgspec
import pytest
from anthropic.types import MessageParam, ToolParam

from tests.llm.counters import stats
from tests.servers import serving
from voice_agent.llm.simulated.server import create_app

LOOK: ToolParam = {
    "name": "look",
    "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}},
    "eager_input_streaming": True,
}


def client(url: str) -> anthropic.AsyncAnthropic:
    """The real client, pointed at the simulator."""
    return anthropic.AsyncAnthropic(base_url=url, api_key="any", max_retries=0)


def asks(words: str, **fields: Any) -> dict[str, Any]:
    """A request with these words."""
    return {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": words}], "tools": [LOOK], **fields}


async def test_text_streams_to_the_real_client() -> None:
    """The client reads words, stop reason and usage."""
    async with serving(create_app(0, 0)) as url, client(url) as asking:
        async with asking.messages.stream(**asks("!say a b c")) as stream:
            words = [text async for text in stream.text_stream]
            message = await stream.get_final_message()
        assert await stats(url) == {"requests": 1, "open": 0, "closed_early": 0}
    assert words == ["a", " b", " c"]
    assert message.stop_reason == "end_turn"
    assert (message.usage.output_tokens, message.usage.cache_read_input_tokens) == (3, 0)
    assert message.usage.input_tokens > 0


@pytest.mark.parametrize("streams", [True, False])
async def test_tool_round_trip_with_the_real_client(streams: bool) -> None:
    """The client takes thoughts and parallel calls, sends them back as they came, and hears about the results."""
    words = '!think Hm, so. !redact no !say Wait. !call look {"at": "é"} !call look'
    async with serving(create_app(0, 0)) as url, client(url) as asking:
        asked = asks(words)
        if streams:
            async with asking.messages.stream(**asked) as stream:
                message = await stream.get_final_message()
        else:
            message = await asking.messages.create(**asked)
        assert message.stop_reason == "tool_use"
        assert [block.type for block in message.content] == [
            "thinking", "redacted_thinking", "text", "tool_use", "tool_use",
        ]  # fmt: skip
        calls = [block for block in message.content if block.type == "tool_use"]
        assert [call.input for call in calls] == [{"at": "é"}, {}]
        results: Any = [{"type": "tool_result", "tool_use_id": call.id, "content": "a cat"} for call in calls]
        said: list[MessageParam] = [*asked["messages"], message.to_param(), {"role": "user", "content": results}]
        answer = await asking.messages.create(**asks("", messages=said))
        said[-1] = {"role": "user", "content": results[:1]}
        with pytest.raises(anthropic.BadRequestError, match="without `tool_result` blocks"):
            await asking.messages.create(**asks("", messages=said))
    assert [block.text for block in answer.content if block.type == "text"] == [
        "Here is what I found: a cat Here is what I found: a cat"
    ]
    assert answer.usage.cache_read_input_tokens is not None
    assert answer.usage.cache_read_input_tokens > 0


async def test_refusals_and_faults() -> None:
    """The client sees refusals and faults as its own errors."""
    faults: tuple[tuple[str, type[anthropic.APIError]], ...] = (
        ("401", anthropic.AuthenticationError),
        ("404", anthropic.NotFoundError),
        ("429", anthropic.RateLimitError),
        ("529", anthropic.APIStatusError),
    )
    async with serving(create_app(0, 0)) as url, client(url) as asking:
        with pytest.raises(anthropic.BadRequestError, match="temperature: Extra inputs are not permitted"):
            await asking.messages.create(**asks("hi"), extra_body={"temperature": 1})
        for fault, error in faults:
            with pytest.raises(error):
                await asking.messages.create(**asks(f"!fault {fault}"))
        for fault in ("length", "refusal"):
            message = await asking.messages.create(**asks(f"!fault {fault}"))
            assert message.stop_reason == {"length": "max_tokens", "refusal": "refusal"}[fault]
        empty = await asking.messages.create(**asks("!fault empty"))
        assert (empty.content, empty.stop_reason) == ([], "end_turn")
        with pytest.raises(Exception, match=r"closed|incomplete"):  # the transport's own, not the client's
            async for _ in await asking.messages.create(**asks("!fault cut"), stream=True):
                pass


async def test_models_in_both_shapes() -> None:
    """Who names an API version is told of thinking and limits, as this client reads them."""
    async with serving(create_app(0, 0)) as url, client(url) as asking:
        models = [model async for model in asking.models.list(limit=1000)]
    assert [(model.id, model.max_tokens, model.max_input_tokens) for model in models] == [
        ("simulated", 64_000, 200_000)
    ]
    assert models[0].capabilities is not None
    assert models[0].capabilities.thinking.types.disabled.supported
    assert msgspec.json.encode(models[0].display_name) == b'"Simulated"'
