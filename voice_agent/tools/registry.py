"""The `@tool` decorator, which makes a Python function a tool, and the registry of those a gateway knows."""

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, TypedDict, Unpack

import msgspec

from voice_agent.agent import ToolSpec
from voice_agent.clock import Clock
from voice_agent.messages import ToolSchema
from voice_agent.tools.base import ToolRunner, TurnContext
from voice_agent.tools.parameters import name_of, read_description, read_parameters
from voice_agent.tools.runner import LocalRunner, Tool
from voice_agent.tools.threads import Threads

_NAME = re.compile(r"[A-Za-z0-9_-]{1,48}")


class Policies(TypedDict, total=False):
    """How a tool is offered and run; what is left out has the default of `ToolSpec` or `Tool`. `name`: the function's.

    `timeout_s` in seconds, `return_char_limit` in characters; the others are told in `ToolSpec`.
    """

    name: str
    timeout_s: Annotated[float, msgspec.Meta(gt=0)]
    return_char_limit: Annotated[int, msgspec.Meta(ge=1)]
    say: bool
    utterance_hint: str | None
    effects: Literal["none", "irreversible"]
    parallel: bool
    on_interrupt: Literal["cancel", "finish"]
    duplicate: Literal["allow", "reject"]
    exits: bool
    hangs_up: bool


def tool(**policies: Unpack[Policies]) -> Callable[[Callable[..., Any]], Tool]:
    """Make a function a tool; an async one runs in the event loop, any other in a thread.

    Its docstring is what the model is told, the lines of its Google-style `Args:` section describe the parameters,
    whose annotations become the schema; a parameter annotated `ToolContext` is not the model's to fill.
    Raises TypeError naming the function, and the parameter or policy, if it cannot be a tool.
    """

    def decorate(function: Callable[..., Any]) -> Tool:
        where = name_of(function)
        chosen = _checked(where, policies)
        name = chosen.pop("name", function.__name__)
        if not _NAME.fullmatch(name):
            raise TypeError(f"{where}: the name {name!r} must be 1 to 48 of A-Z, a-z, 0-9, _ and -")
        description = read_description(function)
        parameters = read_parameters(function)
        running = {key: chosen.pop(key) for key in ("timeout_s", "return_char_limit") if key in chosen}
        spec = ToolSpec(
            schema=ToolSchema(name, description, parameters.schema()),
            check=parameters.check,
            threaded=not inspect.iscoroutinefunction(function),
            **chosen,
        )
        return Tool(spec, function, parameters, **running)

    return decorate


class UnknownToolError(KeyError):
    """A tool was asked for that this gateway does not know; the message names it and those that are known."""

    def __str__(self) -> str:
        return str(self.args[0])


class ToolRegistry:
    """The tools of a gateway, by name. ValueError if two have the same."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools: dict[str, Tool] = {}
        self._threads = Threads()
        for each in tools:
            if each.name in self._tools:
                other = self._tools[each.name]
                raise ValueError(
                    f"two tools are named {each.name!r}: {name_of(other.function)}, {name_of(each.function)}"
                )
            self._tools[each.name] = each

    def names(self) -> tuple[str, ...]:
        """All names, in the order in which the tools were given."""
        return tuple(self._tools)

    def specs(self, names: Iterable[str]) -> dict[str, ToolSpec]:
        """What the loop must know of these tools, in this order. Raises UnknownToolError."""
        return {name: chosen.spec for name, chosen in self._chosen(names).items()}

    def runner(self, names: Iterable[str], clock: Clock, context: TurnContext) -> ToolRunner:
        """A runner for one turn that runs these tools and no others. Raises UnknownToolError."""
        return LocalRunner(self._chosen(names), self._threads, clock, context)

    def _chosen(self, names: Iterable[str]) -> dict[str, Tool]:
        wanted = list(names)
        if unknown := [name for name in wanted if name not in self._tools]:
            known = ", ".join(self._tools) or "none"
            raise UnknownToolError(f"unknown tools: {', '.join(map(repr, unknown))}; known: {known}")
        return {name: self._tools[name] for name in wanted}


def _checked(where: str, policies: Policies) -> dict[str, Any]:
    if unknown := policies.keys() - Policies.__optional_keys__:
        raise TypeError(f"{where}: there is no tool policy {', '.join(sorted(unknown))}")
    try:
        return dict(msgspec.convert(policies, Policies))
    except msgspec.ValidationError as fault:
        raise TypeError(f"{where}: {fault}") from None
