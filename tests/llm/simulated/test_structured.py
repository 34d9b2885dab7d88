"""Replies that are to fit a schema: what each provider refuses of one, and what the model answers with."""

from typing import Any

import msgspec
import pytest

from tests.llm.asking import asks, reply
from tests.servers import serving
from voice_agent.events import TextDelta, ToolCallDelta
from voice_agent.llm.capabilities import Api
from voice_agent.llm.provider import FORMATS
from voice_agent.llm.simulated import chat_rules, messages_rules, responses_rules
from voice_agent.llm.simulated.document import fitting
from voice_agent.llm.simulated.request import Refused
from voice_agent.llm.simulated.server import create_app
from voice_agent.messages import Message, ToolCall
from voice_agent.tools.schema import check_of

TEXT = {"type": "string"}
SCHEMA = {"type": "object", "properties": {"day": TEXT}, "required": ["day"], "additionalProperties": False}
OPEN = {"type": "object"}
OPTIONAL = {**SCHEMA, "required": []}
NESTED = {**SCHEMA, "properties": {"day": {"type": "array", "items": OPEN}}}
HOSTILE = {
    "type": "object",
    "allOf": [{"$ref": "#"}, {"$ref": "#"}],
    "properties": {"a": {"$ref": "#"}, "b": {"type": "array", "minItems": 10**9, "items": {"$ref": "#"}}},
    "required": ["a", "b"],
}
_USER = {"role": "user", "content": "hi"}


def read(api: Api, given: Any) -> dict[str, Any] | None:
    """The schema that is read from a request's format. Raises Refused."""
    match api:
        case "chat":
            body = {"model": "m", "messages": [_USER], "response_format": given}
            return chat_rules.read_request(msgspec.json.encode(body)).response_format
        case "responses":
            body = {"model": "m", "input": "hi", "text": {"format": given}}
            return responses_rules.read_request(msgspec.json.encode(body)).response_format
        case _:
            body = {"model": "m", "max_tokens": 9, "messages": [_USER], "output_config": {"format": given}}
            return messages_rules.read_request(msgspec.json.encode(body)).response_format


def chat(**fields: Any) -> dict[str, Any]:
    """A format as Chat Completions has it."""
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True, **fields}}


def responses(**fields: Any) -> dict[str, Any]:
    """A format as Responses has it."""
    return {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True, **fields}


def messages(**fields: Any) -> dict[str, Any]:
    """A format as Messages has it."""
    return {"type": "json_schema", "schema": SCHEMA, **fields}


SOUND: list[tuple[Api, Any, dict[str, Any] | None]] = [
    ("chat", chat(), SCHEMA),
    ("chat", chat(schema=OPEN, strict=False), OPEN),
    ("chat", {"type": "text"}, None),
    ("chat", {"type": "json_object"}, OPEN),
    ("responses", responses(), SCHEMA),
    ("responses", responses(schema=OPTIONAL, strict=False), OPTIONAL),
    ("responses", {"type": "text"}, None),
    ("messages", messages(), SCHEMA),
    ("messages", messages(schema=OPTIONAL), OPTIONAL),
    ("messages", None, None),
]


@pytest.mark.parametrize(("api", "given", "schema"), SOUND)
def test_sound_formats(api: Api, given: Any, schema: dict[str, Any] | None) -> None:
    """Each is read in its own shape."""
    assert read(api, given) == schema


