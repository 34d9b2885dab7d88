"""The decorator's policies, and the registry's answers to names it knows and does not know."""

from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from tests.tools import misbehaving
from voice_agent.agent import ToolSpec
from voice_agent.clock import SystemClock
from voice_agent.config import ConfigError
from voice_agent.events import RunTool
from voice_agent.messages import ToolSchema
from voice_agent.tools.base import Tool, ToolContext, TurnContext
from voice_agent.tools.registry import ToolRegistry, UnknownToolError, tool

CONTEXT = TurnContext(agent_id="a", user="u", session_id="s", turn_id="t")


@tool()
async def look(where: str) -> str:
    """Look somewhere."""
    return where


@tool(
    name="write-it",
    timeout_s=3,
    return_char_limit=10,
    say=False,
    utterance_hint="that you write",
    effects="none",
    parallel=False,
    on_interrupt="finish",
    duplicate="reject",
    exits=True,
    acts="hang_up",
)
def write() -> None:
    """Write."""


def test_defaults_are_the_careful_ones() -> None:
    """A tool of which nothing is said is irreversible, may run beside others, and has 15 seconds."""
    spec = look.spec
    assert (look.name, spec.schema.description) == ("look", "Look somewhere.")
    assert (look.timeout_s, look.return_char_limit) == (15, 50_000)
    assert (spec.say, spec.utterance_hint, spec.effects, spec.parallel) == (True, None, "irreversible", True)
    assert (spec.on_interrupt, spec.duplicate, spec.exits, spec.acts) == ("cancel", "allow", False, None)
    assert not spec.threaded


def test_every_policy_reaches_the_tool() -> None:
    """What the decorator is told is what the loop and the runner read."""
    spec = write.spec
    assert (write.name, write.timeout_s, write.return_char_limit) == ("write-it", 3, 10)
    assert (spec.say, spec.utterance_hint, spec.effects, spec.parallel) == (False, "that you write", "none", False)
    assert (spec.on_interrupt, spec.duplicate, spec.exits, spec.acts) == ("finish", "reject", True, "hang_up")


def test_a_function_that_is_not_async_runs_in_a_thread() -> None:
    """The loop must know that it cannot stop it."""
    assert write.spec.threaded


def test_the_check_is_the_schema_s() -> None:
    """The spec's check names the field at fault, and is silent about good arguments."""
    assert look.spec.check({"where": "up"}) is None
    assert look.spec.check({"where": 1}) == "where: Input should be a valid string"


@pytest.mark.parametrize("name", ["", "two words", "größe", "a" * 49, "a.b", "a\n"])
def test_a_bad_name_is_refused(name: str) -> None:
    """A name is what every provider takes."""

    def function() -> None:
        """Do."""

    with pytest.raises(TypeError, match=r"test_a_bad_name_is_refused.*function: the name"):
        tool(name=name)(function)
    assert tool(name="a" * 48)(function).name == "a" * 48


@pytest.mark.parametrize(
    ("policies", "named"),
    [
        ({"timeout": 3}, "there is no tool policy timeout"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": "3"}, "timeout_s"),
        ({"return_char_limit": 0}, "return_char_limit"),
        ({"effects": "some"}, "effects"),
        ({"on_interrupt": "ask"}, "on_interrupt"),
        ({"say": "no"}, "say"),
        ({"memory_mb": 5}, "memory_mb takes effect only with isolate=True"),
        ({"isolate": True, "memory_mb": 0}, "memory_mb"),
        ({"isolate": True, "cpu_s": 0}, "cpu_s"),
        ({"isolate": True}, "an isolated tool has to be a function of its module"),
    ],
)
def test_a_bad_policy_is_refused(policies: Any, named: str) -> None:
    """Unknown policies and wrong values are named, with the function, when the module is read."""

    def function() -> None:
        """Do."""

    with pytest.raises(TypeError, match=f"function: .*{named}"):
        tool(**policies)(function)


async def _agenerates() -> AsyncIterator[int]:
    """Count."""
    yield 1


def _generates() -> Iterator[int]:
    """Count."""
    yield 1


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (_generates, "_generates: a tool returns one result, and yields none"),
        (_agenerates, "_agenerates: a tool returns one result, and yields none"),
        (partial(misbehaving.in_loop.function, how="x"), r"partial\(.*\) is no function"),
        (Mapping, "Mapping'> is no function"),
        (look, r"ToolFunction\(.*\) is no function"),
    ],
)
def test_what_is_no_function_with_a_result_is_refused(given: Any, named: str) -> None:
    """Calling it would bring nothing that a model could read."""
    with pytest.raises(TypeError, match=named):
        tool()(given)


