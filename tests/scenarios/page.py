"""What playing the scenarios came to, in Markdown: `docs/scenarios.md`, and the README's table of their groups."""

import re

from tests.scenarios.house import APIS, Found
from tests.scenarios.script import Scenario
from tests.scenarios.table import GROUPS, SCENARIOS
from voice_agent.llm.capabilities import Api

_TITLES: dict[Api, str] = {
    "chat": "Chat Completions",
    "messages": "Anthropic Messages",
    "responses": "OpenAI Responses",
}
_TOP = f"""\
# The same call over every wire format
{len(SCENARIOS)} scenarios, each a whole call, from the client to the store, with a simulated provider behind real HTTP
that refuses what the real one would. "by": the ways in, the socket and `POST …/messages`, where nothing is said before
a tool runs. "same": the stored history (messages, reasons, what was heard) and the errors that the client was told are
those that `tests/scenarios` has written down, word for word. Anthropic has one name for a filtered reply and a refused
one. `.venv/bin/python -m tests.scenarios` plays them and prints this page; a test compares its list.
"""


def page(found: Found) -> str:
    """The whole page; where a history is not what it should be it says "differs"."""
    titles = ("scenario", "turns end", "by")
    tables = ((title, _table(titles, [_row(each, found) for each in group])) for title, group in GROUPS.items())
    return "\n".join([_TOP, *(f"## {title}\n{table}" for title, table in tables)])


def overview(found: Found) -> str:
    """A row for each group of them."""
    return _table(("scenarios", "number"), [_group_row(title, group, found) for title, group in GROUPS.items()])


def _group_row(title: str, group: tuple[Scenario, ...], found: Found) -> tuple[str, ...]:
    others = (
        [f"`{scenario.name}` {cell}" for scenario in group if (cell := _cell(scenario, api, found)) != "same"]
        for api in APIS
    )
    return title, str(len(group)), *("; ".join(["same", *each]) for each in others)


def _table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    titles += tuple(_TITLES[api] for api in APIS)
    return "".join(f"| {' | '.join(row)} |\n" for row in [titles, ("---",) * len(titles), *rows])


def _row(scenario: Scenario, found: Found) -> tuple[str, ...]:
    cells = (_cell(scenario, api, found) for api in APIS)
    return scenario.name, ", ".join(_reasons(scenario.history)), ", ".join(scenario.doors), *cells


def _cell(scenario: Scenario, api: Api, found: Found) -> str:
    if any(found[scenario.name, api, door] != scenario.expected(api, door) for door in scenario.doors):
        return "differs"
    end, usual = scenario.expected(api).history, scenario.expected().history
    return "same" if end == usual else f"ends {', '.join(_reasons(end))}"


def _reasons(history: str) -> list[str]:
    return [f"`{reason}`" for reason in re.findall(r"^ *= (\w+) ", history, re.MULTILINE)]
