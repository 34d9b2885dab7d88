"""What all resources share: faults as problem+json, bodies read strictly, the guard, and how time is written."""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar, cast

import msgspec
from fastapi import FastAPI, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from gateway.auth import Doors, refuse_strangers
from gateway.errors import PROBLEM_TYPE, RULES, InvalidRequest, NotJson, TooLarge, problem_response
from voice_agent.agent import Fault, faults_of

MAX_BODY_BYTES = 1_048_576
MAX_DEPTH = 64

log = logging.getLogger(__name__)

ModelT = TypeVar("ModelT", bound=BaseModel)
Limit = Annotated[int, Query(ge=1, le=200, description="how many at most")]

_FAULT = {
    "type": "object",
    "required": ["path", "message"],
    "properties": {"path": {"type": "string", "description": "JSON pointer"}, "message": {"type": "string"}},
}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_WHY = {
    401: "No credentials, or bad ones",
    403: "Not with a client token",
    404: "No such thing",
    409: "Taken, or changed meanwhile",
    412: "Not the version that `If-Match` names",
    413: "Too large a body",
    415: "Not JSON",
    422: "Every fault in the request",
    503: "The store cannot be reached",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The faults a route may answer with, for its OpenAPI entry."""
    answers: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        schema: dict[str, Any] = dict(_PROBLEM)
        if status == 422:
            schema["properties"] = _PROBLEM["properties"] | {"errors": {"type": "array", "items": _FAULT}}  # type: ignore[operator]
        answers[status] = {"description": _WHY[status], "content": {PROBLEM_TYPE: {"schema": schema}}}
    return answers


def handle_errors(app: FastAPI) -> None:
    """Answer every error by the table of `gateway.errors`."""

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError):
            error = InvalidRequest(*faults_of(cast(list[ErrorDetails], error.errors())))
        response = problem_response(error)
        if response.status_code >= 500:
            # The stack of an error that nobody foresaw is the server's to log: it gets the exception too. The query
            # is left out because it may hold a token.
            log.error(
                "%s %s: answered %d, %s", request.method, request.url.path, response.status_code, type(error).__name__
            )
        return response

    async def leave(_: Request, __: Exception) -> Response:
        """The client is gone: nobody reads the answer, and nothing is wrong here."""
        return Response(status_code=499)

    app.add_exception_handler(ClientDisconnect, leave)
    for kind in (*RULES, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer)


def guard(doors: Doors) -> Callable[..., Awaitable[None]]:
    """A dependency that lets only those in who may manage the gateway."""
    scheme = HTTPBearer(auto_error=False, description="an API key; not needed on loopback while there is none")

    async def admit(request: Request, _: Annotated[object, Security(scheme)]) -> None:
        caller = await doors.admit(request.headers.get("authorization"), request.query_params.get("token"))
        if caller.kind == "open":
            refuse_strangers(request.headers.get("origin"), request.headers.get("host"))
        caller.manage()

    return admit


async def read_object(request: Request) -> dict[str, Any]:
    """The request's body, which must be a JSON object (RFC 8259, so no NaN and no lone surrogates).

    Raises NotJson, TooLarge, InvalidRequest. The media type is demanded because a browser asks before it sends this
    one across origins, and only this one.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise NotJson(f"send JSON with `Content-Type: application/json`, not {kind or 'nothing'!r}")
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            raise TooLarge(f"the body may have {MAX_BODY_BYTES} bytes at most")
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(Fault("", f"this is not JSON: {error}")) from None
    except RecursionError:
        raise InvalidRequest(Fault("", f"nested more than {MAX_DEPTH} deep")) from None
    if not isinstance(body, dict):
        raise InvalidRequest(Fault("", "the body must be a JSON object"))
    if _deeper_than(MAX_DEPTH, body):
        raise InvalidRequest(Fault("", f"nested more than {MAX_DEPTH} deep"))
    return body


async def read_body(request: Request, model: type[ModelT]) -> ModelT:
    """The request's body as `model`. Raises as `read_object`, and InvalidRequest with every fault in it."""
    body = await read_object(request)
    try:
        return model.model_validate_json(msgspec.json.encode(body))
    except ValidationError as error:
        raise InvalidRequest(*faults_of(error.errors(include_url=False))) from None


def body_schema(schema: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    """The OpenAPI entry of a body that a route reads by itself."""
    return {"requestBody": {"required": True, "content": {kind: {"schema": schema}}}}


def timestamp(at: float) -> str:
    """Seconds since the epoch as RFC 3339, in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _deeper_than(depth: int, value: Any) -> bool:
    level = [value]
    for _ in range(depth + 1):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return bool(level)
