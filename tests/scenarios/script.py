"""What a scenario is: the steps of a caller, the agent they call, and the history that this has to leave."""

from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any

from voice_agent.rules import ToolRule


@dataclass(frozen=True)
class Say:
    """Say something and hear the turn out."""

    text: str


@dataclass(frozen=True)
class Start:
    """Say something and listen until the agent has said so much, until this tool runs, or until the turn begins."""

    text: str
    said: str = ""
    tool: str = ""


@dataclass(frozen=True)
class Interrupt:
    """Cut in, having heard so many characters of the turn, and hear its end."""

    chars: int


@dataclass(frozen=True)
class Played:
    """Tell how much of the last turn was heard, after its end."""

    chars: int


@dataclass(frozen=True)
class Note:
    """Tell the agent a fact."""

    text: str


@dataclass(frozen=True)
class Greeted:
    """Hear the greeting out."""


@dataclass(frozen=True)
class Goodbye:
    """Hear the goodbye out, and the agent hang up."""


Step = Say | Start | Interrupt | Played | Note | Greeted | Goodbye


@dataclass(frozen=True)
class Scenario:
    """One call. Whoever plays it hangs up after the last step.

    `history` is what the store has to hold then (see `transcript`), `errors` what the client has to be told.
    `agent` are fields of its definition, `documents` what is on file about the caller. An agent's definition has no
    tool rules: with `rules`, the one thing that is said is played as a turn by itself, as the sleeptime worker does.
    `nature` are words of the history that are others in some wire format, which has no name for the thing.
    """

    name: str
    steps: tuple[Step, ...]
    history: str
    errors: tuple[str, ...] = ()
    agent: dict[str, Any] = field(default_factory=dict)
    documents: tuple[str, ...] = ()
    rules: tuple[ToolRule, ...] = ()
    nature: dict[str, dict[str, str]] = field(default_factory=dict)

    def expected(self, api: str) -> "Outcome":
        """What has to come out over a wire format."""
        history = dedent(self.history).strip()
        for word, other in self.nature.get(api, {}).items():
            history = history.replace(word, other)
        return Outcome(history, self.errors)


@dataclass(frozen=True)
class Outcome:
    """What came out: the history as `transcript` writes it, and the errors that the client was told."""

    history: str
    errors: tuple[str, ...] = ()
