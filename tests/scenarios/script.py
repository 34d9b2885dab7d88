"""What a scenario is: the steps of a caller, the agent they call, and the history that this has to leave."""

from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any


@dataclass(frozen=True)
class Say:
    """Say something and hear the turn out."""

    text: str


@dataclass(frozen=True)
class Start:
    """Say something and listen until the agent has said so much, until this tool runs, or until the turn begins.

    `asked`: until a person, or the client, is asked about a call of this tool.
    """

    text: str
    said: str = ""
    tool: str = ""
    asked: str = ""


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
class Decide:
    """Wait until a person is asked about this tool's call, and decide."""

    tool: str
    approved: bool = True
    reason: str | None = None


@dataclass(frozen=True)
class Return:
    """Wait until the client is asked to run this tool, and answer."""

    tool: str
    output: Any
    is_error: bool = False


@dataclass(frozen=True)
class End:
    """Hear the turn out that was begun."""


@dataclass(frozen=True)
class Bring:
    """Bring these tools along, which the client runs."""

    tools: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Greeted:
    """Hear the greeting out."""


@dataclass(frozen=True)
class Goodbye:
    """Hear the goodbye out, and the agent hang up."""


Step = Say | Start | Interrupt | Decide | Return | End | Bring | Played | Note | Greeted | Goodbye


@dataclass(frozen=True)
class Scenario:
    """One call. Whoever plays it hangs up after the last step.

    `history` is what the store has to hold then (see `transcript`), `errors` what the client has to be told.
    `agent` are fields of its definition, `documents` what is on file about the caller.
    `nature` are words of the history that are others in some wire format, which has no name for the thing.
    """

    name: str
    steps: tuple[Step, ...]
    history: str
    errors: tuple[str, ...] = ()
    agent: dict[str, Any] = field(default_factory=dict)
    documents: tuple[str, ...] = ()
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
