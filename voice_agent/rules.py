"""Tool rules, pure: which calls are legal next, given the names of the calls that succeeded in this turn so far.

A rule that narrows the choice also forces a call: the model may not answer in words instead. A call that failed leaves
the choice as it was, so that the model can mend it.
"""

from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal, assert_never

import msgspec
from pydantic import BaseModel, ConfigDict, Field


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    tool: str


class RunFirst(_Rule):
    """Before any other call only this tool, or another with such a rule. `args` override the model's."""

    type: Literal["run_first"] = "run_first"
    args: dict[str, Any] = {}


class Children(_Rule):
    """After this tool only its children. `args` (by child) override the model's."""

    type: Literal["children"] = "children"
    children: tuple[str, ...] = Field(min_length=1)
    args: dict[str, dict[str, Any]] = {}


class Continue(_Rule):
    """Calling it goes on, whatever the tool itself says of exits."""

    type: Literal["continue"] = "continue"


class Exit(_Rule):
    """Calling it, with success, ends the turn."""

    type: Literal["exit"] = "exit"


ToolRule = Annotated[RunFirst | Children | Continue | Exit, Field(discriminator="type")]


class RuleError(ValueError):
    """Rules that no turn can follow; the message names each one and what is wrong with it."""


class Fixed(msgspec.Struct, frozen=True):
    """Arguments that a rule sets; `rule` names it."""

    rule: str
    args: dict[str, Any]


class Rulebook:
    """The rules of one agent, ready to be asked. `called` are always the names called in this turn, with success."""

    def __init__(self, rules: Sequence[ToolRule] = (), tools: Collection[str] = ()) -> None:
        """Raises RuleError if a rule names a tool that is not among `tools`, or contradicts another."""
        self._first: list[RunFirst] = []
        self._after: dict[str, list[Children]] = {}
        self._exits: dict[str, bool] = {}
        faults = []
        for rule in rules:
            named = [rule.tool]
            match rule:
                case RunFirst():
                    self._first.append(rule)
                case Children():
                    self._after.setdefault(rule.tool, []).append(rule)
                    named += [*rule.children, *rule.args]
                case Continue() | Exit():
                    ends = isinstance(rule, Exit)
                    if self._exits.setdefault(rule.tool, ends) is not ends:
                        faults.append(f"{_name(rule)}: the tool can't both end the turn and go on")
                case _:
                    assert_never(rule)
            faults += [f"{_name(rule)}: there is no tool {name!r}" for name in named if name not in tools]
        if faults:
            raise RuleError("; ".join(faults))

    def forced(self, called: Sequence[str]) -> tuple[str, ...]:
        """The tools of which one must be called next, in the rules' order; empty: any may be, none has to."""
        if not called:
            names = [rule.tool for rule in self._first]
        else:
            names = [child for rule in self._after.get(called[-1], ()) for child in rule.children]
        return tuple(dict.fromkeys(names))

    def refusal(self, tool: str, called: Sequence[str]) -> str | None:
        """Why the tool may not be called next, in words for the model; None if it may."""
        forced = self.forced(called)
        if not forced or tool in forced:
            return None
        return f"Not run: {tool} can't be called now. Call {_either(forced)}."

    def undecided(self, tool: str, called: Sequence[str], running: Sequence[str]) -> bool:
        """Whether it takes the outcome of the running calls to know if the tool may be called."""
        now, then = self.refusal(tool, called), self.refusal(tool, (*called, *running))
        return (now is None) is not (then is None)

    def reminder(self, called: Sequence[str]) -> str:
        """What a model is told that answered in words where a call is forced."""
        return f"[An answer in words does not count here. Call {_either(self.forced(called))}.]"

    def ends_turn(self, tool: str, *, exits: bool) -> bool:
        """Whether calling the tool ends the turn; `exits` is what the tool says of itself."""
        return self._exits.get(tool, exits)

    def fixed(self, tool: str, called: Sequence[str]) -> Fixed | None:
        """The arguments that a rule sets for a call of the tool that is made next."""
        if not called:
            found = [Fixed(_name(rule), rule.args) for rule in self._first if rule.tool == tool]
        else:
            rules = self._after.get(called[-1], ())
            found = [Fixed(_name(rule), rule.args[tool]) for rule in rules if tool in rule.args]
        return next((each for each in found if each.args), None)


def _name(rule: ToolRule) -> str:
    return f"{rule.type} {rule.tool}"


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"
