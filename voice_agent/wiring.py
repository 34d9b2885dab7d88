"""What a session is made with, and the prompts that its agent makes of what is remembered."""

import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from voice_agent.agent import Agent, ToolSpec
from voice_agent.clock import Clock
from voice_agent.fillers import fillers_of
from voice_agent.llm.base import Model
from voice_agent.manner import PLAIN, Manner
from voice_agent.memory.blocks import current_blocks
from voice_agent.memory.history import Buffer, bounds
from voice_agent.messages import Message, Usage
from voice_agent.overflow import tokens_in
from voice_agent.prompt import Prompt, build_prompt
from voice_agent.rules.book import Rulebook
from voice_agent.store.base import BlockValue, Owner
from voice_agent.tools.base import ToolRunner
from voice_agent.turn_setup import TurnSetup
from voice_agent.work import Work


class Prompts:
    """The stable part of an agent's requests: its bytes change with the blocks and with nothing else.

    `model` is the model's name as its provider has it. `speaks`: somebody listens, so that tools ask for what to say
    while they run. `response_format`: the JSON Schema that replies are to fit.
    """

    def __init__(
        self,
        agent: Agent,
        model: str,
        tools: dict[str, ToolSpec],
        *,
        speaks: bool = True,
        response_format: dict[str, Any] | None = None,
    ) -> None:
        self._agent = agent
        self._model = model
        self._tools = tools
        self._speaks = speaks
        self._response_format = response_format
        self._made: tuple[tuple[BlockValue, ...], Prompt] | None = None

    def knowing(self, values: tuple[BlockValue, ...]) -> Prompt:
        """The prompt with these blocks in it; the same object as long as the blocks are."""
        if self._made is None or self._made[0] != values:
            blocks = current_blocks(self._agent, values)
            prompt = build_prompt(self._agent, self._model, self._tools, blocks, speaks=self._speaks)
            self._made = (values, replace(prompt, response_format=self._response_format))
        return self._made[1]


@dataclass(frozen=True)
class Wiring:
    """`runner` makes the tool runner of one turn, given what the turn answers and the ids of the messages it shows.

    `warm` has ready what the first turn will need: a connection to the provider, what search is made from. It is silent
    about its failures. `context_window`: tokens that the model takes, if that is known.
    `manner`: how the call is talked. `report` is told what thinking ahead came to, and what of it was for nothing.
    """

    agent: Agent
    model: Model
    prompts: Prompts
    tools: dict[str, ToolSpec]
    rules: Rulebook
    runner: Callable[[Work, frozenset[str]], ToolRunner]
    clock: Clock
    owner: Owner
    warm: Callable[[], Coroutine[Any, Any, None]]
    context_window: int | None = None
    manner: Manner = PLAIN
    report: Callable[[str, Usage], None] = lambda _outcome, _wasted: None

    def buffer(self, values: tuple[BlockValue, ...]) -> Buffer:
        """How much of a conversation is in the prompts, with these blocks beside it; an eighth is left for replies."""
        agent, window = self.agent, self.agent.context_window or self.context_window
        room = None
        if window is not None:
            prompt = self.prompts.knowing(values)
            replies = min(agent.max_output_tokens or window, window // 8)
            room = max(0, window - replies - tokens_in(prompt.system, prompt.tools))
        kept = agent.buffer
        return bounds(kept.max, kept.min, kept.max_tokens, room, autoclear=agent.message_buffer_autoclear)

    def setup(self, work: Work, history: tuple[Message, ...], values: tuple[BlockValue, ...]) -> TurnSetup:
        """What the turn that does the work needs to know, after this history and with these blocks."""
        return TurnSetup(
            turn_id=work.turn_id,
            prompt=self.prompts.knowing(values),
            history=history,
            opening=work.opening,
            tools=self.tools,
            rules=self.rules,
            call_prefix=work.ahead.call_prefix if work.ahead and work.ahead.call_prefix else secrets.token_hex(5),
            received_at=work.received_at,
            wall_offset=self.clock.wall() - self.clock.now(),
            revision=work.revision,
            resumes=work.resumes,
            before=work.before,
            max_steps=self.agent.max_steps,
            stall_s=self.agent.voice.stall_timeout_ms / 1000,
            failure_notice=self.agent.voice.failure_notice,
            words=work.speech,
            form=self.manner.form,
            fillers=fillers_of(self.agent.voice, self.manner.language),
        )
