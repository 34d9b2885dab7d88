"""What is said of an error: one table for HTTP and refused upgrades, and the codes that close a WebSocket."""

from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from voice_agent.agent import Fault, InvalidAgentError, describe
from voice_agent.llm.base import ModelError
from voice_agent.runs.filing import Unstored
from voice_agent.store.base import Fenced, StoreDown, StoreError

# Codes of the native protocol; 1009 (a frame too large) is sent by the WebSocket library itself.
CLOSE_ENDED = 1000
CLOSE_GOING_AWAY = 1001
CLOSE_BINARY = 1003
CLOSE_INTERNAL = 1011
CLOSE_IDLE = 4408
CLOSE_FENCED = 4409
CLOSE_TOO_MANY = 4429
CLOSE_SLOW_READER = 4430

PROBLEM_TYPE = "application/problem+json"


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


class Stale(Refused):
    """The version that `If-Match` names is not the one that holds."""


class Gone(Refused):
    """It was there once: a session that can no longer be resumed."""


class GoingAway(Refused):
    """This process takes nothing new any more; another one will."""


class Busy(Refused):
    """This process has as much under way as it takes; some of it will end."""


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
    """What is said of a kind of error, over HTTP and to WebSockets that are refused before the upgrade.

    `public` replaces the error's own message where that is not for the client's eyes.
    """

    status: int
    public: str | None = None
    headers: dict[str, str] = {}


RULES: dict[type[Exception], Rule] = {
    Unauthorized: Rule(401, headers={"WWW-Authenticate": "Bearer"}),
    Forbidden: Rule(403),
    NotFound: Rule(404),
    Conflict: Rule(409),
    Gone: Rule(410),
    Stale: Rule(412),
    GoingAway: Rule(503, headers={"Retry-After": "2"}),
    Busy: Rule(503, headers={"Retry-After": "2"}),
    TooLarge: Rule(413),
    NotJson: Rule(415),
    InvalidRequest: Rule(422),
    InvalidAgentError: Rule(422),
    Unstored: Rule(503, headers={"Retry-After": "2"}),
    StoreDown: Rule(503, "the store cannot be reached just now", {"Retry-After": "2"}),
    Fenced: Rule(409, "a newer attach has taken this session over"),
    StoreError: Rule(500, "the store could not do this"),
    ModelError: Rule(503),
    Exception: Rule(500, "something went wrong in the gateway"),
}


def rule_for(error: Exception) -> Rule:
    """The table's row for the error's class, or for the nearest of its bases."""
    return next(RULES[kind] for kind in type(error).__mro__ if kind in RULES)


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
