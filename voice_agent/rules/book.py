"""The rules of one agent, ready to be asked: worked out once for every tool that may have been called last.

What a turn's rules say follows from the calls that the turn has made so far (`Past`), judged as if they had come one
after the other. A rule that narrows the choice also forces a call: the model may not answer in words instead.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from voice_agent.messages import ToolChoice
from voice_agent.rules.faults import RuleError, RuleFault, find_faults, pointer_step
from voice_agent.rules.kinds import (
    Children,
    Conditional,
    Continue,
    Exit,
    MaxCount,
    Parent,
    RequiredBeforeExit,
    RequiresApproval,
    RunFirst,
    ToolRule,
)
from voice_agent.rules.past import Past
from voice_agent.rules.reading import Reading, read_value

_WORDS_OF_CHOICE = ("auto", "none", "required")
_NO_KEY = _ANY_OTHER = "\x00"
R = TypeVar("R")


class Fixed(msgspec.Struct, frozen=True):
    """Arguments that a rule sets; `rule` names it, `path` (JSON pointer) leads from the list of rules to them."""

    rule: str
    path: str
    args: dict[str, Any]

    def blamed(self, fault: str) -> str | None:
        """The part of a fault in a call's arguments ("field: what; field: what") that these are to blame for."""
        names = "|".join(re.escape(pointer_step(name)) for name in self.args)
        return "; ".join(part for part in fault.split("; ") if re.match(rf"(?:{names})[:/]", part)) or None


class Choice(msgspec.Struct, frozen=True):
    """What may be called next, in the agent's order. `forced`: one of them has to be.

    `ask` is what a request says of calls. `fault`: the rules demand a call and leave none, so that the turn is lost.
    """

    tools: tuple[str, ...]
    forced: bool
    ask: ToolChoice
    fault: str | None = None


class _Place(msgspec.Struct, frozen=True):
    """What may follow a tool by its rules of order alone, which are named by `rules`."""

    tools: tuple[str, ...]
    forced: bool
    rules: tuple[str, ...]


class _Fork(msgspec.Struct, frozen=True):
    """What may follow a tool whose output picks it; `otherwise`: an output that is no key."""

    places: dict[Reading, _Place]
    otherwise: _Place


