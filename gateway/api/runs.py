"""`POST /v1/agents/{id}/messages` and `/v1/runs`: a turn without a socket, blocking, streamed or in the background."""

from typing import Any, Protocol

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from gateway.answering import Given, refuse_words
from gateway.api.common import problems
from gateway.api.run_body import RunBody, read_run_body, run_body_schema
from gateway.api.run_items import PreviewItem, RunBegun, RunItem, StepPage, run_item, step_item
from gateway.api.run_stream import HEADERS, Feed, last_frame
from gateway.orders import Asked
from voice_agent.agent import DEFAULT_USER, User
from voice_agent.llm.base import Preview
from voice_agent.run_record import RunRecord
from voice_agent.runs.run import Run


class Runner(Protocol):
    """Who runs them; see `gateway.runs`."""

    async def start(self, asked: Asked, words: tuple[str, ...]) -> Run: ...

    async def preview(self, asked: Asked, words: tuple[str, ...]) -> Preview: ...

    async def answer(self, asked: Asked, given: tuple[Given, ...]) -> Run | RunRecord: ...

    async def find(self, run_id: str) -> RunRecord: ...

    async def cancel(self, run_id: str) -> RunRecord: ...


def router(runner: Runner) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["runs"])

    @routes.post(
        "/v1/agents/{agent_id}/messages",
        openapi_extra=run_body_schema(),
        response_model=RunItem | PreviewItem,
        responses=_answers() | problems(404, 409, 413, 415, 422, 503),
    )
    async def run_turn(agent_id: str, request: Request, user: User = DEFAULT_USER) -> Response | RunItem:
        """One turn: what the user says, or what the agent's last turn waits for. Going away does not end it."""
        body = await read_run_body(request)
        asked = Asked(agent_id, user, body.options, body.background)
        if body.dry_run:
            return _preview(await runner.preview(asked, body.words))
        found = await (runner.start(asked, body.words) if body.words else runner.answer(asked, body.given()))
        if isinstance(found, RunRecord):
            return _as_it_stands(found, body)
        return await _under_way(found, body)

    @routes.get("/v1/runs/{run_id}", responses=problems(404, 422))
    async def read_run(run_id: str) -> RunItem:
        """A run as it stands."""
        return run_item(await runner.find(run_id))

    @routes.get("/v1/runs/{run_id}/steps", responses=problems(404, 422))
    async def list_steps(run_id: str) -> StepPage:
        """What each reply of the model took, and the calls in it."""
        return StepPage(items=[step_item(step) for step in (await runner.find(run_id)).steps])

    @routes.post("/v1/runs/{run_id}/cancel", responses=problems(404, 422))
    async def cancel_run(run_id: str) -> RunItem:
        """End a run at once, wherever it stands. One that has ended is answered as it is."""
        return run_item(await runner.cancel(run_id))

    return routes


async def _under_way(run: Run, body: RunBody) -> Response | RunItem:
    if body.background:
        await run.is_begun()
        return _begun(run.record)
    if body.stream is not None:
        feed = Feed(run, body.stream, body.include)
        return StreamingResponse(feed.frames(), headers=HEADERS, media_type="text/event-stream")
    await run.is_done()
    refuse_words(run.refused)
    return run_item(run.record)


def _as_it_stands(record: RunRecord, body: RunBody) -> Response | RunItem:
    if body.background:
        return _begun(record)
    if body.stream is not None:
        return Response(last_frame(record), headers=HEADERS, media_type="text/event-stream")
    return run_item(record)


def _begun(record: RunRecord) -> Response:
    answer = RunBegun(run_id=record.id, status=record.status)
    return JSONResponse(answer.model_dump(), 202, {"Location": f"/v1/runs/{record.id}"})


def _preview(preview: Preview) -> Response:
    return Response(msgspec.json.encode(preview), media_type="application/json")


def _answers() -> dict[int | str, dict[str, Any]]:
    events = {"schema": {"type": "string", "description": "server-sent events; the last one is `run.ended`"}}
    return {
        200: {
            "description": "The run as it ended, or waits; its events; or the request of a dry run",
            "content": {"text/event-stream": events},
        },
        202: {
            "model": RunBegun,
            "description": "It goes on in the background",
            "headers": {"Location": {"schema": {"type": "string"}}},
        },
    }
