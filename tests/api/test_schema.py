"""schemathesis over the description that a real gateway serves: nothing it can be asked brings a fault of its own.

Good and bad requests are made up from the description, for things that are there and things that are not. The seed is
fixed, and so is the number of requests.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.api.http import build_api
from tests.api.world import HandClock, new_store, services
from tests.processes import served

EXAMPLES = 30
PATIENCE_S = 20
LONGEST_URL = 65_000
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
PATHS: dict[str, dict[str, Any]] = build_api(services(new_store(), HandClock())).openapi()["paths"]
OPERATIONS = [(method, path) for path, methods in PATHS.items() for method in methods]
_SIMULATED = {"VOICE_MODEL": "simulated", "VOICE_SIMULATED_FIRST_TOKEN_MS": "0", "VOICE_SIMULATED_TOKEN_MS": "0"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway as its users run it."""
    with asyncio.Runner() as runner:
        place = served(tmp_path_factory.mktemp("schema") / "data", **_SIMULATED)
        product = runner.run(place.__aenter__())
        try:
            yield product.url
        finally:
            runner.run(place.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def described(url: str) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{url}/openapi.json")


def test_what_is_described_is_what_is_tested(described: BaseSchema) -> None:
    """The gateway that runs describes the same operations."""
    paths: dict[str, dict[str, Any]] = described.raw_schema["paths"]
    assert {(method, path) for path in paths for method in paths[path]} == set(OPERATIONS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[f"{method}-{path}" for method, path in OPERATIONS])
def test_every_answer_is_a_documented_one(described: BaseSchema, url: str, method: str, path: str) -> None:
    """Status, media type, headers and body; and no request brings a 5xx."""
    operation = described[path][method]
    known = there(url, OPERATIONS.index((method, path)), path)
    good, bad = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
    ways = [operation.as_strategy(good, path_parameters=known), operation.as_strategy(good)]
    if operation.body or operation.query or operation.path_parameters:
        ways += [operation.as_strategy(bad)]
    if operation.body or operation.query:
        ways += [operation.as_strategy(bad, path_parameters=known)]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(ways))
    def ask(case: schemathesis.Case[Any]) -> None:
        with requests.Session() as session:
            answer = case.call(base_url=url, session=session, timeout=PATIENCE_S)
        # A line this long is refused by the HTTP server, before anything of ours sees it.
        assume(len(answer.request.url or "") < LONGEST_URL)
        case.validate_response(answer, checks=CHECKS)

    ask()


def there(url: str, number: int, path: str) -> dict[str, Any]:
    """Path parameters that name what is there: an agent of this operation's own, and what belongs to it."""
    agent = f"agent-{number}"
    ann = {"id": agent, "name": "Ann", "tools": ["get_time"]}
    run = {"messages": [{"role": "user", "text": "!call get_time"}]}
    answers = [
        requests.post(f"{url}{where}", json=body, timeout=PATIENCE_S)
        for where, body in (("/v1/agents", ann), (f"/v1/agents/{agent}/messages", run))
    ]
    assert [answer.status_code for answer in answers] == [201, 200]
    run_id = answers[1].json()["run_id"]
    names = {"agent_id": agent, "user": "default", "label": "human", "run_id": run_id}
    return {name: value for name, value in names.items() if f"{{{name}}}" in path}
