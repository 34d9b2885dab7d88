"""The `@tool` decorator, which makes a Python function a tool, and the registry of those a gateway knows."""

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Protocol, TypedDict, Unpack

import msgspec

from voice_agent.agent import ToolSpec
from voice_agent.clock import Clock
from voice_agent.config import ConfigError
from voice_agent.messages import ToolSchema
from voice_agent.tools.base import Tool, ToolRunner, TurnContext
from voice_agent.tools.function import Isolation, ToolFunction
from voice_agent.tools.isolate.pool import Workers
from voice_agent.tools.parameters import name_of, read_description, read_parameters
from voice_agent.tools.runner import TurnRunner
from voice_agent.tools.threads import Threads

_NAME = re.compile(r"[A-Za-z0-9_-]{1,48}")
_NONE: Mapping[str, Tool] = MappingProxyType({})


class Policies(TypedDict, total=False):
    """How a tool is offered and run; what is left out has its default there. `name`: the function's.

    `timeout_s` in seconds, `return_char_limit` in characters. `isolate`: it runs in a worker process, within the limits
    that `Isolation` tells. The others are told in `ToolSpec`.
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
    acts: Literal["hang_up", "transfer", "digits"]
    isolate: bool
    memory_mb: Annotated[int, msgspec.Meta(ge=1)]
    cpu_s: Annotated[int, msgspec.Meta(ge=1)] | None


def tool(**policies: Unpack[Policies]) -> Callable[[Callable[..., Any]], ToolFunction]:
    """Make a function a tool; an async one runs in the event loop, any other in a thread, an isolated one in a process.

    Its docstring is what the model is told, the lines of its Google-style `Args:` section describe the parameters,
    whose annotations become the schema; a parameter annotated `ToolContext` is not the model's to fill.
    Raises TypeError naming the function, and the parameter or policy, if it cannot be a tool.
    """

    def decorate(function: Callable[..., Any]) -> ToolFunction:
        if not inspect.isroutine(function):
            raise TypeError(f"{function!r} is no function")
        where = name_of(function)
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{where}: a tool returns one result, and yields none")
        chosen = _checked(where, policies)
        name = chosen.pop("name", function.__name__)
        if not _NAME.fullmatch(name):
            raise TypeError(f"{where}: the name {name!r} must be 1 to 48 of A-Z, a-z, 0-9, _ and -")
        description = read_description(function)
        parameters = read_parameters(function)
        running = {key: chosen.pop(key) for key in ("timeout_s", "return_char_limit") if key in chosen}
        isolation = _isolation(function, chosen)
        spec = ToolSpec(
            schema=ToolSchema(name, description, parameters.schema()),
            check=parameters.check,
            threaded=isolation is None and not inspect.iscoroutinefunction(function),
            **chosen,
        )
        return ToolFunction(spec, function, parameters, isolation=isolation, **running)

    return decorate


class UnknownToolError(KeyError):
    """A tool was asked for that this gateway does not know; the message names it and those that are known."""

    def __str__(self) -> str:
        return str(self.args[0])


class ToolSource(Protocol):
    """Where tools come from that come and go, as those of MCP servers do."""

    def tools(self) -> Mapping[str, Tool]:
        """What is offered now, by name."""
        ...

    def serves(self, name: str) -> bool:
        """Whether an entry of an agent's `tools` is of this source, offered just now or not."""
        ...

    def expand(self, name: str) -> tuple[str, ...]:
        """The names of the tools that such an entry stands for now."""
        ...


class Toolbox:
    """The tools of one agent, as they were when they were chosen. `specs`: what the loop must know of them."""

    def __init__(self, tools: Mapping[str, Tool]) -> None:
        self._tools = tools
        self.specs = {name: tool.spec for name, tool in tools.items()}

    def runner(self, clock: Clock, context: TurnContext) -> ToolRunner:
        """A runner for one turn that runs these tools and no others."""
        return TurnRunner(self._tools, clock, context)


class ToolRegistry:
    """The tools of a gateway, by name, and those of a source. ConfigError if two of the first have the same name."""

    def __init__(self, tools: Iterable[ToolFunction], source: ToolSource | None = None) -> None:
        self._threads = Threads()
        self._workers = Workers()
        self._source = source
        self._functions: dict[str, ToolFunction] = {}
        for each in tools:
            other = self._functions.setdefault(each.name, each)
            if other is not each:
                raise ConfigError(
                    f"two tools are named {each.name!r}: {name_of(other.function)}, {name_of(each.function)}"
                )
        self._tools = {name: each.hosted(self._threads, self._workers) for name, each in self._functions.items()}

    async def close(self) -> None:
        """End the worker processes of isolated tools; their calls end as errors."""
        await self._workers.close()

    def names(self) -> tuple[str, ...]:
        """All names, in the order in which the tools were given, then those that the source offers now."""
        offered = self._source.tools() if self._source else ()
        return tuple(dict.fromkeys((*self._tools, *offered)))

    def serves(self, name: str) -> bool:
        """Whether an entry of an agent's `tools` is one of this gateway's, offered just now or not."""
        return name in self._tools or (self._source is not None and self._source.serves(name))

    def choose(self, names: Iterable[str], own: Mapping[str, Tool] = _NONE) -> Toolbox:
        """The tools that an agent lists: `own` by name, this registry's, and of the source what it offers now.

        Raises UnknownToolError.
        """
        chosen: dict[str, Tool] = {}
        unknown = []
        for name in names:
            if (tool := own.get(name, self._tools.get(name))) is not None:
                chosen[name] = tool
            elif self._source is not None and self._source.serves(name):
                offered = self._source.tools()
                chosen |= {each: offered[each] for each in self._source.expand(name) if each not in chosen}
            else:
                unknown.append(name)
        if unknown:
            known = ", ".join(self.names()) or "none"
            raise UnknownToolError(f"unknown tools: {', '.join(map(repr, unknown))}; known: {known}")
        return Toolbox(chosen)

    def specs(self, names: Iterable[str]) -> dict[str, ToolSpec]:
        """What the loop must know of these tools, in this order. Raises UnknownToolError."""
        return self.choose(names).specs

    def runner(self, names: Iterable[str], clock: Clock, context: TurnContext) -> ToolRunner:
        """A runner for one turn that runs these tools and no others. Raises UnknownToolError."""
        return self.choose(names).runner(clock, context)


def _isolation(function: Callable[..., Any], chosen: dict[str, Any]) -> Isolation | None:
    """What was chosen of it, taken out. Raises TypeError if the function cannot be found by another process."""
    isolated = chosen.pop("isolate", False)
    limits = {key: chosen.pop(key) for key in ("memory_mb", "cpu_s") if key in chosen}
    where = name_of(function)
    if not isolated:
        if limits:
            raise TypeError(f"{where}: {', '.join(limits)} takes effect only with isolate=True")
        return None
    if function.__module__ == "__main__" or function.__module__ not in sys.modules:
        raise TypeError(f"{where}: an isolated tool has to be in a module that can be imported")
    if "<" in function.__qualname__:
        raise TypeError(f"{where}: an isolated tool has to be a function of its module, not of another function")
    return Isolation(**limits)


def _checked(where: str, policies: Policies) -> dict[str, Any]:
    if unknown := policies.keys() - Policies.__optional_keys__:
        raise TypeError(f"{where}: there is no tool policy {', '.join(sorted(unknown))}")
    try:
        return dict(msgspec.convert(policies, Policies))
    except msgspec.ValidationError as fault:
        raise TypeError(f"{where}: {fault}") from None
