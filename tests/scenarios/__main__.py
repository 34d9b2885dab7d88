"""`python -m tests.scenarios`: plays each scenario over each wire format, by each way in; prints the table in Markdown.

Exit code 1 if a history is not what it should be.
"""

import asyncio
import logging
import re
import sys
import tempfile
from pathlib import Path

from tests.scenarios.house import APIS, Found, play_all
from tests.scenarios.script import Scenario
from tests.scenarios.table import SCENARIOS
from voice_agent.llm.capabilities import Api

_TITLES: dict[Api, str] = {
    "chat": "Chat Completions",
    "messages": "Anthropic Messages",
    "responses": "OpenAI Responses",
}


def main() -> None:
    """See the module."""
    logging.disable()  # the faults are wanted
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(play_all(Path(folder)))
    rows = [("scenario", "turns end", "by", *(_TITLES[api] for api in APIS)), ("---",) * (3 + len(APIS))]
    rows += [
        (
            scenario.name,
            ", ".join(_reasons(scenario.history)),
            ", ".join(scenario.doors),
            *(_cell(scenario, api, found) for api in APIS),
        )
        for scenario in SCENARIOS
    ]
    sys.stdout.writelines(f"| {' | '.join(row)} |\n" for row in rows)
    sys.exit(any("differs" in row for row in rows))


def _cell(scenario: Scenario, api: Api, found: Found) -> str:
    if any(found[scenario.name, api, door] != scenario.expected(api, door) for door in scenario.doors):
        return "differs"
    end, usual = scenario.expected(api).history, scenario.expected().history
    return "same" if end == usual else f"ends {', '.join(_reasons(end))}"


def _reasons(history: str) -> list[str]:
    return [f"`{reason}`" for reason in re.findall(r"^ *= (\w+) ", history, re.MULTILINE)]


if __name__ == "__main__":
    main()