REFUSED: list[tuple[Api, Any, str]] = [
    ("chat", "json", "response_format"),
    ("chat", {"type": "yaml"}, "response_format.type"),
    ("chat", responses(), "response_format.json_schema"),
    ("chat", chat(name="a b"), "response_format.json_schema.name"),
    ("chat", chat(schema=None), "response_format.json_schema.schema"),
    ("chat", chat(strict="yes"), "response_format.json_schema.strict"),
    ("chat", chat(colour="red"), "response_format.json_schema.colour"),
    ("chat", chat(schema=TEXT, strict=False), "response_format"),
    *(("chat", chat(schema=schema), "response_format") for schema in (OPEN, OPTIONAL, NESTED)),
    ("chat", chat(schema={**SCHEMA, "allOf": []}), "response_format"),
    ("chat", chat(schema={**SCHEMA, "anyOf": [SCHEMA]}), "response_format"),
    ("responses", {"format": "json"}, "text.format.type"),
    ("responses", chat(), "text.format.json_schema"),
    ("responses", responses(name=""), "text.format.name"),
    ("responses", responses(schema=TEXT), "text.format.schema"),
    *(("responses", responses(schema=schema), "text.format.schema") for schema in (OPEN, OPTIONAL, NESTED)),
    ("messages", {"type": "text"}, "output_config.format.type"),
    ("messages", responses(), "output_config.format.name"),
    ("messages", messages(schema=None), "output_config.format.schema"),
    *(("messages", messages(schema=schema), "output_config.format.schema") for schema in (OPEN, NESTED)),
    ("messages", messages(schema={**SCHEMA, "minProperties": 1, "maxLength": 5}), "output_config.format.schema"),
]


@pytest.mark.parametrize(("api", "given", "param"), REFUSED)
def test_refused_formats(api: Api, given: Any, param: str) -> None:
    """Each broken rule is refused, naming the field."""
    with pytest.raises(Refused) as caught:
        read(api, given)
    assert caught.value.param == param


@pytest.mark.parametrize(
    "properties",
    [
        {"any": {}, "text": TEXT, "yes": {"type": "boolean"}, "none": {"type": "null"}},
        {"one": {"const": 5}, "pick": {"enum": ["p", "q"]}, "maybe": {"type": ["null", "string"]}},
        {"low": {"type": "integer", "minimum": 1000}, "high": {"type": "number", "exclusiveMaximum": -3}},
        {"long": {"type": "string", "minLength": 99}, "short": {"type": "string", "maxLength": 2}},
        {"list": {"type": "array", "minItems": 2, "items": SCHEMA}, "in": SCHEMA, "same": {"$ref": "#/$defs/x"}},
        {"either": {"anyOf": [SCHEMA, TEXT]}, "one": {"oneOf": [{"type": "array"}]}},
        {"both": {"allOf": [OPEN, {"properties": {"x": TEXT}, "required": ["x"]}]}},
        {"date": {"type": "string", "format": "date"}, "mail": {"type": "string", "format": "email"}},
    ],
)
def test_documents_fit(properties: dict[str, Any]) -> None:
    """Whatever is required, and whatever the user said."""
    schema = {"type": "object", "properties": properties, "required": [*properties], "$defs": {"x": SCHEMA}}
    for words in ("", "in 5 minutes", 'a "quoted" word'):
        assert check_of(schema)(msgspec.json.decode(fitting(schema, words))) is None


def test_a_hostile_schema_is_answered() -> None:
    """One that refers to itself, and demands a thousand million things."""
    assert len(fitting(HOSTILE, "hi")) < 10**6


@pytest.mark.parametrize("api", FORMATS)
async def test_the_model_answers_with_a_document(api: Api) -> None:
    """After a tool's result too; what a directive says is said as it stands, and calls are made as ever."""
    step = Message("assistant", "", 0.0, tool_calls=(ToolCall("a", "look", "{}"),))
    seen = Message("tool", "a cat", 0.0, tool_call_id="a")
    requests = (asks("monday"), asks("monday", step, seen), asks("!say nonsense"), asks("go", tool_choice="required"))
    said, called = [], []
    async with serving(create_app(0, 0)) as url:
        for request in requests:
            out = await reply(url, api, msgspec.structs.replace(request, response_format=SCHEMA))
            said.append("".join(event.text for event in out if isinstance(event, TextDelta)))
            called.append(any(isinstance(event, ToolCallDelta) for event in out))
    assert said == ['{"day":"monday"}', '{"day":"monday"}', "nonsense", ""]
    assert called == [False, False, False, True]
