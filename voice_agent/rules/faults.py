"""What can be seen of rules to be wrong before any turn is played: unknown tools, doubles, contradictions."""

from collections.abc import Collection, Iterator, Sequence

import msgspec

from voice_agent.rules.kinds import Children, Conditional, Continue, Exit, Parent, RequiredBeforeExit, ToolRule
from voice_agent.rules.reading import Reading, read_value


class RuleFault(msgspec.Struct, frozen=True):
    """`path` is a JSON pointer into the list of rules, `rule` names the rule; both are empty if several are meant."""

    path: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}" if self.rule else self.message


class RuleError(ValueError):
    """Rules that no turn can follow; `faults` are all of them, and the message says each."""

    def __init__(self, faults: Sequence[RuleFault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = tuple(faults)


def find_faults(rules: Sequence[ToolRule], tools: Collection[str], exits: Collection[str]) -> list[RuleFault]:
    """Every fault of a single rule, and of each two that contradict each other; `exits` are tools that end a turn."""
    faults, known = [], frozenset(tools)
    for index, rule in enumerate(rules):
        found = [*_unknown(rule, known), *_own(rule), *_against(rule, rules[:index])]
        faults += [RuleFault(f"/{index}{path}", rule.name, message) for path, message in found]
    ends = dict.fromkeys(rule.tool for rule in rules if isinstance(rule, RequiredBeforeExit) and rule.tool in exits)
    if len(ends) > 1:
        faults.append(RuleFault("", "", f"{' and '.join(ends)} each end the turn, and can't all be called before that"))
    return faults


def _unknown(rule: ToolRule, tools: Collection[str]) -> Iterator[tuple[str, str]]:
    named = [("/tool", rule.tool)]
    match rule:
        case Children(children=children) | Parent(children=children):
            named += [(f"/children/{index}", child) for index, child in enumerate(children)]
        case Conditional():
            named += [(f"/mapping/{pointer_step(key)}", tool) for key, tool in rule.mapping.items()]
            named += [] if rule.default is None else [("/default", rule.default)]
        case _:
            pass
    return ((path, f"the agent has no tool {name!r}") for path, name in named if name not in tools)


def _own(rule: ToolRule) -> Iterator[tuple[str, str]]:
    """What contradicts itself."""
    match rule:
        case Children():
            strangers = [child for child in rule.args if child not in rule.children]
            yield from ((f"/args/{pointer_step(child)}", f"{child!r} is none of the children") for child in strangers)
        case Conditional():
            if rule.require_mapping and rule.default is not None:
                yield "/default", "require_mapping leaves nothing for a default"
            seen: dict[Reading, str] = {}
            for key in rule.mapping:
                first = seen.setdefault(read_value(key), key)
                if first is not key:
                    yield f"/mapping/{pointer_step(key)}", f"the keys {first!r} and {key!r} are the same value"
        case _:
            return


def _against(rule: ToolRule, others: Sequence[ToolRule]) -> Iterator[tuple[str, str]]:
    """What contradicts, or repeats, one of the rules before it."""
    for other in others:
        if other.name == rule.name:
            yield "", "there is such a rule for this tool already"
            return
        if other.tool == rule.tool and {type(other), type(rule)} == {Exit, Continue}:
            yield "", "the tool can't both end the turn and go on"


def pointer_step(name: str) -> str:
    """A name as one step of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
