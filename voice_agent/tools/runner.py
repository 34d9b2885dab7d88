"""Runs a turn's calls of tools of any kind, so that whatever a tool does becomes a result the model can read."""

import asyncio
import logging
import traceback
from collections.abc import Mapping

from voice_agent.clock import Clock
from voice_agent.events import RunTool, ToolReturned, ToolStatus
from voice_agent.tools.base import NotStarted, Tool, ToolContext, ToolFault, TurnContext
from voice_agent.tools.outcome import as_text, cut, one_line, printed, sentence

_log = logging.getLogger(__name__)


class TurnRunner:
    """A turn's runner: it knows these tools and no others."""

    def __init__(self, tools: Mapping[str, Tool], clock: Clock, context: TurnContext) -> None:
        self._tools = tools
        self._clock = clock
        self._context = context

    async def run(self, call: RunTool) -> ToolReturned:
        """The outcome of the call. Raises nothing of the tool's; being cancelled passes through."""
        tool = self._tools.get(call.name)
        if tool is None:
            return ToolReturned(call.call_id, f"There is no tool named {call.name!r}.", "error")
        deadline = asyncio.timeout(tool.timeout_s)
        try:
            async with deadline:
                result = await tool.run(call.arguments, self._context_of(call))
            text = self._context.secrets.masked(as_text(result))
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as fault:
            task = asyncio.current_task()
            if isinstance(fault, asyncio.CancelledError) and task and task.cancelling():
                raise
            if deadline.expired():
                return self._failed(call, tool, _overdue(call.name, tool, fault), "timeout")
            if isinstance(fault, ToolFault):
                words = self._context.secrets.masked(printed(fault)) or f"{call.name} failed."
                return self._failed(call, tool, words, fault.status, fault)
            text = f"{call.name} failed: {sentence(fault, self._context.secrets)}"
            return self._failed(call, tool, text, "error", fault)
        return ToolReturned(call.call_id, cut(text, tool.return_char_limit))

    def _context_of(self, call: RunTool) -> ToolContext:
        turn = {name: getattr(self._context, name) for name in TurnContext.__struct_fields__}
        return ToolContext(**turn, call_id=call.call_id, at=self._clock.wall())

    def _failed(
        self, call: RunTool, tool: Tool, text: str, status: ToolStatus, fault: BaseException | None = None
    ) -> ToolReturned:
        """A failure, logged: with the places the exception passed, innermost last, and never with its arguments."""
        places = traceback.extract_tb(fault.__traceback__) if fault else ()
        where = " > ".join(f"{place.filename}:{place.lineno}" for place in places)
        extra = {"session_id": self._context.session_id, "turn_id": self._context.turn_id, "call_id": call.call_id}
        _log.warning("%s", one_line(text), extra=extra | ({"where": where} if where else {}))
        return ToolReturned(call.call_id, cut(text, tool.return_char_limit), status)


def _overdue(name: str, tool: Tool, fault: BaseException) -> str:
    waited = next((each for each in (fault, fault.__cause__) if isinstance(each, NotStarted)), None)
    if waited is not None:
        return f"{name} was not run: {waited} for {tool.timeout_s:g} s."
    took = f"{name} took longer than {tool.timeout_s:g} s"
    if tool.spec.threaded:
        return f"{took} and could not be stopped: its effect may have happened, or may still happen."
    return f"{took} and was stopped." + (" It may have taken effect." if tool.spec.effects != "none" else "")