def test_a_missing_docstring_is_refused() -> None:
    """The model would not be told what the tool is for."""

    def function() -> None: ...

    with pytest.raises(TypeError, match=r"function: a tool needs a docstring"):
        tool()(function)


def test_specs_come_in_the_order_asked_for() -> None:
    """Their order is the order in the request, which must not change by itself."""
    registry = ToolRegistry([look, write])
    assert registry.names() == ("look", "write-it")
    assert list(registry.specs(["write-it", "look"])) == ["write-it", "look"]
    assert registry.specs(["look"]) == {"look": look.spec}
    assert registry.specs([]) == {}


def test_unknown_names_are_named() -> None:
    """All unknown names are in one error, which is a KeyError, beside those that are known."""
    registry = ToolRegistry([look])
    with pytest.raises(UnknownToolError) as raised:
        registry.specs(["no", "look", "nor"])
    assert str(raised.value) == "unknown tools: 'no', 'nor'; known: look"
    with pytest.raises(KeyError):
        registry.runner(["no"], SystemClock(), CONTEXT)


def test_two_tools_of_one_name_are_refused() -> None:
    """The error names both functions."""

    @tool(name="look")
    async def other() -> None:
        """Look elsewhere."""

    with pytest.raises(ConfigError, match=r"named 'look': .*\.look, .*\.other"):
        ToolRegistry([look, other])


async def test_a_runner_runs_the_tools_it_was_made_for_and_no_others() -> None:
    """An agent's runner does not know the gateway's other tools."""
    runner = ToolRegistry([look, write]).runner(["look"], SystemClock(), CONTEXT)
    found = await runner.run(RunTool("c1", "look", {"where": "up"}))
    assert (found.call_id, found.output, found.status) == ("c1", "up", "ok")
    refused = await runner.run(RunTool("c2", "write-it", {}))
    assert (refused.call_id, refused.output, refused.status) == ("c2", "There is no tool named 'write-it'.", "error")


def test_an_isolated_tool_can_be_stopped() -> None:
    """The loop need not think that it runs on, and its limits have defaults."""
    limits = misbehaving.isolated.isolation
    assert not misbehaving.isolated.spec.threaded
    assert limits is not None
    assert (limits.memory_mb, limits.cpu_s) == (256, 1)
    assert write.isolation is None


def test_an_isolated_tool_of_a_script_is_refused() -> None:
    """No other process could import it."""

    def function() -> None:
        """Do."""

    function.__qualname__, function.__module__ = "function", "__main__"
    with pytest.raises(TypeError, match=r"__main__\.function: an isolated tool has to be in a module"):
        tool(isolate=True)(function)


class Remote:
    """A tool of another kind, that answers with its name."""

    timeout_s = 1.0
    return_char_limit = 100

    def __init__(self, name: str) -> None:
        self.spec = ToolSpec(ToolSchema(name, "Remote.", {"type": "object", "properties": {}}), lambda _: None)

    async def run(self, arguments: dict[str, Any], context: ToolContext) -> object:
        return self.spec.schema.name


class Source:
    """A source of tools whose names begin with `far__`."""

    def __init__(self, *names: str) -> None:
        self.offered: dict[str, Tool] = {name: Remote(name) for name in names}

    def tools(self) -> Mapping[str, Tool]:
        return self.offered

    def serves(self, name: str) -> bool:
        return name.startswith("far__")

    def expand(self, name: str) -> tuple[str, ...]:
        return tuple(self.offered) if name == "far__*" else (name,) if name in self.offered else ()


async def test_an_agent_s_own_tools_are_its_own() -> None:
    """They stand in their place among the others, run as any does, and no other agent has them."""
    registry, own = ToolRegistry([look, write]), {"hook": Remote("hook")}
    box = registry.choose(["write-it", "hook", "look"], own)
    assert list(box.specs) == ["write-it", "hook", "look"]
    assert (await box.runner(SystemClock(), CONTEXT).run(RunTool("c", "hook", {}))).output == "hook"
    with pytest.raises(UnknownToolError):
        registry.choose(["hook"])


async def test_tools_of_a_source_come_and_go() -> None:
    """A choice has what is offered at its moment, keeps it, and lacks what is not offered without being wrong."""
    source = Source("far__a", "far__b")
    registry = ToolRegistry([look], source)
    assert registry.names() == ("look", "far__a", "far__b")
    box = registry.choose(["far__b", "look", "far__*", "far__gone"])
    assert list(box.specs) == ["far__b", "look", "far__a"]
    source.offered = {"far__c": Remote("far__c")}
    assert list(registry.choose(["far__*"]).specs) == ["far__c"]
    assert (await box.runner(SystemClock(), CONTEXT).run(RunTool("c", "far__a", {}))).output == "far__a"
