"""Runs calls of Python functions, so that whatever a function does becomes a result the model can read."""

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

import msgspec

from voice_agent.agent import ToolSpec
from voice_agent.clock import Clock
from voice_agent.events import RunTool, ToolReturned, ToolStatus
from voice_agent.tools.base import ToolContext, TurnContext
from voice_agent.tools.outcome import as_text, cut, sentence
from voice_agent.tools.parameters import Parameters
from voice_agent.tools.threads import Threads

_log = logging.getLogger(__name__)


class Tool(msgspec.Struct, frozen=True):
    """A Python function that a model may call. `timeout_s` in seconds, `return_char_limit` in characters."""

    spec: ToolSpec
    function: Callable[..., Any]
    parameters: Parameters
    timeout_s: float = 15.0
    return_char_limit: int = 50_000

    @property
    def name(self) -> str:
        return self.spec.schema.name


class LocalRunner:
    """A turn's runner: async functions run in the loop, others in `threads`."""

    def __init__(self, tools: Mapping[str, Tool], threads: Threads, clock: Clock, context: TurnContext) -> None:
        self._tools = tools
        self._threads = threads
        self._clock = clock
        self._context = context

    async def run(self, call: RunTool) -> ToolReturned:
        """The outcome of the call. Raises nothing of the tool's; being cancelled passes through.

        A function in a thread cannot be stopped: after a timeout or a cancellation it is left to itself.
        """
        tool = self._tools.get(call.name)
        if tool is None:
            return ToolReturned(call.call_id, f"There is no tool named {call.name!r}.", "error")
        deadline = asyncio.timeout(tool.timeout_s)
        future: Future[str] | None = None
        try:
            arguments = tool.parameters.bind(call.arguments, self._context_of(call))
            async with deadline:
                if tool.spec.threaded:
                    future = self._threads.submit(lambda: as_text(tool.function(**arguments)))
                    text = await asyncio.wrap_future(future)
                else:
                    text = as_text(await tool.function(**arguments))
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as fault:
            task = asyncio.current_task()
            if isinstance(fault, asyncio.CancelledError) and task and task.cancelling():
                raise
            if deadline.expired():
                return self._returned(call, tool, _overdue(tool, future), "timeout")
            return self._returned(call, tool, f"{tool.name} failed: {sentence(fault)}", "error", fault)
        return ToolReturned(call.call_id, cut(text, tool.return_char_limit))

    def _context_of(self, call: RunTool) -> ToolContext:
        turn = msgspec.structs.asdict(self._context)
        return ToolContext(**turn, call_id=call.call_id, at=self._clock.wall())

    def _returned(
        self, call: RunTool, tool: Tool, text: str, status: ToolStatus, fault: BaseException | None = None
    ) -> ToolReturned:
        """A failure, logged: with the places the exception passed, innermost last, and never with its arguments."""
        places = traceback.extract_tb(fault.__traceback__) if fault else ()
        where = " > ".join(f"{place.filename}:{place.lineno}" for place in places)
        extra = {"session_id": self._context.session_id, "turn_id": self._context.turn_id, "call_id": call.call_id}
        _log.warning("%s", text, extra=extra | ({"where": where} if where else {}))
        return ToolReturned(call.call_id, cut(text, tool.return_char_limit), status)


def _overdue(tool: Tool, future: "Future[str] | None") -> str:
    took = f"{tool.name} took longer than {tool.timeout_s:g} s"
    if future is None:
        return f"{took} and was stopped." + (" It may have taken effect." if tool.spec.effects != "none" else "")
    if future.cancelled():
        return f"{tool.name} was not run: no thread was free for {tool.timeout_s:g} s."
    return f"{took} and could not be stopped: its effect may have happened, or may still happen."
