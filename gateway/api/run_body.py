"""What a request for a run may say: words or answers, and how the run is to be done. Every fault is found at once."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError
from pydantic_core import ErrorDetails

from gateway.answering import Given
from gateway.api.common import body_schema, read_object
from gateway.errors import InvalidRequest
from gateway.orders import checked
from voice_agent.agent import Fault, faults_of
from voice_agent.events import ApprovalGiven, ToolReturned
from voice_agent.run_record import RunOptions

MAX_MESSAGES = 100
MAX_TEXT = 16_000
MAX_CLIENT_TOOLS = 64
EventType = Literal[
    "turn.started", "speech.delta", "speech.flush", "tool.started", "tool.finished", "tool.request",
    "approval.request", "turn.spoken", "turn.ended", "error", "message", "run.ended",
]  # fmt: skip
Stream = Literal["steps", "tokens"]


def _has_words(text: str) -> str:
    if not text.strip():
        raise ValueError("there is nothing in it")
    return text


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


CallId = Annotated[str, Field(min_length=1, max_length=64)]


class Words(_Body):
    """What the user says."""

    role: Literal["user"]
    text: Annotated[str, AfterValidator(_has_words), Field(max_length=MAX_TEXT)]


class Approval(_Body):
    """A person's decision on a call; `reason` is for the model, if they said no."""

    call_id: CallId
    approved: bool
    reason: str | None = Field(default=None, max_length=MAX_TEXT)


class Approvals(_Body):
    """Decisions on calls that wait for one."""

    role: Literal["approval"]
    approvals: list[Approval] = Field(min_length=1, max_length=MAX_MESSAGES)


class Returned(_Body):
    """What a tool that the client runs has brought."""

    call_id: CallId
    output: Any
    is_error: bool = False


class Returns(_Body):
    """Results of calls that wait for one."""

    role: Literal["tool"]
    returns: list[Returned] = Field(min_length=1, max_length=MAX_MESSAGES)


def _role(entry: Any) -> str:
    return str(entry.get("role") if isinstance(entry, dict) else getattr(entry, "role", None))


_Entry = Annotated[
    Annotated[Words, Tag("user")] | Annotated[Approvals, Tag("approval")] | Annotated[Returns, Tag("tool")],
    Discriminator(_role),
]


class RunBody(_Body):
    """A request for a run."""

    messages: list[_Entry] = Field(
        min_length=1,
        max_length=MAX_MESSAGES,
        description="what the user says; or decisions and results that the last run waits for, in any mix",
    )
    max_steps: int | None = Field(
        default=None, ge=1, le=50, description="model calls; unset: the agent's, if it says, else 50"
    )
    client_tools: list[Any] = Field(
        default=[], max_length=MAX_CLIENT_TOOLS, description="tools that the client runs, of the shape an agent's have"
    )
    response_format: dict[str, Any] | None = Field(
        default=None, description="JSON Schema of type object, which the last words are to fit"
    )
    background: bool = Field(default=False, description="answer at once, with the run's id")
    stream: Stream | None = Field(default=None, description="events: each message when it is complete, or each token")
    dry_run: bool = Field(default=False, description="answer with the provider's request, which is not sent")
    include: list[EventType] | None = Field(
        default=None, max_length=20, description="the types of events to stream; `run.ended` always is"
    )
    trace: bool = Field(default=False, description="keep the exchanges with the provider in the run's steps")

    @property
    def words(self) -> tuple[str, ...]:
        """What the user says."""
        return tuple(entry.text for entry in self.messages if isinstance(entry, Words))

    @property
    def options(self) -> RunOptions:
        """What holds for the run when it goes on, too."""
        return RunOptions(
            max_steps=self.max_steps,
            client_tools=tuple(self.client_tools),
            response_format=self.response_format,
            trace=self.trace,
        )

    def given(self) -> tuple[Given, ...]:
        """The answers, each once. Raises InvalidRequest if there are different ones for one call."""
        found: dict[str, Given] = {}
        faults = []
        for each in self._answers():
            first = found.setdefault(each.answer.call_id, each)
            if first.answer != each.answer:
                faults.append(Fault(each.path, f"this call has another answer at {first.path}"))
        if faults:
            raise InvalidRequest(*faults)
        return tuple(found.values())

    def _answers(self) -> list[Given]:
        answers: list[Given] = []
        for place, entry in enumerate(self.messages):
            if isinstance(entry, Approvals):
                for n, said in enumerate(entry.approvals):
                    decision = ApprovalGiven(said.call_id, said.approved, said.reason)
                    answers.append(Given(decision, f"/messages/{place}/approvals/{n}/call_id"))
            elif isinstance(entry, Returns):
                for n, back in enumerate(entry.returns):
                    text = back.output if isinstance(back.output, str) else msgspec.json.encode(back.output).decode()
                    result = ToolReturned(back.call_id, text, "error" if back.is_error else "ok")
                    answers.append(Given(result, f"/messages/{place}/returns/{n}/call_id"))
        return answers


async def read_run_body(request: Request) -> RunBody:
    """The request's body. Raises as `read_object`, and InvalidRequest with every fault in it."""
    given = await read_object(request)
    try:
        body = RunBody.model_validate_json(msgspec.json.encode(given))
    except ValidationError as error:
        faults = faults_of(map(_in_place, error.errors(include_url=False)))
        raise InvalidRequest(*faults, *_within(given)) from None
    if found := _together(body):
        raise InvalidRequest(*found, *_within(given))
    return body


def _within(given: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with tools and schema, as far as they can be read; where all else is right, that is found later."""
    tools, schema = given.get("client_tools"), given.get("response_format")
    readable = tools if isinstance(tools, list) and len(tools) <= MAX_CLIENT_TOOLS else []
    *_, faults = checked(readable, schema if isinstance(schema, dict) else None)
    return faults


def _together(body: RunBody) -> list[Fault]:
    """What does not go together."""
    faults = []
    answers = len(body.words) < len(body.messages)
    if body.words and answers:
        faults.append(Fault("/messages", "a user's words do not go together with decisions and results"))
    if body.background and body.stream is not None:
        faults.append(Fault("/stream", "a run in the background is not streamed"))
    if body.dry_run and (body.background or body.stream is not None):
        faults.append(Fault("/dry_run", "a dry run is neither streamed nor in the background"))
    if body.dry_run and answers:
        faults.append(Fault("/dry_run", "a dry run takes a user's words only"))
    return faults


def _in_place(error: ErrorDetails) -> ErrorDetails:
    """A fault with the path that its field has in the body, into which pydantic puts the entry's role."""
    path = error["loc"]
    if path[:1] != ("messages",) or len(path) < 2:
        return error
    if error["type"] == "union_tag_invalid":
        missing = error.get("ctx", {}).get("tag") == "None"
        message = "this field is required" if missing else "there is no such role; there are user, approval and tool"
        return {**error, "loc": (*path, "role"), "msg": message}
    return {**error, "loc": (*path[:2], *path[3:])}


def run_body_schema() -> dict[str, Any]:
    """The body's OpenAPI entry."""
    schema = RunBody.model_json_schema()
    # Parts that pydantic refers to are written out: OpenAPI does not resolve references into a part of itself.
    parts = schema.pop("$defs")
    entries = [_written_out(parts[kind.__name__], parts) for kind in (Words, Approvals, Returns)]
    schema["properties"]["messages"]["items"] = {"oneOf": entries}
    return body_schema(schema)


def _written_out(value: Any, parts: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_written_out(each, parts) for each in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return _written_out(parts[value["$ref"].rpartition("/")[2]], parts)
    return {name: _written_out(each, parts) for name, each in value.items()}
