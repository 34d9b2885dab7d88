"""The runner: whatever a function does, one result comes back, and only being cancelled passes through."""

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from msgspec import structs

from voice_agent.events import RunTool, ToolReturned
from voice_agent.tools.base import ToolContext, ToolFault, TurnContext
from voice_agent.tools.function import ToolFunction
from voice_agent.tools.isolate.pool import Workers
from voice_agent.tools.registry import tool
from voice_agent.tools.runner import TurnRunner
from voice_agent.tools.secrets import Secrets
from voice_agent.tools.threads import Threads

CONTEXT = TurnContext(agent_id="a1", user="u1", session_id="s1", turn_id="t1", timezone="Europe/Berlin")
PATIENCE_S = 10


class StillClock:
    def now(self) -> float:
        return 5.0

    def wall(self) -> float:
        return 1_000_000.0


def runner_of(*tools: ToolFunction, threads: int = 4) -> TurnRunner:
    pool, workers = Threads(threads), Workers()
    hosted = {each.name: each.hosted(pool, workers) for each in tools}
    return TurnRunner(hosted, StillClock(), CONTEXT)


async def run(made: ToolFunction, **arguments: Any) -> ToolReturned:
    return await runner_of(made).run(RunTool("c1", made.name, arguments))


def raising(fault: BaseException) -> tuple[ToolFunction, ToolFunction]:
    """A tool in the loop and one in a thread, both raising `fault`."""

    @tool(name="in_loop")
    async def in_loop() -> str:
        """Fail."""
        raise fault

    @tool(name="in_thread")
    def in_thread() -> str:
        """Fail."""
        raise fault

    return in_loop, in_thread


async def test_a_result_is_handed_back_under_its_call_id() -> None:
    """Async functions run in the loop's thread, others in a thread of their own."""

    @tool()
    async def in_loop(count: int) -> dict[str, int]:
        """Do."""
        return {"count": count, "thread": threading.get_ident()}

    @tool()
    def in_thread(count: int) -> dict[str, int]:
        """Do."""
        return {"count": count, "thread": threading.get_ident()}

    here = threading.get_ident()
    assert await run(in_loop, count=1) == ToolReturned("c1", f'{{"count":1,"thread":{here}}}', "ok")
    elsewhere = await run(in_thread, count=2)
    assert elsewhere.status == "ok"
    assert elsewhere.output.startswith('{"count":2,')
    assert str(here) not in elsewhere.output


async def test_the_context_says_where_the_call_comes_from() -> None:
    """A parameter annotated ToolContext gets the turn's context, the call's id and the wall clock's time."""
    seen: list[ToolContext] = []

    @tool()
    async def ask(context: ToolContext) -> None:
        """Ask."""
        seen.append(context)

    assert await run(ask) == ToolReturned("c1", "done", "ok")
    (context,) = seen
    assert (context.agent_id, context.user, context.session_id, context.turn_id) == ("a1", "u1", "s1", "t1")
    assert (context.timezone, context.call_id, context.at) == ("Europe/Berlin", "c1", 1_000_000.0)


async def test_wrong_arguments_do_not_reach_the_function() -> None:
    """The runner checks too, and names the field."""

    @tool()
    async def count(number: int) -> None:
        """Count."""
        raise AssertionError

    returned = await run(count, number="many")
    assert returned.status == "error"
    assert returned.output == "count failed: ArgumentError: number: Input should be a valid integer"


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    "fault",
    [
        ValueError("no such street"), SystemExit(3), StopIteration("x"), TimeoutError("its own"),
        asyncio.CancelledError("its own"), BaseExceptionGroup("g", [SystemExit(1)]),
    ],
)  # fmt: skip
async def test_whatever_a_function_raises_is_an_error_for_the_model(fault: BaseException, which: int) -> None:
    """Exceptions, exits and cancellations of the tool's own making become results of status error."""
    made = raising(fault)[which]
    returned = await run(made)
    assert returned.status == "error"
    assert returned.output.startswith(f"{made.name} failed: ")
    assert "Traceback" not in returned.output


