"""The simulated OpenAI Responses over HTTP, used by the real client."""

from typing import Any

import openai
import pytest
from openai.types.responses import FunctionToolParam, Response

from tests.llm.counters import stats
from tests.servers import serving
from voice_agent.llm.simulated.server import create_app

LOOK: FunctionToolParam = {
    "type": "function",
    "name": "look",
    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
    "strict": False,
}


def client(url: str) -> openai.AsyncOpenAI:
    """The real client, pointed at the simulator."""
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)


def asks(*items: dict[str, Any] | str, **fields: Any) -> dict[str, Any]:
    """A request with these items."""
    said = [{"role": "user", "content": item} if isinstance(item, str) else item for item in items]
    include = ["reasoning.encrypted_content"]
    return {"model": "m", "input": said, "tools": [LOOK], "store": False, "include": include, **fields}


async def answer(asking: openai.AsyncOpenAI, *, streams: bool, **fields: Any) -> Response:
    """The whole response, as the client puts it together from a stream or reads it."""
    if not streams:
        response: Response = await asking.responses.create(**fields)
        return response
    async with asking.responses.stream(**fields) as stream:
        *_, last = [event async for event in stream]
    assert last.type in ("response.completed", "response.incomplete")
    return last.response


async def test_text_streams_to_the_real_client() -> None:
    """The client reads words, status and usage, and its numbers have no gaps."""
    async with serving(create_app(0, 0)) as url, client(url) as asking:
        events = [event async for event in await asking.responses.create(**asks("!say a b c"), stream=True)]
        assert await stats(url) == {"requests": 1, "open": 0, "closed_early": 0}
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 3,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "a b c"
    response = events[-1].response
    assert (response.status, response.output_text) == ("completed", "a b c")
    assert response.usage.output_tokens == 3


@pytest.mark.parametrize("streams", [True, False])
async def test_tool_round_trip_with_the_real_client(streams: bool) -> None:
    """The client takes reasoning and parallel calls, sends them back without ids, and hears about the results."""
    words = '!think Hm, so. !redact no !say Wait. !call look {"at": "é"} !call look'
    async with serving(create_app(0, 0)) as url, client(url) as asking:
        response = await answer(asking, streams=streams, **asks(words))
        assert [item.type for item in response.output] == [
            "reasoning", "reasoning", "message", "function_call", "function_call",
        ]  # fmt: skip
        calls = [item for item in response.output if item.type == "function_call"]
        assert [call.arguments for call in calls] == ['{"at": "é"}', "{}"]
        assert [item.phase for item in response.output if item.type == "message"] == ["commentary"]
        back: list[Any] = [item.to_dict() for item in response.output]
        for item in back[2:]:
            for field in ("id", "parsed_arguments"):
                item.pop(field, None)
        for part in back[2]["content"]:
            part.pop("parsed", None)
        results = [{"type": "function_call_output", "call_id": call.call_id, "output": "a cat"} for call in calls]
        done = await answer(asking, streams=streams, **asks(words, *back, *results))
        with pytest.raises(openai.BadRequestError, match="No tool output found"):
            await asking.responses.create(**asks(words, *back, *results[:1]))
        back[0]["summary"] = []
        with pytest.raises(openai.BadRequestError, match="could not be verified"):
            await asking.responses.create(**asks(words, *back, *results))
    assert done.output_text == "Here is what I found: a cat Here is what I found: a cat"
    assert done.usage is not None
    assert 0 < done.usage.input_tokens_details.cached_tokens < done.usage.input_tokens


async def test_reasoning_is_sealed_only_on_request() -> None:
    """Who does not ask for encrypted reasoning gets items that nothing can be done with."""
    async with serving(create_app(0, 0)) as url, client(url) as asking:
        response = await asking.responses.create(**asks("!think Hm. !say Wait.", include=[]))
        [reasoning, _] = response.output
        assert reasoning.type == "reasoning"
        assert reasoning.encrypted_content is None
        with pytest.raises(openai.BadRequestError, match="not found"):
            await asking.responses.create(**asks("!say x", *[item.to_dict() for item in response.output]))


@pytest.mark.parametrize("streams", [True, False])
async def test_ends_that_are_no_failures(streams: bool) -> None:
    """The client reads why a reply is incomplete, a refusal, and that nothing was said."""
    async with serving(create_app(0, 0)) as url, client(url) as asking:
        for fault, cause in (("length", "max_output_tokens"), ("content_filter", "content_filter")):
            response = await answer(asking, streams=streams, **asks(f"!fault {fault}"))
            assert response.status == "incomplete"
            assert response.incomplete_details is not None
            assert response.incomplete_details.reason == cause
        refused = await answer(asking, streams=streams, **asks("!fault refusal"))
        [message] = refused.output
        assert message.type == "message"
        assert message.content[0].type == "refusal"
        empty = await answer(asking, streams=streams, **asks("!fault empty"))
        assert (empty.status, empty.output) == ("completed", [])


async def test_refusals_and_faults() -> None:
    """The client sees refusals and faults as its own errors."""
    faults: tuple[tuple[str, type[openai.APIError]], ...] = (
        ("401", openai.AuthenticationError),
        ("404", openai.NotFoundError),
        ("429", openai.RateLimitError),
        ("529", openai.InternalServerError),
        ("cut", openai.APIError),
    )
    async with serving(create_app(0, 0)) as url, client(url) as asking:
        with pytest.raises(openai.BadRequestError) as refused:
            await asking.responses.create(**asks("hi"), extra_body={"messages": []})
        assert refused.value.param == "messages"
        for fault, error in faults:
            with pytest.raises(error):
                async for _ in await asking.responses.create(**asks(f"!fault {fault}"), stream=True):
                    pass
