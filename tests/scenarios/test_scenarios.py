"""Every scenario over every wire format: the stored history is the one that was written down, and so the same."""

import asyncio

import pytest

from tests.scenarios.house import APIS, Found, play_all
from tests.scenarios.script import Scenario
from tests.scenarios.table import SCENARIOS
from voice_agent.llm.capabilities import Api


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """All of them, played once in one house."""
    return asyncio.run(play_all(tmp_path_factory.mktemp("house")))


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name.replace(" ", "-"))
def test_a_scenario_leaves_the_history_that_was_written_down(played: Found, scenario: Scenario, api: Api) -> None:
    """Roles, texts, reasons and what was heard, over every wire format; the client was told of each fault."""
    outcome = played[scenario.name, api]
    if isinstance(outcome, Exception):
        raise outcome
    expected = scenario.expected(api)
    assert outcome.history == expected.history
    assert outcome.errors == expected.errors


def test_what_differs_by_nature_is_one_reason_in_one_format() -> None:
    """Everywhere else the histories are the same, word for word."""
    differing = [(scenario.name, api) for scenario in SCENARIOS for api in scenario.nature]
    assert differing == [("content_filter", "messages")]
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
