"""What a scenario is: the steps of a caller, the agent they call, and the history that this has to leave."""

import json
import re
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any, Literal, get_args


@dataclass(frozen=True)
class Say:
    """Say something and hear the turn out. `fields`: what else the request says, which a socket cannot."""

    text: str
    fields: dict[str, Any] = field(default_factory=dict)


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
    """Hear the goodbye out, and the agent hang up, or leave the call in another way."""

    reason: str = "agent"


@dataclass(frozen=True)
class Late:
    """Wait until a tool has finished that outlived its turn."""

    tool: str


@dataclass(frozen=True)
class Murmur:
    """Say something that is not meant to interrupt the agent."""

    text: str


@dataclass(frozen=True)
class Unasked:
    """Hear the agent say these words in a turn that nobody has asked for."""

    text: str


@dataclass(frozen=True)
class Refused:
    """Say something while calls wait for the client, and be told that they do: a socket takes it as a barge-in."""

    text: str


Step = (
    Say | Start | Interrupt | Decide | Return | End | Bring | Played | Note | Greeted | Goodbye | Late | Murmur
    | Unasked | Refused
)  # fmt: skip

Door = Literal["socket", "HTTP"]
DOORS: tuple[Door, ...] = get_args(Door)
# Speech is cut into, and what was heard of it told, over a socket; so are facts, the greeting and what comes late.
_OVER_HTTP = (Say, Decide, Return, End, Bring, Refused, Goodbye)


@dataclass(frozen=True)
class Scenario:
    """One call. Whoever plays it hangs up after the last step.

    `history` is what the store has to hold then (see `transcript`), `errors` what the client has to be told.
    `agent` are fields of its definition, `documents` what is on file about the caller.
    `nature` are words of the history that are others in some wire format, which has no name for the thing, or by some
    way in.
    """

    name: str
    steps: tuple[Step, ...]
    history: str
    errors: tuple[str, ...] = ()
    agent: dict[str, Any] = field(default_factory=dict)
    documents: tuple[str, ...] = ()
    nature: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def doors(self) -> tuple[Door, ...]:
        """The ways in by which it can be played."""
        return tuple(door for door in DOORS if all(_goes_by(door, step) for step in self.steps))

    def expected(self, api: str = "", door: Door = "socket") -> "Outcome":
        """What has to come out over a wire format, by a way in."""
        history = dedent(self.history).strip()
        for word, other in [*self.nature.get(api, {}).items(), *self.nature.get(door, {}).items()]:
            assert word in history
            history = history.replace(word, other)
        return Outcome(history if door == "socket" else _unspoken(history), self.errors)


def _goes_by(door: Door, step: Step) -> bool:
    if door == "socket":
        return not isinstance(step, Refused) and not (isinstance(step, Say) and step.fields)
    if isinstance(step, Start):
        return bool(step.asked) or not (step.said or step.tool)
    return isinstance(step, _OVER_HTTP)


def _unspoken(history: str) -> str:
    """The history where nothing is said while tools run, or the model does."""
    return "\n".join(_bare(line) for line in history.split("\n") if not line.startswith("filler: "))


def _bare(line: str) -> str:
    call = re.match(r"call \S+ ", line)
    return line[: call.end() + json.JSONDecoder().raw_decode(line[call.end() :])[1]] if call else line


@dataclass(frozen=True)
class Outcome:
    """What came out: the history as `transcript` writes it, and the errors that the client was told."""

    history: str
    errors: tuple[str, ...] = ()
