"""One table: what is said of an error, as an HTTP status, as an `error` event, and as a WebSocket close code."""

from http import HTTPStatus
from typing import Any, Literal

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from voice_agent.agent import Fault, InvalidAgentError, describe
from voice_agent.llm.base import ModelError
from voice_agent.store.base import Fenced, StoreDown, StoreError

# protocol.md, "Close codes"
CLOSE_ENDED = 1000
CLOSE_GOING_AWAY = 1001
CLOSE_BINARY = 1003
CLOSE_TOO_LARGE = 1009
CLOSE_INTERNAL = 1011
CLOSE_OVERLOADED = 1013
CLOSE_CREDENTIALS = 4401
CLOSE_IDLE = 4408
CLOSE_FENCED = 4409
CLOSE_TOO_MANY = 4429
CLOSE_SLOW_READER = 4430

PROBLEM_TYPE = "application/problem+json"

EventCode = Literal[
    "bad_frame", "unknown_type", "bad_field", "unknown_id", "provider", "store", "overloaded", "internal"
]  # fmt: skip


class Refused(Exception):
    """A request that the gateway will not carry out; the message is meant for who asked."""


class Unauthorized(Refused):
    """No credentials, or bad ones."""


class Forbidden(Refused):
    """Good credentials, for something else."""


class NotFound(Refused):
    """There is no such thing."""


class Conflict(Refused):
    """The thing is taken, or changed meanwhile."""


class Gone(Refused):
    """It was there once: a session that can no longer be resumed."""


class TooLarge(Refused):
    """More bytes than are taken."""


class NotJson(Refused):
    """The body says that it is something else than JSON."""


class InvalidRequest(Refused):
    """Fields are wrong; `faults` names every one."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(describe(faults))
        self.faults = faults


class Rule(msgspec.Struct, frozen=True):
    """What is said of a kind of error.

    `status` is for HTTP and for WebSockets refused before the upgrade; `code` is the `error` event's; `close` ends the
    session (None: it goes on). `public` replaces the error's own message where that is not for the client's eyes.
    """

    status: int
    code: EventCode
    close: int | None = None
    retryable: bool = False
    public: str | None = None
    headers: dict[str, str] = {}


RULES: dict[type[Exception], Rule] = {
    Unauthorized: Rule(401, "bad_field", CLOSE_CREDENTIALS, headers={"WWW-Authenticate": "Bearer"}),
    Forbidden: Rule(403, "bad_field", CLOSE_CREDENTIALS),
    NotFound: Rule(404, "unknown_id"),
    Conflict: Rule(409, "bad_field", retryable=True),
    Gone: Rule(410, "unknown_id"),
    TooLarge: Rule(413, "bad_frame", CLOSE_TOO_LARGE),
    NotJson: Rule(415, "bad_frame"),
    InvalidRequest: Rule(422, "bad_field"),
    InvalidAgentError: Rule(422, "bad_field"),
    StoreDown: Rule(
        503, "store", retryable=True, public="the store cannot be reached just now", headers={"Retry-After": "2"}
    ),
    Fenced: Rule(409, "store", CLOSE_FENCED, public="a newer attach has taken this session over"),
    StoreError: Rule(500, "store", CLOSE_INTERNAL, public="the store could not do this"),
    ModelError: Rule(503, "provider"),
    Exception: Rule(500, "internal", CLOSE_INTERNAL, public="something went wrong in the gateway"),
}


class Told(msgspec.Struct, frozen=True):
    """What a WebSocket client is told: the fields of an `error` event, and the close code if the session is over."""

    code: EventCode
    message: str
    retryable: bool
    close: int | None


def rule_for(error: Exception) -> Rule:
    """The table's row for the error's class, or for the nearest of its bases."""
    return next(RULES[kind] for kind in type(error).__mro__ if kind in RULES)


def told(error: Exception) -> Told:
    """What a WebSocket client hears of an error inside its session."""
    rule = rule_for(error)
    return Told(rule.code, rule.public or str(error), rule.retryable, rule.close)


def problem_response(error: Exception) -> Response:
    """The answer to a request that failed, as RFC 9457 wants it; also for a WebSocket refused before its upgrade."""
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException):
        status, detail = error.status_code, error.detail
        headers.update(error.headers or {})
    else:
        rule = rule_for(error)
        status, detail = rule.status, rule.public or str(error)
        headers.update(rule.headers)
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if isinstance(error, InvalidRequest | InvalidAgentError):
        problem["errors"] = error.faults
    return Response(msgspec.json.encode(problem), status, headers, PROBLEM_TYPE)
