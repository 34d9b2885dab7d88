"""A reply that is to fit a schema: where each format says so, how strictly, and what is done where it is refused."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.llm.asking import Asked, asks
from tests.llm.rawserver import DONE, Connection, raw_server
from voice_agent.events import ModelEvent
from voice_agent.llm.capabilities import Api, Capabilities, Capability
from voice_agent.llm.provider import FORMATS
from voice_agent.llm.response_format import is_closed
from voice_agent.llm.simulated import chat_rules, messages_rules, responses_rules
from voice_agent.llm.transcript import Kept
from voice_agent.llm.wire import Http

RULES = {
    "chat": chat_rules.read_request,
    "messages": messages_rules.read_request,
    "responses": responses_rules.read_request,
}
TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


def of(*required: str, **properties: Any) -> dict[str, Any]:
    """A closed object."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


CLOSED = of("day", "hours", day={"enum": ["mon", "tue"]}, hours={"type": "array", "items": of("at", at=NUMBER)})
OPTIONAL = of("day", day=TEXT, note=TEXT)
OPEN = {"type": "object", "properties": {"day": TEXT}, "required": ["day"]}


def encoded(api: Api, schema: dict[str, Any], **known: Any) -> dict[str, Any]:
    """The fields of a request for a reply that fits, which the provider's strict rules have to accept."""
    request = asks("hi", response_format=schema, reasoning="low")
    fields = FORMATS[api].fields(request, "m", "acme/m", Capability(api=api, **known), Kept())
    RULES[api](msgspec.json.encode(fields))
    return fields


def in_words(fields: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Whether the model is told of the schema by the system text."""
    told = fields.get("instructions") or fields.get("system") or fields["messages"][0]["content"]
    text = told if isinstance(told, str) else told[0]["text"]
    return text.startswith("s\n\nAnswer with one JSON document") and text.endswith(msgspec.json.encode(schema).decode())


@pytest.mark.parametrize(
    ("schema", "closed", "strict"),
    [
        (CLOSED, True, True),
        (of(), True, True),
        (of("x", x={"type": ["string", "null"]}), True, True),
        (of("x", x={"anyOf": [TEXT, of("y", y=NUMBER)]}), True, True),
        ({**of("x", x={"$ref": "#/$defs/y"}), "$defs": {"y": of()}}, True, True),
        (OPTIONAL, True, False),
        (of("x", x=of(y=TEXT)), True, False),
        (OPEN, False, False),
        (of("x", x=OPEN), False, False),
        (of("x", x={"type": ["object", "null"]}), False, False),
        (of("x", x={"anyOf": [TEXT, OPEN]}), False, False),
        (of("x", x={"type": "array", "items": OPEN}), False, False),
        ({**of("x", x={"$ref": "#/$defs/y"}), "$defs": {"y": OPEN}}, False, False),
        (of("x", x={"type": "integer", "minimum": 1}), False, False),
        (of("x", x={}), False, False),
        (of("x", x=True), False, False),
        ({**of(), "anyOf": [of()]}, False, False),
        ({**of(), "$ref": "#/$defs/y", "$defs": {"y": of()}}, False, False),
    ],
)
def test_which_schemas_are_closed(schema: dict[str, Any], closed: bool, strict: bool) -> None:
    """A model is kept to those alone; the strict rules of each provider take whatever is sent for any of them."""
    assert (is_closed(schema), is_closed(schema, all_required=True)) == (closed, strict)
    assert encoded("chat", schema)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": strict},
    }
    assert encoded("responses", schema)["text"] == {
        "format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": strict}
    }
    messages = encoded("messages", schema)
    sent: dict[str, Any] = {"effort": "low"} | ({"format": {"type": "json_schema", "schema": schema}} if closed else {})
    assert messages["output_config"] == sent
    assert in_words(messages, schema) != closed


def test_a_schema_without_end_is_not_closed() -> None:
    """However deep it goes."""
    deep: dict[str, Any] = TEXT
    for _ in range(5000):
        deep = {"type": "array", "items": deep}
    assert not is_closed(of("x", x=deep))


@pytest.mark.parametrize(
    ("api", "field", "gone"),
    [
        ("chat", "response_format", "response_format"),
        ("responses", "format", "text"),
        ("messages", "format", "format"),
        ("messages", "output_config", "output_config"),
    ],
)
def test_who_takes_no_format_is_told_in_words(api: Api, field: str, gone: str) -> None:
    """At the end of the system text; beside it, what else is asked for stays."""
    fields = encoded(api, CLOSED, refused=frozenset({field}))
    assert in_words(fields, CLOSED)
    assert gone not in fields
    assert fields.get("output_config", {}) == ({"effort": "low"} if gone == "format" else {})


@pytest.mark.parametrize("api", FORMATS)
def test_nothing_is_said_of_formats_where_none_is_wanted(api: Api) -> None:
    """Refused before or not, such a request is the same."""
    sent = [
        FORMATS[api].fields(asks("hi"), "m", "acme/m", Capability(api=api, refused=frozenset(refused)), Kept())
        for refused in ((), ("response_format", "format", "output_config"))
    ]
    assert sent[0] == sent[1]
    assert not {"response_format", "text", "output_config"} & set(sent[0])


REFUSALS: list[tuple[Api, dict[str, Any], bool]] = [
    ("chat", {"message": "This response_format type is unavailable now"}, True),
    ("chat", {"message": "'response_format' of type 'json_schema' is not supported", "param": "response_format"}, True),
    ("chat", {"message": "Invalid schema for response_format 'answer': no", "param": "response_format"}, False),
    ("responses", {"message": "Unsupported parameter: 'text.format'", "param": "text.format"}, True),
    ("responses", {"message": "Invalid schema for 'answer': no", "param": "text.format.schema"}, False),
    ("messages", {"message": "output_config.format: Extra inputs are not permitted"}, True),
    ("messages", {"message": "output_config.format.schema: recursion is not supported"}, False),
]


@pytest.mark.parametrize(("api", "error", "remembered"), REFUSALS)
async def test_a_refused_format_is_told_in_words(api: Api, error: dict[str, Any], remembered: bool) -> None:
    """At once, before a word; from then on, unless it is this one schema that was refused."""
    bodies: list[dict[str, Any]] = []

    async def picky(connection: Connection) -> None:
        while True:
            bodies.append(msgspec.json.decode((await connection.request())[1]))
            has_format = "response_format" in bodies[-1] or "format" in str(bodies[-1].get("text"))
            if has_format or "format" in bodies[-1].get("output_config", {}):
                connection.send(msgspec.json.encode({"error": error}), "400 Bad Request")
            else:
                connection.send(DONE)

    known, out = Capabilities(), list[ModelEvent]()
    async with raw_server(picky) as url, Http() as http, asyncio.timeout(10):
        model = Asked(http, url, api, known)
        for _ in range(2):
            await model.reply(asks("hi", response_format=CLOSED, reasoning="low"), out.append)
    assert [in_words(body, CLOSED) for body in bodies] == ([False, True, True] if remembered else [False, True] * 2)
    efforts = {"chat": "reasoning_effort", "responses": "reasoning", "messages": "output_config"}
    assert all(efforts[api] in body for body in bodies)
