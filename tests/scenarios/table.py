"""The scenarios, each with what it has to leave behind, written by hand."""

from tests.scenarios.asking import ASKING
from tests.scenarios.calling import CALLING
from tests.scenarios.faults import FAULTS
from tests.scenarios.script import Scenario
from tests.scenarios.speech import SPEECH
from tests.scenarios.thinking import THINKING

SCENARIOS: tuple[Scenario, ...] = (*SPEECH, *CALLING, *ASKING, *THINKING, *FAULTS)
