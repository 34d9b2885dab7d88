"""Whatever a tool does, in the loop, a thread or a process: model, caller and history get one clear result."""

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from tests.tools import misbehaving
from tests.turns import FINISHED, ScriptedModel, check_valid_for_providers, setup
from voice_agent import events as ev
from voice_agent.clock import SystemClock
from voice_agent.run import Inbox, run_turn
from voice_agent.tools.base import TurnContext
from voice_agent.tools.registry import ToolRegistry
from voice_agent.turn import Turn

CONTEXT = TurnContext(agent_id="a", user="u", session_id="s", turn_id="t1")
EVERYWHERE = ("in_loop", "in_thread", "isolated")
SURE = "It may have taken effect."


class Told:
    """A listener that keeps the turn's events."""

    def __init__(self) -> None:
        self.events: list[ev.TurnEvent] = []
        self.on_event = self.events.append

    def on_step(self, step: ev.SaveStep) -> None:
        """Nothing is journalled here."""

    def on_late(self, finished: ev.ToolFinished, output: str) -> None:
        raise AssertionError


@pytest.fixture
async def registry() -> AsyncIterator[ToolRegistry]:
    made = ToolRegistry([
        misbehaving.in_loop, misbehaving.in_thread, misbehaving.isolated, misbehaving.loop_hangs,
        misbehaving.thread_hangs, misbehaving.isolated_hangs,
    ])  # fmt: skip
    yield made
    await made.close()


async def outcome(registry: ToolRegistry, name: str, how: str | None) -> tuple[str, str]:
    """Play a turn in which the model calls the tool: the status that the caller gets, and what the model reads."""
    arguments = {} if how is None else {"how": how}
    call = ev.ToolCallDelta(0, "p0", name, msgspec.json.encode(arguments).decode())
    model = ScriptedModel([call, FINISHED], [ev.TextDelta("Well."), FINISHED])
    box, told, clock = registry.choose(registry.names()), Told(), SystemClock()
    turn = Turn(setup(tools=box.specs, received_at=clock.now()))
    await run_turn(turn, model, box.runner(clock, CONTEXT), Inbox(), told, clock)
    (finished,) = [event for event in told.events if isinstance(event, ev.ToolFinished)]
    (ended,) = [event for event in told.events if isinstance(event, ev.TurnEnded)]
    check_valid_for_providers(ended.messages)
    (kept,) = [message for message in ended.messages if message.role == "tool"]
    (read,) = [message for message in model.requests[1].turn if message.role == "tool"]
    assert (ended.reason, ended.heard, kept.text) == ("end_turn", "Well.", read.text)
    assert kept.failed is (finished.status != "ok")
    return finished.status, read.text


EVERYWHERE_ALIKE: list[tuple[str, str, Callable[[str], bool]]] = [
    ("answers", "ok", "fine".__eq__),
    ("raises", "error", " failed: ValueError: no such street".__eq__),
    ("faults", "denied", "nobody is at home".__eq__),
    ("faults with half a letter", "denied", "nobody is at \ufffd".__eq__),
    ("exits", "error", lambda text: text in (" failed: SystemExit: 3", " failed: RuntimeError: SystemExit: 3")),
    ("returns 10 MB", "ok", lambda text: len(text) < 1100 and text.startswith("ééé") and " more characters]" in text),
    ("returns bytes", "ok", "gr\ufffd\ufffde".__eq__),
    ("returns what is no data", "ok", "an unprintable Mute".__eq__),
    ("returns a lone surrogate", "ok", '{"half":"\ufffd"}'.__eq__),
]


@pytest.mark.parametrize("name", EVERYWHERE)
async def test_what_any_tool_may_do_wrong(registry: ToolRegistry, name: str) -> None:
    """It makes no difference where the tool runs."""
    for how, status, is_right in EVERYWHERE_ALIKE:
        found, text = await outcome(registry, name, how)
        assert found == status, how
        assert is_right(text.removeprefix(name)), text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("loop_hangs", f"loop_hangs took longer than 0.2 s and was stopped. {SURE}"),
        (
            "thread_hangs",
            "thread_hangs took longer than 0.2 s and could not be stopped: its effect may have happened, or may "
            "still happen.",
        ),
        ("isolated_hangs", f"isolated_hangs took longer than 0.2 s and was stopped. {SURE}"),
    ],
)
async def test_a_tool_that_hangs_has_timed_out(registry: ToolRegistry, name: str, text: str) -> None:
    """And the model is told whether it was stopped."""
    assert await outcome(registry, name, None) == ("timeout", text)


@pytest.mark.parametrize(
    ("how", "status", "text"),
    [
        ("exits at once", "error", f"isolated failed: its process exited with code 4. {SURE}"),
        ("kills itself", "error", f"isolated failed: its process was ended by SIGKILL. {SURE}"),
        ("kills its keeper", "error", f"isolated failed: its process was ended by SIGKILL. {SURE}"),
        ("eats memory", "error", "isolated failed: it needed more than 256 MB of memory."),
        ("burns", "error", f"isolated failed: it used all the processor time that it may. {SURE}"),
        ("forks", "ok", "the parent's"),
        ("floods", "ok", "said"),
        ("scribbles", "error", f"isolated failed: its process sent something that is no answer. {SURE}"),
    ],
)
async def test_what_only_an_isolated_tool_may_do(registry: ToolRegistry, how: str, status: str, text: str) -> None:
    """It costs its process at most, and the next call is answered."""
    assert await outcome(registry, "isolated", how) == (status, text)
    assert await outcome(registry, "isolated", "answers") == ("ok", "fine")
