"""The table of errors: what HTTP and WebSocket clients are told."""

import msgspec
import pytest
from starlette.exceptions import HTTPException

from gateway import errors
from gateway.errors import problem_response, rule_for
from voice_agent.agent import Fault, InvalidAgentError
from voice_agent.llm.base import ModelError
from voice_agent.runs.filing import Unstored
from voice_agent.store.base import Fenced, StoreDown, StoreError


class OddStoreError(StoreDown):
    """A subclass that the table does not name."""


def test_the_close_codes_are_the_protocols() -> None:
    """Each that we send ourselves has a name and its number."""
    codes = {name: value for name, value in vars(errors).items() if name.startswith("CLOSE_")}
    assert sorted(codes.values()) == [1000, 1001, 1003, 1011, 4408, 4409, 4429, 4430]


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (errors.Unauthorized("no"), 401, "no"),
        (errors.Forbidden("no"), 403, "no"),
        (errors.NotFound("no"), 404, "no"),
        (errors.Conflict("no"), 409, "no"),
        (errors.Gone("no"), 410, "no"),
        (errors.Stale("no"), 412, "no"),
        (errors.GoingAway("no"), 503, "no"),
        (errors.Busy("no"), 503, "no"),
        (errors.TooLarge("no"), 413, "no"),
        (errors.NotJson("no"), 415, "no"),
        (StoreDown("10.0.0.1:6379 refused"), 503, "the store cannot be reached just now"),
        (Unstored("run 'r' has ended"), 503, "run 'r' has ended"),
        (OddStoreError("10.0.0.1:6379 refused"), 503, "the store cannot be reached just now"),
        (Fenced("epoch 3"), 409, "a newer attach has taken this session over"),
        (StoreError("WRONGTYPE"), 500, "the store could not do this"),
        (ModelError("OPENAI_API_KEY is not set"), 503, "OPENAI_API_KEY is not set"),
        (KeyError("hunter2"), 500, "something went wrong in the gateway"),
        (HTTPException(405), 405, "Method Not Allowed"),
    ],
)
def test_an_error_becomes_a_problem(error: Exception, status: int, detail: str) -> None:
    """Status and detail are the table's, and the answer is problem+json without internals."""
    response = problem_response(error)
    problem = msgspec.json.decode(response.body)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert (problem["status"], problem["detail"], problem["type"]) == (status, detail, "about:blank")
    assert problem["title"]
    assert "errors" not in problem


@pytest.mark.parametrize("kind", ["request", "agent"])
def test_a_422_lists_every_fault(kind: str) -> None:
    """All faults stand in `errors`, each with path and message."""
    faults = (Fault("/a", "one"), Fault("/b/0", "two"))
    error = errors.InvalidRequest(*faults) if kind == "request" else InvalidAgentError(faults)
    response = problem_response(error)
    assert response.status_code == 422
    assert msgspec.json.decode(response.body)["errors"] == [
        {"path": "/a", "message": "one"},
        {"path": "/b/0", "message": "two"},
    ]


def test_headers_say_how_to_go_on() -> None:
    """401 names the scheme, 503 of the store says when to try again, an HTTP exception keeps its own."""
    assert problem_response(errors.Unauthorized("no")).headers["www-authenticate"] == "Bearer"
    assert int(problem_response(StoreDown("away")).headers["retry-after"]) > 0
    assert problem_response(HTTPException(405, headers={"Allow": "GET"})).headers["allow"] == "GET"


def test_every_refusal_has_a_row_of_its_own() -> None:
    """No refusal falls through to the row for what nobody foresaw."""
    for kind in errors.Refused.__subclasses__():
        assert kind in errors.RULES, kind
    assert rule_for(errors.Gone("x")) is errors.RULES[errors.Gone]
