"""What a session is made with."""

from collections.abc import Callable
from dataclasses import dataclass

from voice_agent.agent import Agent, ToolSpec
from voice_agent.clock import Clock
from voice_agent.llm.base import Model
from voice_agent.prompt import Prompt
from voice_agent.store.base import Owner
from voice_agent.tools.base import ToolRunner


@dataclass(frozen=True)
class Wiring:
    """`runner` makes the tool runner of one turn, given the turn's id."""

    agent: Agent
    model: Model
    prompt: Prompt
    tools: dict[str, ToolSpec]
    runner: Callable[[str], ToolRunner]
    clock: Clock
    owner: Owner
