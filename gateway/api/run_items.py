"""Runs as they are shown: what came of one, and what each of its steps took."""

from typing import Any, Literal

import msgspec
from pydantic import BaseModel, Field

from gateway.api.common import timestamp
from gateway.api.messages import MessageItem, item_of
from voice_agent.events import EndReason
from voice_agent.run_record import RunRecord, RunStatus, StepRecord

_AT: dict[str, Any] = {"format": "date-time"}


class UsageItem(BaseModel):
    """What the model took. Tokens are null where the provider reports none."""

    steps: int
    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    attempts: int = Field(description="requests sent to models, those that were lost included")
    hedges: int = Field(description="of these, sent beside another that was late")


class PartItem(BaseModel):
    """One share of the time."""

    name: str
    ms: float


class LatencyItem(BaseModel):
    """Where the milliseconds of the last request went; `parts` add up to `total`."""

    first_speech: float | None
    first_reply: float | None
    gateway: float
    total: float
    parts: list[PartItem]


class PendingItem(BaseModel):
    """A call that waits for the client: for a person's decision, or for what its tool returns."""

    call_id: str
    name: str
    arguments: dict[str, Any]
    waits_for: Literal["decision", "result"]


class RunItem(BaseModel):
    """A run: how it stands, why it ended, and its turn's messages. One without an id is not in the log yet."""

    run_id: str
    agent_id: str
    user: str
    turn_id: str
    status: RunStatus
    reason: EndReason | None
    messages: list[MessageItem]
    usage: UsageItem | None
    latency: LatencyItem | None
    pending: list[PendingItem]
    error: str | None
    background: bool
    created_at: str = Field(description="RFC 3339", json_schema_extra=_AT)
    ended_at: str | None = Field(description="RFC 3339; null while it goes on or waits")


class RunBegun(BaseModel):
    """A run that goes on by itself; `GET /v1/runs/{run_id}` tells how it stands."""

    run_id: str
    status: RunStatus


class PreviewItem(BaseModel):
    """The request that a provider would be sent, without its headers."""

    method: str
    url: str
    body: Any


class ToolTimeItem(BaseModel):
    """How long one call took."""

    name: str
    call_id: str
    ms: float


class TraceItem(BaseModel):
    """One exchange with the provider, secrets masked. `status` is null if no answer came."""

    request: Any
    status: int | None
    response: str


class StepItem(BaseModel):
    """One reply of the model and the calls in it. `stop` is the model's finish reason."""

    index: int
    model: str
    started_at: str = Field(description="RFC 3339", json_schema_extra=_AT)
    model_ms: float
    first_token_ms: float | None
    tools: list[ToolTimeItem]
    usage: UsageItem | None
    stop: str | None
    error: str | None
    traces: list[TraceItem]


class StepPage(BaseModel):
    """All steps of a run, in order; `next` is null."""

    items: list[StepItem]
    next: None = None


def run_item(record: RunRecord) -> RunItem:
    """A run without its steps."""
    return RunItem(
        run_id=record.id,
        agent_id=record.agent,
        user=record.user,
        turn_id=record.turn_id,
        status=record.status,
        reason=record.reason,
        messages=[item_of(message, record.turn_id) for message in record.messages],
        usage=None if record.usage is None else UsageItem(**msgspec.to_builtins(record.usage)),
        latency=None if record.latency is None else LatencyItem(**msgspec.to_builtins(record.latency)),
        pending=[PendingItem(**msgspec.to_builtins(call)) for call in record.pending],
        error=record.error,
        background=record.background,
        created_at=timestamp(record.created_at),
        ended_at=None if record.ended_at is None else timestamp(record.ended_at),
    )


def step_item(step: StepRecord) -> StepItem:
    """One step."""
    return StepItem(
        index=step.index,
        model=step.model,
        started_at=timestamp(step.started_at),
        model_ms=step.model_ms,
        first_token_ms=step.first_token_ms,
        tools=[ToolTimeItem(name=tool.name, call_id=tool.call_id, ms=tool.ms) for tool in step.tools],
        usage=None if step.usage is None else UsageItem(**msgspec.to_builtins(step.usage)),
        stop=step.stop,
        error=step.error,
        traces=[
            TraceItem(request=msgspec.json.decode(trace.request), status=trace.status, response=trace.response)
            for trace in step.traces
        ],
    )
