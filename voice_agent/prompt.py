"""What a model is shown: a stable system text, tools that ask for an utterance, and settled history as it was heard."""

import re
from typing import Any

import msgspec

from voice_agent.agent import Agent, ToolSpec
from voice_agent.agent_parts import Block
from voice_agent.messages import Message, ModelRequest, ToolCall, ToolChoice, ToolSchema

UTTERANCE_FIELD = "pre_exec_msg"
INTERRUPTED = "[interrupted here]"
UNHEARD = "[interrupted before anything was heard]"
_UTTERANCE_HINT = (
    "Said aloud to the caller while this runs: one short, natural sentence that tells what you are doing. "
    "Always write this argument first."
)


class Prompt(msgspec.Struct, frozen=True):
    """The part of every request of a session that keeps its bytes: model, system text and tools."""

    model: str
    system: str
    tools: tuple[ToolSchema, ...] = ()
    temperature: float | None = None
    reasoning: str | None = None
    max_output_tokens: int | None = None
    response_format: dict[str, Any] | None = None

    def request(self, history: tuple[Message, ...], turn: tuple[Message, ...], choice: ToolChoice) -> ModelRequest:
        """The request for the next step. Tools stay listed when none may be called: prefix caches live on it."""
        return ModelRequest(
            model=self.model,
            system=self.system,
            history=history,
            turn=turn,
            tools=self.tools,
            tool_choice=choice,
            temperature=self.temperature,
            reasoning=self.reasoning,
            max_output_tokens=self.max_output_tokens,
            response_format=self.response_format,
        )


def build_prompt(
    agent: Agent, model: str, tools: dict[str, ToolSpec], blocks: tuple[Block, ...], *, speaks: bool = True
) -> Prompt:
    """The prompt of an agent that answers with `model` (as its provider names it), offered `tools`, knowing `blocks`.

    Where nobody listens (`speaks` is false), no tool asks for what to say while it runs.
    """
    return Prompt(
        model=model,
        system=_system_text(agent.system, blocks),
        tools=tuple(_offered(spec) if speaks else spec.schema for spec in tools.values()),
        temperature=agent.temperature,
        reasoning=agent.reasoning,
        max_output_tokens=agent.max_output_tokens,
    )


def provider_text(message: Message, before: str = "") -> str:
    """The text that goes to a model: what was heard where that is settled, with a mark where the caller cut in.

    `before` is what was heard in waiting for it, and not part of the text. An interrupted message that holds calls and
    no text stays without one: the calls' results tell of the interruption.
    """
    text = message.text if message.heard is None else message.heard
    if not message.interrupted:
        return text
    if text.strip():
        return f"{text} {INTERRUPTED}"
    if message.tool_calls:
        return ""
    return INTERRUPTED if before.strip() else UNHEARD


def provider_arguments(call: ToolCall) -> str:
    """The arguments (JSON object) that go back to a model: the utterance first, cut to what was heard of it."""
    if call.utterance is None:
        return call.arguments
    heard = call.utterance if call.heard is None else call.heard
    opening = f'{{"{UTTERANCE_FIELD}":{msgspec.json.encode(heard).decode()}'
    rest = call.arguments[1:].lstrip()
    return opening + (rest if rest.startswith("}") else "," + rest)


def _system_text(system: str, blocks: tuple[Block, ...]) -> str:
    known = (f"<{block.label}>\n{_inside(block.value, blocks)}\n</{block.label}>" for block in blocks if block.value)
    return "\n\n".join((system, *known))


def _inside(value: str, blocks: tuple[Block, ...]) -> str:
    """A block's value that cannot end its block, or begin another, whoever wrote it: such a tag loses its bracket."""
    labels = "|".join(block.label for block in blocks)
    return re.sub(rf"<(?=\s*/?\s*(?:{labels})\b)", "\u2039", value, flags=re.IGNORECASE)


def _offered(spec: ToolSpec) -> ToolSchema:
    if not spec.say:
        return spec.schema
    parameters = spec.schema.parameters
    utterance = {"type": "string", "description": spec.utterance_hint or _UTTERANCE_HINT}
    return msgspec.structs.replace(
        spec.schema,
        parameters={
            **parameters,
            "properties": {UTTERANCE_FIELD: utterance, **parameters.get("properties", {})},
            "required": [UTTERANCE_FIELD, *parameters.get("required", [])],
        },
    )
