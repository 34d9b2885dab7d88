"""Every scenario over every wire format, by every way in: the stored history is the one that was written down."""

import asyncio
import re
from pathlib import Path
from typing import get_args

import pytest

from tests.scenarios.house import APIS, Found, play_all
from tests.scenarios.page import overview, page
from tests.scenarios.script import Door, Scenario
from tests.scenarios.table import SCENARIOS
from voice_agent.events import EndReason
from voice_agent.llm.capabilities import Api

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """All of them, played once in one house."""
    return asyncio.run(play_all(tmp_path_factory.mktemp("house")))


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("scenario", "door"),
    [
        pytest.param(scenario, door, id=f"{scenario.name.replace(' ', '-')}-{door}")
        for scenario in SCENARIOS
        for door in scenario.doors
    ],
)
def test_a_scenario_leaves_the_history_that_was_written_down(
    played: Found, scenario: Scenario, door: Door, api: Api
) -> None:
    """Roles, texts, reasons and what was heard, over every wire format; the client was told of each fault."""
    outcome = played[scenario.name, api, door]
    if isinstance(outcome, Exception):
        raise outcome
    expected = scenario.expected(api, door)
    assert outcome.history == expected.history
    assert outcome.errors == expected.errors


def test_what_differs_by_nature_is_one_reason_in_one_format() -> None:
    """And without a socket the results of a cancelled run, and what was said by where a reply broke off."""
    differing = {(scenario.name, way) for scenario in SCENARIOS for way in scenario.nature}
    assert {name for name, way in differing if way in APIS} == {"content_filter"}
    assert {name for name, way in differing if way not in APIS} == {
        "hanging up before a person decides",
        "hanging up before the client answers",
        "a stream cut in an argument",
        "a tool with effects while the model goes on",
    }
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def test_every_reason_that_a_turn_can_end_for_is_among_them() -> None:
    """That a turn waits for a decision is no end of it in the log: the ways in see it, and go on."""
    ends = {reason for scenario in SCENARIOS for reason in re.findall(r"^ *= (\w+) ", scenario.history, re.MULTILINE)}
    assert ends == {*get_args(EndReason)} - {"requires_approval"}


def test_the_page_and_the_readme_tell_how_they_have_to_come_out() -> None:
    """`python -m tests.scenarios` prints what has to stand in the page."""
    right: Found = {
        (scenario.name, api, door): scenario.expected(api, door)
        for scenario in SCENARIOS
        for api in APIS
        for door in scenario.doors
    }
    assert (ROOT / "docs" / "scenarios.md").read_text() == page(right)
    assert f"\n{overview(right)}\n" in (ROOT / "README.md").read_text()
