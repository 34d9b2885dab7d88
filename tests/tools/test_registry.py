"""The decorator's policies, and the registry's answers to names it knows and does not know."""

from typing import Any

import pytest

from voice_agent.clock import SystemClock
from voice_agent.events import RunTool
from voice_agent.tools.base import TurnContext
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
    hangs_up=True,
)
def write() -> None:
    """Write."""


def test_defaults_are_the_careful_ones() -> None:
    """A tool of which nothing is said is irreversible, may run beside others, and has 15 seconds."""
    spec = look.spec
    assert (look.name, spec.schema.description) == ("look", "Look somewhere.")
    assert (look.timeout_s, look.return_char_limit) == (15, 50_000)
    assert (spec.say, spec.utterance_hint, spec.effects, spec.parallel) == (True, None, "irreversible", True)
    assert (spec.on_interrupt, spec.duplicate, spec.exits, spec.hangs_up) == ("cancel", "allow", False, False)
    assert not spec.threaded


def test_every_policy_reaches_the_tool() -> None:
    """What the decorator is told is what the loop and the runner read."""
    spec = write.spec
    assert (write.name, write.timeout_s, write.return_char_limit) == ("write-it", 3, 10)
    assert (spec.say, spec.utterance_hint, spec.effects, spec.parallel) == (False, "that you write", "none", False)
    assert (spec.on_interrupt, spec.duplicate, spec.exits, spec.hangs_up) == ("finish", "reject", True, True)


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
    ],
)
def test_a_bad_policy_is_refused(policies: Any, named: str) -> None:
    """Unknown policies and wrong values are named, with the function, when the module is read."""

    def function() -> None:
        """Do."""

    with pytest.raises(TypeError, match=f"function: .*{named}"):
        tool(**policies)(function)


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

    with pytest.raises(ValueError, match=r"named 'look': .*\.look, .*\.other"):
        ToolRegistry([look, other])


async def test_a_runner_runs_the_tools_it_was_made_for_and_no_others() -> None:
    """An agent's runner does not know the gateway's other tools."""
    runner = ToolRegistry([look, write]).runner(["look"], SystemClock(), CONTEXT)
    found = await runner.run(RunTool("c1", "look", {"where": "up"}))
    assert (found.call_id, found.output, found.status) == ("c1", "up", "ok")
    refused = await runner.run(RunTool("c2", "write-it", {}))
    assert (refused.call_id, refused.output, refused.status) == ("c2", "There is no tool named 'write-it'.", "error")