async def test_what_would_have_to_be_awaited_is_no_result() -> None:
    """A decorator that is not async hides an async function: said, instead of what Python calls it."""

    def plain(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def wrapped(**arguments: Any) -> object:
            return function(**arguments)

        return wrapped

    @tool()
    @plain
    async def hidden(count: int) -> int:
        """Do."""
        return count

    @tool()
    async def twice() -> object:
        """Do."""
        return asyncio.sleep(0)

    says = "failed: TypeError: it returned a coroutine, which nobody awaits; the function has to be async and await it"
    assert await run(hidden, count=1) == ToolReturned("c1", f"hidden {says}", "error")
    assert await run(twice) == ToolReturned("c1", f"twice {says}", "error")


async def test_an_error_is_one_sentence_and_is_logged_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    """The model reads type and message; the log has the place and the ids beside it, and no secret."""
    made, _ = raising(ValueError("token=HUSH1234 is\nwrong"))
    with caplog.at_level(logging.WARNING):
        returned = await run(made)
    assert returned.output == "in_loop failed: ValueError: token=*** is wrong"
    (record,) = caplog.records
    assert record.getMessage() == returned.output
    fields = vars(record)
    assert (fields["session_id"], fields["turn_id"], fields["call_id"]) == ("s1", "t1", "c1")
    assert "test_runner.py:" in fields["where"]
    assert "HUSH" not in str(fields)


async def test_a_fault_is_in_the_tool_s_own_words(caplog: pytest.LogCaptureFixture) -> None:
    """With the status that it names; without words, it still says which tool failed."""

    class Unprintable(ToolFault):
        def __str__(self) -> str:
            raise KeyError

    @tool()
    async def ask_oddly() -> None:
        """Ask."""
        raise Unprintable("x")

    @tool()
    async def ask(words: str) -> None:
        """Ask."""
        raise ToolFault(words, "denied")

    assert await run(ask, words="line\nline") == ToolReturned("c1", "line\nline", "denied")
    assert await run(ask, words="") == ToolReturned("c1", "ask failed.", "denied")
    assert await run(ask_oddly) == ToolReturned("c1", "an unprintable Unprintable", "error")
    assert [record.getMessage() for record in caplog.records] == [
        "line line", "ask failed.", "an unprintable Unprintable",
    ]  # fmt: skip


@pytest.mark.parametrize("which", ["result", "fault", "exception"])
async def test_the_agent_s_secrets_are_masked(which: str, caplog: pytest.LogCaptureFixture) -> None:
    """In what a tool returns, however it fails, and in the log; before anything is cut."""

    @tool(return_char_limit=40)
    async def tattle(context: ToolContext) -> object:
        """Tell."""
        said = "x" * 25 + context.secrets["KEY"]
        if which == "result":
            return {"said": said, "context": context}
        raise ToolFault(said) if which == "fault" else ValueError(said)

    context = structs.replace(CONTEXT, secrets=Secrets({"KEY": "HUSH\n" * 10}))
    runner = TurnRunner({"tattle": tattle.hosted(Threads(), Workers())}, StillClock(), context)
    returned = await runner.run(RunTool("c1", "tattle", {}))
    assert returned.status == ("ok" if which == "result" else "error")
    assert "HUSH" not in returned.output + caplog.text + repr(context)


async def test_an_interrupt_from_the_keyboard_in_a_thread_is_an_error() -> None:
    """Only the main thread gets a real one, so that one in a thread is the tool's own."""
    returned = await run(raising(KeyboardInterrupt())[1])
    assert (returned.output, returned.status) == ("in_thread failed: RuntimeError: KeyboardInterrupt:", "error")


def test_an_interrupt_from_the_keyboard_in_the_loop_passes() -> None:
    """It is the person at the terminal who stops the process."""
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(run(raising(KeyboardInterrupt())[0]))


@pytest.mark.parametrize(("effects", "told"), [("none", ""), ("irreversible", " It may have taken effect.")])
async def test_a_function_in_the_loop_is_stopped_at_its_timeout(effects: Any, told: str) -> None:
    """It is cancelled, and the model is told whether something may have happened."""
    stopped: list[str] = []

    @tool(timeout_s=0.01, effects=effects)
    async def slow() -> None:
        """Wait."""
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append("yes")

    assert await run(slow) == ToolReturned("c1", f"slow took longer than 0.01 s and was stopped.{told}", "timeout")
    assert stopped == ["yes"]


async def test_a_function_that_fails_while_it_is_stopped_has_timed_out() -> None:
    """What it raises on the way out does not hide why."""

    @tool(timeout_s=0.01, effects="none")
    async def slow() -> None:
        """Wait."""
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("on the way out")

    assert (await run(slow)).status == "timeout"


async def test_a_thread_is_abandoned_at_its_timeout() -> None:
    """The result comes while the thread still runs, and says that its effect may have happened."""
    release, ended = threading.Event(), threading.Event()

    @tool(timeout_s=0.3)
    def stuck() -> None:
        """Wait."""
        release.wait(PATIENCE_S)
        ended.set()

    returned = await run(stuck)
    assert not ended.is_set()
    assert returned.status == "timeout"
    assert returned.output == (
        "stuck took longer than 0.3 s and could not be stopped: its effect may have happened, or may still happen."
    )
    release.set()
    assert ended.wait(PATIENCE_S)


async def test_a_call_that_finds_no_free_thread_is_not_run() -> None:
    """Its result says so, since its effect cannot have happened, and it is not run later either."""
    release, begun = threading.Event(), threading.Event()
    ran: list[str] = []

    @tool()
    def stuck() -> None:
        """Wait."""
        begun.set()
        release.wait(PATIENCE_S)

    @tool(timeout_s=0.02)
    def late() -> None:
        """Note."""
        ran.append("late")

    runner = runner_of(stuck, late, threads=1)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(runner.run(RunTool("c1", "stuck", {})))
        while not begun.is_set():
            await asyncio.sleep(0)
        second = await runner.run(RunTool("c2", "late", {}))
        release.set()
    assert second == ToolReturned("c2", "late was not run: no thread was free for 0.02 s.", "timeout")
    assert first.result().status == "ok"
    assert ran == []


async def test_a_thread_that_never_ends_takes_no_other_s_place() -> None:
    """It was abandoned, and the next call has a thread of its own."""
    release = threading.Event()

    @tool(timeout_s=0.3)
    def stuck() -> None:
        """Wait."""
        release.wait(PATIENCE_S)

    @tool()
    def quick() -> str:
        """Answer."""
        return "here"

    runner = runner_of(stuck, quick, threads=1)
    assert (await runner.run(RunTool("c1", "stuck", {}))).status == "timeout"
    assert await runner.run(RunTool("c2", "quick", {})) == ToolReturned("c2", "here", "ok")
    release.set()


async def cancelled_once(begun: Callable[[], bool], made: ToolFunction) -> bool:
    """Start a call, cancel it once it has begun; whether the cancellation came through."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run(made))
        while not begun():
            await asyncio.sleep(0)
        task.cancel()
    return task.cancelled()


async def test_cancelling_stops_a_function_in_the_loop() -> None:
    """The cancellation reaches the function and passes on."""
    steps: list[str] = []

    @tool()
    async def slow() -> None:
        """Wait."""
        steps.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            steps.append("stopped")

    assert await cancelled_once(lambda: bool(steps), slow)
    assert steps == ["begun", "stopped"]


async def test_cancelling_abandons_a_thread() -> None:
    """The cancellation passes at once, while the thread goes on by itself."""
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    @tool()
    def stuck() -> None:
        """Wait."""
        begun.set()
        release.wait(PATIENCE_S)
        ended.set()

    assert await cancelled_once(begun.is_set, stuck)
    assert not ended.is_set()
    release.set()
    assert ended.wait(PATIENCE_S)


async def test_a_run_that_is_thrown_away_closes_quietly(caplog: pytest.LogCaptureFixture) -> None:
    """An interpreter that goes down closes coroutines, which is no failure of the tool's."""

    @tool()
    async def slow() -> None:
        """Wait."""
        await asyncio.Event().wait()

    coroutine = runner_of(slow).run(RunTool("c1", "slow", {}))
    coroutine.send(None)
    coroutine.close()
    assert caplog.records == []


@pytest.mark.parametrize("threaded", [True, False])
async def test_a_long_result_is_cut_once_and_marked(threaded: bool) -> None:
    """The limit is in characters, and errors keep to it too."""

    @tool(return_char_limit=10)
    async def in_loop() -> str:
        """Tell."""
        return "é" * 25

    @tool(return_char_limit=10)
    def in_thread() -> str:
        """Tell."""
        raise ValueError("x" * 25)

    returned = await run(in_thread if threaded else in_loop)
    whole = "in_thread failed: ValueError: " + "x" * 25 if threaded else "é" * 25
    assert returned.output == f"{whole[:10]}\n[cut: {len(whole) - 10} more characters]"


STUCK = '''
import asyncio, threading
from voice_agent.clock import SystemClock
from voice_agent.events import RunTool
from voice_agent.tools.base import TurnContext
from voice_agent.tools.registry import ToolRegistry, tool

@tool(timeout_s=0.3)
def stuck() -> None:
    """Wait for ever."""
    threading.Event().wait()

@tool(timeout_s=0.3)
def late() -> None:
    """Fail after the loop is closed."""
    finish.wait()
    raise ValueError("nobody listens")

finish = threading.Event()

async def main() -> None:
    context = TurnContext(agent_id="a", user="u", session_id="s", turn_id="t")
    runner = ToolRegistry([stuck, late]).runner(["stuck", "late"], SystemClock(), context)
    for name in ("stuck", "late"):
        print((await runner.run(RunTool("c", name, {}))).status)

asyncio.run(main(), debug=True)
finish.set()
for thread in threading.enumerate():
    if thread.name == "tool":
        thread.join(0.05)
print("over")
'''


def test_a_stuck_thread_holds_up_neither_the_loop_nor_the_process() -> None:
    """A process with an abandoned thread exits by itself, without a word on stderr but the two log lines."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", STUCK], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["timeout", "timeout", "over"]
    assert [line.split(" took ")[0] for line in done.stderr.splitlines()] == ["stuck", "late"]
