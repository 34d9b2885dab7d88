"""What asking the rules costs, for an agent of 50 tools under 50 rules: `python -m benchmarks.rules`."""

import timeit
from collections.abc import Callable
from functools import partial

from voice_agent.rules.book import Rulebook
from voice_agent.rules.kinds import (
    Children,
    Conditional,
    Exit,
    MaxCount,
    Parent,
    RequiredBeforeExit,
    RequiresApproval,
    RunFirst,
    ToolRule,
)
from voice_agent.rules.past import Past

TOOLS = tuple(f"tool_{number}" for number in range(50))
_ROUNDS = 2000


def rulebook() -> Rulebook:
    """Rules of every type over all the tools."""
    rules: list[ToolRule] = [RunFirst(tool="tool_0"), Exit(tool="tool_49"), RequiresApproval(tool="tool_48")]
    rules += [MaxCount(tool=name, count=3) for name in TOOLS[1:21]]
    rules += [Children(tool=name, children=TOOLS[20:40]) for name in TOOLS[1:13]]
    rules += [Parent(tool=name, children=TOOLS[40:45]) for name in TOOLS[20:28]]
    branches = {str(number): TOOLS[number] for number in range(40)}
    rules += [Conditional(tool=name, mapping=branches) for name in TOOLS[30:33]]
    rules += [RequiredBeforeExit(tool=name) for name in TOOLS[5:9]]
    return Rulebook(rules, TOOLS)


def main() -> None:
    """Print microseconds per question, the best of five runs, for turns that have come so far."""
    rules, calls = rulebook(), TOOLS[:10]
    pasts = {
        "at the start": Past(),
        "after 10 calls, none forced": Past((*calls, "tool_47"), "ok", (*calls, "tool_47")),
        "after 10 calls, 20 children": Past((*calls, "tool_1"), "ok", (*calls, "tool_1")),
        "after 10 calls, by output": Past((*calls, "tool_31"), "17", (*calls, "tool_31")),
        "after 100 calls": Past(calls * 10, "ok", calls * 10),
    }
    for title, past in pasts.items():
        questions: dict[str, Callable[[], object]] = {
            "choice": partial(rules.choice, past),
            "refusal": partial(rules.refusal, "tool_45", past),
            "undecided": partial(rules.undecided, "tool_45", past, ("tool_2", "tool_3")),
        }
        times = {name: min(timeit.repeat(ask, number=_ROUNDS)) / _ROUNDS * 1e6 for name, ask in questions.items()}
        print(f"{title:<30}" + "".join(f"{name} {took:5.1f} us   " for name, took in times.items()))  # noqa: T201
    took = timeit.timeit(rulebook, number=20) / 20 * 1e3
    print(f"{'made, once for an agent':<30}{took:.1f} ms")  # noqa: T201


if __name__ == "__main__":
    main()
