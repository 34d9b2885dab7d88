"""The model and the tools of a turn for which work was done ahead: what was asked before is not asked again."""

from collections.abc import Callable

from msgspec.structs import replace

from voice_agent.clock import Clock
from voice_agent.events import ModelEvent, RunTool, ToolReturned
from voice_agent.llm.base import Speaker
from voice_agent.messages import ModelBusy, ModelRequest
from voice_agent.speculation.recording import Recording
from voice_agent.tools.base import ToolRunner


class AdoptingModel:
    """Answers a request that was sent ahead with what has come of it, and asks the model where none was the same."""

    def __init__(self, model: Speaker, recording: Recording, clock: Clock) -> None:
        self._model = model
        self._recording = recording
        self._clock = clock

    async def reply(self, request: ModelRequest, emit: Callable[[ModelEvent], None]) -> None:
        """See `Speaker.reply`. What has come is told before this first waits for anything."""
        made = self._recording.take_reply(request)
        if made is None:
            await self._model.reply(request, emit)
            return
        reply, asked_at = made
        ahead_s = self._clock.now() - asked_at

        def tell(event: ModelEvent) -> None:
            if isinstance(event, ModelBusy):  # for what was lost before it was adopted nobody waited
                event = replace(event, late_s=max(0.0, event.late_s - ahead_s))
            emit(event)

        await reply.listen(tell)


class AdoptingTools:
    """Gives a call that was made ahead the outcome it had, or will have, and runs all others."""

    def __init__(self, runner: ToolRunner, recording: Recording) -> None:
        self._runner = runner
        self._recording = recording

    async def run(self, call: RunTool) -> ToolReturned:
        """See `ToolRunner.run`."""
        made = self._recording.take_call(call)
        outcome = await made.outcome() if made is not None else None
        if outcome is None:
            outcome = await self._runner.run(self._recording.apart(call))
        return replace(outcome, call_id=call.call_id)
