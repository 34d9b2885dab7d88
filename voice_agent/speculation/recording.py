"""What a turn that runs ahead has a model and tools do, kept for the turn that may come to ask the same."""

import asyncio
from collections.abc import Callable, Mapping
from typing import NoReturn

from msgspec.structs import replace

from voice_agent.agent import ToolSpec
from voice_agent.clock import Clock
from voice_agent.events import ModelEvent, RunTool, ToolReturned
from voice_agent.llm.base import Speaker
from voice_agent.messages import Message, ModelRequest, Usage
from voice_agent.speculation.call_ahead import CallAhead
from voice_agent.speculation.reply_ahead import ReplyAhead
from voice_agent.tools.base import ToolRunner


class Recording:
    """The replies and calls under way or done. Each is taken once, or dropped; `spent` is what the dropped ones took.

    `replies`: when each was asked for, on the clock. `began`: the calls that were ever run. `taken`: a reply was taken.
    `failed`: a dropped one had failed. `sealed`: the turn that runs ahead is being cancelled, and what it still begins
    would be in nobody's hands.
    """

    def __init__(self) -> None:
        self.replies: dict[ReplyAhead, float] = {}
        self.calls: dict[str, CallAhead] = {}
        self.began: dict[str, RunTool] = {}
        self.spent = Usage()
        self.taken = self.failed = self.sealed = False

    @property
    def usable(self) -> bool:
        """Whether the model has been asked, and has not failed at once."""
        first = next(iter(self.replies), None)
        return first is not None and not first.failed

    def take_reply(self, request: ModelRequest) -> tuple[ReplyAhead, float] | None:
        """The reply to a request that is the same, and when it was asked for.

        Where there is none, what was recorded is of no use any more.
        """
        for reply in self.replies:
            if not reply.failed and _same(reply.request, request):
                self.taken = True
                return reply, self.replies.pop(reply)
        self.drop()
        return None

    def begin_call(self, runner: ToolRunner, call: RunTool, tasks: asyncio.TaskGroup) -> CallAhead:
        """Run it ahead."""
        self.began[call.call_id] = call
        made = self.calls[call.call_id] = CallAhead(runner, call, tasks)
        return made

    def take_call(self, call: RunTool) -> CallAhead | None:
        """The run of the same call, if it was made."""
        made = self.calls.get(call.call_id)
        return self.calls.pop(call.call_id) if made is not None and made.call == call else None

    def apart(self, call: RunTool) -> RunTool:
        """The call as it is to be run: under an id of its own, if another one was run ahead under this id."""
        return call if self.began.get(call.call_id, call) == call else replace(call, call_id=f"{call.call_id}_anew")

    def detach(self) -> None:
        """Let it all go on without the turn that asked for it."""
        self.sealed = True
        for reply in self.replies:
            reply.detach()
        for call in self.calls.values():
            call.detach()

    def drop(self) -> None:
        """Stop all that was not taken."""
        self.sealed = True
        for reply in self.replies:
            self.failed = self.failed or reply.failed
            self.spent += reply.usage
            reply.drop()
        for call in self.calls.values():
            call.drop()
        self.replies.clear()
        self.calls.clear()


class RecordingModel:
    """The model of a turn that runs ahead."""

    def __init__(self, model: Speaker, recording: Recording, tasks: asyncio.TaskGroup, clock: Clock) -> None:
        self._model = model
        self._recording = recording
        self._tasks = tasks
        self._clock = clock

    async def reply(self, request: ModelRequest, emit: Callable[[ModelEvent], None]) -> None:
        """See `Speaker.reply`."""
        if self._recording.sealed:
            await _for_ever()
        reply = ReplyAhead(self._model, request, self._tasks)
        self._recording.replies[reply] = self._clock.now()
        await reply.listen(emit)


class RecordingTools:
    """The tools of a turn that runs ahead: those without effects run, all others wait for as long as it does."""

    def __init__(
        self, runner: ToolRunner, specs: Mapping[str, ToolSpec], recording: Recording, tasks: asyncio.TaskGroup
    ) -> None:
        self._runner = runner
        self._specs = specs
        self._recording = recording
        self._tasks = tasks

    async def run(self, call: RunTool) -> ToolReturned:
        """See `ToolRunner.run`."""
        outcome: ToolReturned | None = None
        if self._specs[call.name].effects == "none" and not self._recording.sealed:
            outcome = await self._recording.begin_call(self._runner, call, self._tasks).outcome()
        if outcome is None:
            await _for_ever()
        return outcome


async def _for_ever() -> NoReturn:
    """The turn that runs ahead gets no further."""
    while True:
        await asyncio.Event().wait()


def _same(sent: ModelRequest, asked: ModelRequest) -> bool:
    """Whether a model is told the same: it is told nothing of when the messages of a turn were made."""
    return replace(sent, turn=_timeless(sent.turn)) == replace(asked, turn=_timeless(asked.turn))


def _timeless(turn: tuple[Message, ...]) -> tuple[Message, ...]:
    return tuple(replace(message, at=0.0) for message in turn)
