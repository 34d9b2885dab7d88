"""What an agent is: its definition, validated whole, and what the loop must know of each of its tools."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    field_validator,
)
from pydantic_core import ErrorDetails

from voice_agent.agent_parts import Block, BufferBounds, Sleeptime, Strict, Voice, provider_named
from voice_agent.messages import ToolSchema
from voice_agent.rules.book import Rulebook
from voice_agent.rules.faults import pointer_step
from voice_agent.rules.kinds import ToolRules
from voice_agent.tool_definitions import (
    MASK,
    REVEALED,
    ClientTool,
    Entry,
    SecretName,
    SecretValue,
    WebhookTool,
    tool_name,
)

MOST_STEPS = 50
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
USER_PATTERN = r"^[^\x00-\x1f\x7f]{1,200}$"
DEFAULT_USER = "default"
MOST_TOOLS = 200
MISSING = "this field is required"
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
User = Annotated[str, StringConstraints(pattern=USER_PATTERN)]
DEFAULT_BLOCKS = (
    ("persona", "Who the agent is.", True),
    ("human", "What is known of the user.", False),
    ("summary", "The conversation so far, in short.", False),
)


class Agent(Strict):
    """An agent's definition. Every fault in it is reported at once, each with the path to its field."""

    id: Id
    name: str = Field(min_length=1, max_length=200)
    system: str = Field(default="You are a helpful voice agent. Answer briefly; you are heard, not read.")
    model: str | None = Field(default=None, description="PROVIDER/NAME or `simulated`; unset: the gateway's default")
    fallback_models: tuple[Annotated[str, AfterValidator(provider_named)], ...] = Field(
        default=(), max_length=5, description="asked in this order when `model` fails or is too late"
    )
    temperature: float | None = Field(default=None, ge=0, le=2)
    reasoning: str | None = Field(default=None, description="reasoning effort, as the model's provider names it")
    max_output_tokens: int | None = Field(default=None, ge=1)
    context_window: int | None = Field(
        default=None, ge=256, description="tokens that the model takes; unset: as far as its provider tells"
    )
    max_steps: int = Field(
        default=10, ge=1, le=MOST_STEPS, description=f"model calls in one turn; in a run, unless set: {MOST_STEPS}"
    )
    tools: tuple[Entry, ...] = Field(
        default=(), max_length=MOST_TOOLS, description="names of tools known to the gateway, or tools it brings"
    )
    tool_rules: ToolRules = Field(default=(), description="which of the tools may be called when")
    secrets: dict[SecretName, SecretValue] = Field(
        default={}, max_length=100, description=f"given to its tools, shown as {MASK}; {MASK} in a change keeps a value"
    )
    blocks: tuple[Block, ...] = Field(default=(), max_length=100)
    greeting: str | None = Field(default=None, min_length=1, description="said when a call begins")
    voice: Voice = Voice()
    buffer: BufferBounds = BufferBounds()
    sleeptime: Sleeptime = Sleeptime()
    second_session: Literal["serialise", "refuse"] = "serialise"
    message_buffer_autoclear: bool = Field(
        default=False, description="each turn begins with an empty window; blocks, log and search keep what they hold"
    )
    retention_days: int | None = Field(
        default=None, ge=1, le=36_500, description="what was said longer ago leaves window, log and search"
    )
    timezone: str = "UTC"
    metadata: dict[str, Any] = Field(default={})

    _names_a_provider = field_validator("model")(provider_named)

    @field_validator("fallback_models")
    @classmethod
    def _differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        doubles = sorted(name for name, count in Counter(value).items() if count > 1)
        if doubles:
            raise ValueError(f"named twice: {', '.join(doubles)}")
        return value

    @field_validator("timezone")
    @classmethod
    def _is_a_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{value!r} is no IANA time zone") from None
        return value

    @field_validator("tools", "blocks")
    @classmethod
    def _has_no_doubles(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [item.label if isinstance(item, Block) else tool_name(item) for item in value]
        doubles = sorted(name for name, count in Counter(names).items() if count > 1)
        if doubles:
            raise ValueError(f"named twice: {', '.join(doubles)}")
        return value

    def all_blocks(self) -> tuple[Block, ...]:
        """The default blocks, each replaced by a given one of its label, then the others."""
        given = {block.label: block for block in self.blocks}
        defaults = tuple(
            given.pop(label, Block(label=label, description=text, read_only=fixed))
            for label, text, fixed in DEFAULT_BLOCKS
        )
        return defaults + tuple(given.values())

    def brought_tools(self) -> tuple[WebhookTool | ClientTool, ...]:
        """The tools that it brings along."""
        return tuple(entry for entry in self.tools if not isinstance(entry, str))

    def secret_values(self) -> dict[str, str]:
        """The secrets as they are, by name: for tools, and for nothing that is shown or logged."""
        return {name: value.get_secret_value() for name, value in self.secrets.items()}

    def sleeptime_model(self, default: str) -> str:
        """The model that turns this agent's conversations into memory."""
        return self.sleeptime.model or self.model or default

    def rulebook(self, tools: Mapping[str, "ToolSpec"]) -> Rulebook:
        """The rules over the agent's tools, which `tools` are all of. Raises RuleError."""
        return Rulebook(self.tool_rules, tools, [name for name, spec in tools.items() if spec.exits])

    @property
    def run_steps(self) -> int:
        """Model calls in a turn on which no caller waits: those that were set, else as many as there may be."""
        return self.max_steps if "max_steps" in self.model_fields_set else MOST_STEPS

    def document(self) -> bytes:
        """The definition (JSON) as it is stored: what was given and no default, so that defaults may improve.

        Only here are the secrets written out.
        """
        return self.model_dump_json(exclude_unset=True, context=REVEALED).encode()


class ToolSpec(msgspec.Struct, frozen=True):
    """What the loop must know of a tool. `check` names the fault in a call's arguments, or returns None.

    `say`: the model is asked for an utterance before the call. `effects`: `none` may start while the model still
    streams; `irreversible` waits for the end of the reply. `on_interrupt`: what a barge-in does to a running call.
    `exits`: calling it ends the turn. `acts`: what it does to the call itself; after `hang_up` and `transfer` the agent
    leaves it. `threaded`: once begun it cannot be stopped. `client_timeout_s`: the connected client runs it, and has so
    many seconds for it; `client_char_limit` characters of its result are kept.
    """

    schema: ToolSchema
    check: Callable[[dict[str, Any]], str | None]
    say: bool = True
    utterance_hint: str | None = None
    effects: Literal["none", "irreversible"] = "irreversible"
    parallel: bool = True
    on_interrupt: Literal["cancel", "finish"] = "cancel"
    duplicate: Literal["allow", "reject"] = "allow"
    exits: bool = False
    acts: Literal["hang_up", "transfer", "digits"] | None = None
    threaded: bool = False
    client_timeout_s: float | None = None
    client_char_limit: int = 50_000


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong with a document: a JSON pointer (RFC 6901) to the field, and what is wrong with it."""

    path: str
    message: str


def describe(faults: Iterable[Fault]) -> str:
    """All faults in one line."""
    return "; ".join(f"{fault.path or 'document'}: {fault.message}" for fault in faults)


class InvalidAgentError(Exception):
    """A definition is wrong; `faults` names every fault in it."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(describe(faults))
        self.faults = faults


def pointer(steps: Iterable[str | int]) -> str:
    """The JSON pointer that these steps are."""
    return "".join(f"/{pointer_step(str(step))}" for step in steps)


def faults_of(errors: Iterable[ErrorDetails]) -> tuple[Fault, ...]:
    """Pydantic's errors as faults, in pydantic's order, without the values that caused them."""
    plain = {"missing": MISSING, "extra_forbidden": "there is no such field"}
    return tuple(
        Fault(
            pointer(error["loc"]),
            plain.get(error["type"], error["msg"].removeprefix("Value error, ")),
        )
        for error in errors
    )
