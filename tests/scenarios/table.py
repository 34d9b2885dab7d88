"""The scenarios, each with what it has to leave behind, written by hand."""

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

SCENARIOS: tuple[Scenario, ...] = (
    *SPEECH, *CALLING, *KINDS, *HANDLING, *RULING, *FORKING, *ASKING, *THINKING, *FAULTS,
)  # fmt: skip
