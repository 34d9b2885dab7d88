"""The demonstration tools."""

from typing import Any

import pytest

from tests.tools.test_runner import run
from voice_agent.tools.demo import get_time, set_reminder


async def test_the_time_is_told_in_the_agent_s_time_zone() -> None:
    """The wall clock's moment is given as it reads on a clock in Berlin."""
    assert (await run(get_time)).output == "Monday 12 January 1970, 14:46 (Europe/Berlin)"


def test_asking_the_time_takes_no_arguments_and_has_no_effects() -> None:
    """It may start while the model still speaks."""
    assert get_time.spec.effects == "none"
    assert get_time.spec.check({}) is None
    assert get_time.spec.check({"context": {}}) == "context: there is no such field"


async def test_a_reminder_is_confirmed_with_its_time() -> None:
    """Text and due time come back, and that it will not be delivered."""
    returned = await run(set_reminder, text="call mum", in_minutes=45)
    assert returned.status == "ok"
    assert "'call mum' at Monday 12 January 1970, 15:31" in returned.output
    assert "nothing will be delivered" in returned.output


def test_a_reminder_is_irreversible_and_says_what_it_does_not_do() -> None:
    """The model is told that there is no delivery."""
    assert set_reminder.spec.effects == "irreversible"
    assert "nothing will be delivered" in set_reminder.spec.schema.description


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"text": "x"}, "in_minutes"),
        ({"text": "x", "in_minutes": "soon"}, "in_minutes"),
        ({"text": "x", "in_minutes": 0}, "in_minutes"),
        ({"text": "", "in_minutes": 5}, "text"),
        ({"text": "x", "in_minutes": 10**30}, "in_minutes"),
    ],
)
def test_a_bad_reminder_names_the_field(arguments: dict[str, Any], field: str) -> None:
    """Missing, mistyped and senseless values are refused before anything happens."""
    assert (set_reminder.spec.check(arguments) or "").startswith(f"{field}: ")
