"""The parts of an agent's definition: a block of memory, how it sounds, how much it keeps in mind, how it remembers."""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

LANGUAGE_PATTERN = r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"


def provider_named(value: str | None) -> str | None:
    """A model's name, checked. Raises ValueError."""
    if value is not None and value != "simulated" and not re.fullmatch(r"[A-Za-z0-9_-]+/\S+", value):
        raise ValueError("a model is written PROVIDER/NAME, or `simulated`")
    return value


class Strict(BaseModel):
    """Nothing unknown, nothing changed."""

    # Input is hidden because a definition may hold what no log should.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Block(Strict):
    """A labelled piece of memory that is always in the prompt."""

    label: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
    description: str = ""
    limit: int = Field(default=5000, ge=1, le=100_000, description="characters")
    value: str = ""
    read_only: bool = False

    @model_validator(mode="after")
    def _fits(self) -> "Block":
        if len(self.value) > self.limit:
            raise ValueError(f"the value has {len(self.value)} characters, the limit is {self.limit}")
        return self


class Voice(Strict):
    """How the agent sounds when things take long or go wrong."""

    failure_notice: str = Field(
        default="Sorry, I lost my train of thought. Could you say that again?",
        description="spoken when the model fails in a turn",
    )
    first_token_deadline_ms: int = Field(
        default=4000, ge=100, le=120_000, description="in a call, what a model has to say something or call a tool"
    )
    hedge: bool = Field(default=True, description="a model that is later than usual is asked a second time")
    hedge_share: float = Field(default=0.08, ge=0, le=1, description="the most second requests, of all")
    filler_after_ms: int = Field(
        default=1500, ge=100, le=120_000, description="of waiting for a tool in silence, then a filler is said"
    )
    fillers: tuple[Annotated[str, StringConstraints(min_length=1, max_length=200)], ...] | None = Field(
        default=None, max_length=50, description="said in this order; unset: those of the language; []: none"
    )
    languages: tuple[Annotated[str, StringConstraints(pattern=LANGUAGE_PATTERN)], ...] = Field(
        default=("en",), min_length=1, max_length=20, description="BCP 47 tags; a call begins with the first"
    )
    idle_reminder_s: float | None = Field(
        default=15, gt=0, le=3600, description="of a caller's silence, then the agent says something; null: never"
    )
    resume_after_ms: int = Field(
        default=0, ge=0, le=10_000, description="an interruption without words for so long was none; 0: all count"
    )
    min_words_to_interrupt: int = Field(
        default=0, ge=0, le=20, description="fewer words than this do not interrupt the agent's speech"
    )
    backchannels: tuple[Annotated[str, StringConstraints(min_length=1, max_length=50)], ...] = Field(
        default=(), max_length=100, description="words ('uh-huh') that do not interrupt the agent's speech"
    )
    speculation: bool = Field(default=True, description="interim transcripts are thought about before the final one")
    stall_timeout_ms: int = Field(
        default=20_000, ge=100, le=600_000, description="a model that sends nothing for this long has failed"
    )


class BufferBounds(Strict):
    """How many messages stay in the prompt: beyond `max` the oldest turns go, until `min` or fewer are left."""

    max: int = Field(default=30, gt=4, le=1000)
    min: int = Field(default=15, gt=4, le=1000)
    max_tokens: int | None = Field(
        default=None, ge=100, description="beyond so many tokens of conversation turns go, too, until half are left"
    )

    @model_validator(mode="after")
    def _leaves_room(self) -> "BufferBounds":
        if self.max <= self.min:
            raise ValueError(f"max ({self.max}) has to be greater than min ({self.min})")
        return self


class Sleeptime(Strict):
    """How the conversation becomes memory: by which model, and after how long a silence."""

    model: str | None = Field(default=None, description="PROVIDER/NAME or `simulated`; unset: the agent's own model")
    idle_after_s: float = Field(default=60, gt=0, le=86_400)

    _names_a_provider = field_validator("model")(provider_named)
