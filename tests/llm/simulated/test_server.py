"""The simulated provider over HTTP, used by the real OpenAI client."""

import random
from typing import Any

import msgspec
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.llm.counters import stats
from tests.servers import serving
from voice_agent.clock import SystemClock
from voice_agent.llm.simulated.server import Stalls, create_app

TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {
            "name": "set_reminder",
            "parameters": {
                "type": "object",
                "properties": {"text": {"type": "string"}, "minutes": {"type": "number"}},
                "required": ["text", "minutes"],
            },
        },
    }
]


def client(url: str) -> openai.AsyncOpenAI:
    """The real client, pointed at the simulator."""
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)


async def test_text_streams_to_the_real_client() -> None:
    """The client reads words, finish reason and usage."""
    async with serving(create_app(0, 0)) as url, client(url) as asking:
        stream = await asking.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "!say a b c"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        assert await stats(url) == {"requests": 1, "open": 0, "closed_early": 0}
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "a b c"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3


async def test_tool_round_trip_with_the_real_client() -> None:
    """The client streams a call, answers it, and hears about the result."""
    said: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Remind me to call Ann in 5 minutes"}]
    async with serving(create_app(0, 0)) as url, client(url) as asking:
        call_id, arguments = "", ""
        async for chunk in await asking.chat.completions.create(model="m", messages=said, tools=TOOLS, stream=True):
            for piece in chunk.choices[0].delta.tool_calls or ():
                call_id = piece.id or call_id
                arguments += (piece.function and piece.function.arguments) or ""
        assert msgspec.json.decode(arguments) == {"text": "call Ann", "minutes": 5}
        function = {"name": "set_reminder", "arguments": arguments}
        calls: Any = [{"id": call_id, "type": "function", "function": function}]
        said += [
            {"role": "assistant", "tool_calls": calls},
            {"role": "tool", "tool_call_id": call_id, "content": "reminder set"},
        ]
        answer = await asking.chat.completions.create(model="m", messages=said, tools=TOOLS)
    assert answer.choices[0].message.content == "Done: reminder set"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details is not None
    assert 0 < (answer.usage.prompt_tokens_details.cached_tokens or 0) < answer.usage.prompt_tokens


async def test_whole_calls_without_streaming() -> None:
    """A reply in one piece holds every call, whole."""
    async with serving(create_app(0, 0)) as url, client(url) as asking:
        words = '!say Wait. !call set_reminder {"text":"é"} !call set_reminder'
        answer = await asking.chat.completions.create(
            model="m", messages=[{"role": "user", "content": words}], tools=TOOLS
        )
    message = answer.choices[0].message
    assert message.content == "Wait."
    calls = [call.function for call in message.tool_calls or () if call.type == "function"]
    assert [(call.name, call.arguments) for call in calls] == [
        ("set_reminder", '{"text":"é"}'),
        ("set_reminder", "{}"),
    ]
    assert answer.choices[0].finish_reason == "tool_calls"


async def test_a_refusing_model_says_so_in_a_field_of_its_own() -> None:
    """In a stream as in one piece; the reply itself ends as any other."""
    async with serving(create_app(0, 0)) as url, client(url) as asking:
        asked: list[ChatCompletionMessageParam] = [{"role": "user", "content": "!say a b c d !fault refusal"}]
        whole = await asking.chat.completions.create(model="m", messages=asked)
        stream = await asking.chat.completions.create(model="m", messages=asked, stream=True)
        pieces = [chunk.choices[0] async for chunk in stream]
    assert (whole.choices[0].message.content, whole.choices[0].message.refusal) == (None, "a b")
    assert [piece.delta.refusal for piece in pieces] == ["a", " b", None]
    assert (whole.choices[0].finish_reason, pieces[-1].finish_reason) == ("stop", "stop")


async def test_refusals_and_models() -> None:
    """The client sees refusals and faults as its own errors, and the list of models."""
    async with serving(create_app(0, 0)) as url, client(url) as asking:
        with pytest.raises(openai.BadRequestError) as refused:
            await asking.chat.completions.create(model="m", messages=[{"role": "user", "content": ""}])
        with pytest.raises(openai.RateLimitError):
            await asking.chat.completions.create(model="m", messages=[{"role": "user", "content": "!fault 429"}])
        with pytest.raises(openai.APIError):
            async for _ in await asking.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "!fault cut"}], stream=True
            ):
                pass
        assert [found.id async for found in asking.models.list()] == ["simulated"]
    assert refused.value.param == "messages[0].content"


async def test_a_refusal_says_when_to_come_again() -> None:
    """As the real client reads it."""
    async with serving(create_app(0, 0)) as url, client(url) as asking:
        words = "!fault 429 !retry_after_ms 1500"
        with pytest.raises(openai.RateLimitError) as refused:
            await asking.chat.completions.create(model="m", messages=[{"role": "user", "content": words}])
    assert refused.value.response.headers["retry-after-ms"] == "1500"


async def test_a_share_of_the_requests_stalls() -> None:
    """By chance, and in every server by the same; refusals do not."""
    slow = []
    async with serving(create_app(0, 0, Stalls(0.3, 30))) as url, client(url) as asking:
        for number in range(20):
            asked = SystemClock().now()
            await asking.chat.completions.create(model="m", messages=[{"role": "user", "content": "!say Hi."}])
            if SystemClock().now() - asked >= 0.03:
                slow.append(number)
    chance = random.Random(1)
    assert {number for number in range(20) if chance.random() < 0.3} <= set(slow)
    assert len(slow) < 20