class Rulebook:
    """See the module. Answers in microseconds; `tools` are all tools of the agent, `exits` those that end a turn."""

    def __init__(
        self, rules: Sequence[ToolRule] = (), tools: Collection[str] = (), exits: Collection[str] = ()
    ) -> None:
        """Raises RuleError if a rule names a tool that there is not, contradicts another, or leaves nothing to call."""
        self._tools = tuple(tools)
        over = {rule.tool: isinstance(rule, Exit) for rule in rules if isinstance(rule, Exit | Continue)}
        self._exits = frozenset(name for name in self._tools if over.get(name, name in exits))
        if faults := find_faults(rules, tools, self._exits):
            raise RuleError(faults)
        self._limits = {rule.tool: rule.count for rule in _only(MaxCount, rules)}
        self._required = tuple(rule.tool for rule in _only(RequiredBeforeExit, rules))
        self._approved = frozenset(rule.tool for rule in _only(RequiresApproval, rules))
        self._fixed = dict(fixed_by(rules))
        self._parents: dict[str, tuple[str, ...]] = {}
        for parent in _only(Parent, rules):
            for child in parent.children:
                self._parents[child] = (*self._parents.get(child, ()), parent.tool)
        self._places = {last: self._place(last, rules) for last in (None, _ANY_OTHER, *self._tools)}
        self._forks = {rule.tool: self._fork(rule) for rule in _only(Conditional, rules)}
        ends = [RuleFault("", "", end) for end in dict.fromkeys(self._dead_ends(rules))]
        if ends := ends or list(self._never_called(rules)):
            raise RuleError(ends)

    # ---- asked in a turn ----

    def choice(self, past: Past) -> Choice:
        """What may be called next."""
        spent = self._spent(past)
        return self._choice(past, spent, self._missing(past, spent))

    def _choice(self, past: Past, spent: frozenset[str], missing: tuple[str, ...]) -> Choice:
        place, barred = self._placed(past), spent
        if missing:
            barred = barred | {name for name in self._exits if missing != (name,)}
        tools = tuple([name for name in place.tools if name not in barred]) if barred else place.tools
        if not place.forced:
            return Choice(tools, False, "auto" if tools or not self._tools else "none")
        if not tools:
            return Choice((), True, "none", self._dead_end(past, place, spent, missing))
        alone = len(tools) == 1 and tools[0] not in _WORDS_OF_CHOICE
        return Choice(tools, True, tools[0] if alone else "required")

    def refusal(self, tool: str, past: Past) -> str | None:
        """Why the tool may not be called next, in words for the model; None if it may."""
        spent = self._spent(past)
        missing = self._missing(past, spent)
        choice = self._choice(past, spent, missing)
        if tool in choice.tools:
            return None
        if tool in spent:
            count = self._limits[tool]
            why = f"{tool} may be called {'once' if count == 1 else f'{count} times'} in a turn, and was"
        elif tool in self._placed(past).tools:
            why = f"{tool} ends the turn, and before that {_all_of(missing)} must be called"
        elif not choice.forced and tool in self._parents:
            why = f"{tool} can be called only right after {' or '.join(self._parents[tool])}"
        else:
            why = f"{tool} can't be called now"
        if choice.forced and choice.tools:
            return f"Not run: {why}. Call {_one_of(choice.tools)}."
        allowed = f"Allowed now: {', '.join(choice.tools)}." if choice.tools else "No tool can be called now."
        return f"Not run: {why}. {allowed}"

    def undecided(self, tool: str, past: Past, running: Sequence[str]) -> bool:
        """Whether it takes the outcome of the running calls to know if the tool may be called, and with what."""
        now, fixed = tool in self._placed(past).tools, self.fixed(tool, past)
        return any(
            name in self._forks
            or (tool in self._places[name].tools) is not now
            or self._fixed.get((name, tool)) is not fixed
            for name in running
        )

    def owed(self, past: Past) -> str | None:
        """What must be called before an answer in words may end the turn; None if it may."""
        spent = self._spent(past)
        missing = self._missing(past, spent)
        choice = self._choice(past, spent, missing)
        return _one_of(choice.tools) if choice.forced else _all_of(missing) if missing else None

    def ends_turn(self, tool: str) -> bool:
        """Whether calling the tool, with success, ends the turn."""
        return tool in self._exits

    def needs_approval(self, tool: str) -> bool:
        """Whether a person has to decide on each call of the tool."""
        return tool in self._approved

    def fixed(self, tool: str, past: Past) -> Fixed | None:
        """The arguments that a rule sets for a call of the tool that is made next."""
        return self._fixed.get((past.last, tool))

    # ---- worked out ----

    def _placed(self, past: Past) -> _Place:
        fork = self._forks.get(past.last or "")
        if fork is not None:
            return fork.places.get(read_value(past.output), fork.otherwise)
        return self._places.get(past.last, self._places[_ANY_OTHER])

    def _spent(self, past: Past) -> frozenset[str]:
        left = dict(self._limits)
        for name in past.ran:
            if name in left:
                left[name] -= 1
        return frozenset([name for name, count in left.items() if count <= 0])

    def _missing(self, past: Past, spent: frozenset[str]) -> tuple[str, ...]:
        """What is required and was not called yet; a tool that was called as often as it may be is required no more."""
        if not self._required:
            return ()
        called = spent.union(past.succeeded)
        return tuple([name for name in self._required if name not in called])

    def _place(self, last: str | None, rules: Sequence[ToolRule]) -> _Place:
        follows = [rule for rule in rules if isinstance(rule, Children | Parent) and rule.tool == last]
        sets = [frozenset(rule.children) for rule in follows]
        names = [rule.name for rule in follows]
        if last is None and (first := list(_only(RunFirst, rules))):
            sets.append(frozenset(rule.tool for rule in first))
            names += [rule.name for rule in first]
        allowed = frozenset(self._tools).intersection(*sets)
        elsewhere = {child for child, parents in self._parents.items() if last not in parents}
        names += [rule.name for rule in _only(Parent, rules) if rule not in follows and allowed & {*rule.children}]
        tools = tuple(name for name in self._tools if name in allowed and name not in elsewhere)
        return _Place(tools, bool(sets), tuple(names))

    def _fork(self, rule: Conditional) -> _Fork:
        place = self._places[rule.tool]

        def only(tool: str, why: str) -> _Place:
            return _Place((tool,) if tool in place.tools else (), True, (*place.rules, f"{rule.name} ({why})"))

        if rule.default is not None:
            otherwise = only(rule.default, "default")
        elif rule.require_mapping:
            otherwise = _Place((), True, (f"{rule.name} (its output is no key of the mapping)",))
        else:
            otherwise = place
        keyed = {read_value(key): only(tool, f"output {key!r}") for key, tool in rule.mapping.items()}
        return _Fork(keyed, otherwise)

    def _dead_ends(self, rules: Sequence[ToolRule]) -> Iterator[str]:
        """Where the rules leave nothing to call however a turn goes: all that is required counts as called."""
        start = Past()
        if self._tools and not self.choice(start).tools:
            yield self._dead_end(start, self._placed(start), frozenset(), self._required)
        called = {rule.tool: [""] for rule in rules}
        for rule in _only(Conditional, rules):
            called[rule.tool] = [*rule.mapping, *([] if rule.require_mapping else [_NO_KEY])]
        for tool, outputs in called.items():
            if tool not in self._exits:
                for output in outputs:
                    yield from _faults(self.choice(Past((*self._required, tool), output, (tool,))))

    def _never_called(self, rules: Sequence[ToolRule]) -> Iterator[RuleFault]:
        """Tools that are required, and that no order of calls leads to."""
        found, ahead = set[str](), list[str | None]([None])
        while ahead:
            last = ahead.pop()
            fork = self._forks.get(last or "")
            places = [self._places[last]] if fork is None else [*fork.places.values(), fork.otherwise]
            new = {name for place in places for name in place.tools} - found
            found |= new
            ahead += new - self._exits
        for index, rule in enumerate(rules):
            if isinstance(rule, RequiredBeforeExit) and rule.tool not in found:
                yield RuleFault(f"/{index}", rule.name, "the other rules never let it be called")

    def _dead_end(self, past: Past, place: _Place, spent: frozenset[str], missing: Sequence[str]) -> str:
        after = "at the start of a turn" if past.last is None else f"after {past.last}"
        rules = [*place.rules, *(f"max_count {name}" for name in place.tools if name in spent)]
        if any(name in self._exits for name in place.tools):
            rules += [f"required_before_exit {name}" for name in missing]
        return f"the rules leave no tool to call {after}: {', '.join(rules)}"


def fixed_by(rules: Sequence[ToolRule]) -> Iterator[tuple[tuple[str | None, str], Fixed]]:
    """What the rules set, by the tool called last (None: at the start) and the tool to call."""
    for index, rule in enumerate(rules):
        if isinstance(rule, RunFirst) and rule.args:
            yield (None, rule.tool), Fixed(rule.name, f"/{index}/args", rule.args)
        elif isinstance(rule, Children):
            for child, args in rule.args.items():
                if args:
                    yield (rule.tool, child), Fixed(rule.name, f"/{index}/args/{pointer_step(child)}", args)


def _only(kind: type[R], rules: Sequence[ToolRule]) -> Iterator[R]:
    return (rule for rule in rules if isinstance(rule, kind))


def _faults(choice: Choice) -> Iterator[str]:
    if choice.fault is not None:
        yield choice.fault


def _one_of(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"


def _all_of(names: Sequence[str]) -> str:
    return " and ".join(names)
