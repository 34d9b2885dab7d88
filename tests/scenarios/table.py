"""The scenarios, each with what it has to leave behind, written by hand."""

from itertools import chain

from tests.scenarios.asking import ASKING
from tests.scenarios.calling import CALLING
from tests.scenarios.faults import FAULTS
from tests.scenarios.forking import FORKING
from tests.scenarios.handling import HANDLING
from tests.scenarios.kinds import KINDS
from tests.scenarios.ruling import RULING
from tests.scenarios.script import Scenario
from tests.scenarios.speech import SPEECH
from tests.scenarios.thinking import THINKING
from tests.scenarios.waiting import WAITING

GROUPS: dict[str, tuple[Scenario, ...]] = {
    "Speech, heard and cut into": SPEECH,
    "Calls of tools": CALLING,
    "Waiting, and what is said meanwhile": WAITING,
    "Every kind of tool": KINDS,
    "How tools are called; tools that misbehave": HANDLING,
    "Rules of order and of ends": RULING,
    "Rules that look back": FORKING,
    "Calls that wait for a person or the client": ASKING,
    "Reasoning": THINKING,
    "Faults of providers, and the reasons for which they end": FAULTS,
}
SCENARIOS: tuple[Scenario, ...] = tuple(chain.from_iterable(GROUPS.values()))
