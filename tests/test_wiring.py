"""The prompts that an agent makes of what is remembered."""

from tests.turns import spec
from voice_agent.agent import Agent
from voice_agent.prompt import UTTERANCE_FIELD
from voice_agent.store.base import BlockValue
from voice_agent.wiring import Prompts

AGENT = Agent(id="a", name="A", system="S.")
TOOLS = {"look": spec("look")}
SCHEMA = {"type": "object"}


def test_a_prompt_is_made_once_for_the_same_blocks() -> None:
    """Its bytes change with the blocks and with nothing else."""
    prompts = Prompts(AGENT, "m", TOOLS)
    values = (BlockValue("human", "Ada.", 1),)
    assert prompts.knowing(values) is prompts.knowing((*values,))
    assert "Ada." in prompts.knowing(values).system
    assert "Ada." not in prompts.knowing(()).system


def test_whether_somebody_listens_and_what_form_is_wanted() -> None:
    """Both hold for every prompt that is made, whatever is remembered."""
    spoken, silent = Prompts(AGENT, "m", TOOLS), Prompts(AGENT, "m", TOOLS, speaks=False, response_format=SCHEMA)
    for values in ((), (BlockValue("human", "Ada.", 1),)):
        assert UTTERANCE_FIELD in spoken.knowing(values).tools[0].parameters["properties"]
        assert spoken.knowing(values).response_format is None
        assert UTTERANCE_FIELD not in silent.knowing(values).tools[0].parameters["properties"]
        assert silent.knowing(values).response_format == SCHEMA
