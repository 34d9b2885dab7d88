"""An interruption without words was none: what was left to say is kept for a while, and then said after all."""

import asyncio
from collections.abc import Callable, Sequence

from voice_agent.events import ModelEvent, ModelFinished, TextDelta
from voice_agent.llm.base import Model, Preview
from voice_agent.messages import ModelRequest
from voice_agent.speculation.reply_ahead import ReplyAhead
from voice_agent.tools.base import ToolRunner
from voice_agent.turn import Turn
from voice_agent.turn_states import State


class Outliving:
    """A model whose reply is read on, if it is told to `detach`, when nobody listens any more."""

    def __init__(self, model: Model, tasks: asyncio.TaskGroup) -> None:
        self._model = model
        self._tasks = tasks
        self._reply: ReplyAhead | None = None

    def detach(self) -> ReplyAhead | None:
        """The reply under way, which is in the caller's hands now."""
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.detach()
        return reply

    async def reply(self, request: ModelRequest, emit: Callable[[ModelEvent], None]) -> None:
        """See `Model.reply`."""
        reply = self._reply = ReplyAhead(self._model, request, self._tasks)
        await reply.listen(emit)
        if self._reply is reply:
            self._reply = None

    async def warm(self) -> None:
        """See `Model.warm`."""
        await self._model.warm()

    def preview(self, request: ModelRequest) -> Preview:
        """See `Model.preview`."""
        return self._model.preview(request)


class Rest:
    """What was left of an interrupted turn: a work's head start, as a `Speculation` is one.

    `text` was made and not heard; what follows comes from the `reply` under way, told up to its event `start`. With
    neither the model is asked to go on: calls came after what was heard.
    """

    call_prefix: str | None = None

    def __init__(self, turn_id: str, text: str | None, reply: ReplyAhead | None = None, start: int = 0) -> None:
        self.turn_id = turn_id
        self.text = text
        self._reply = reply
        self._start = start

    @classmethod
    def of_live(cls, turn: Turn, reply: ReplyAhead | None) -> "Rest | None":
        """Of a turn that was just cut short; None if it was not."""
        if turn.state is not State.ENDED:
            return None
        text = _unheard(turn)
        if text is None and reply is not None:
            reply.drop()
            reply = None
        return cls(turn.setup.turn_id, text, reply, 0 if reply is None else reply.count)

    @classmethod
    def of_ended(cls, turns: Sequence[Turn]) -> "Rest":
        """Of turns that were made, and were still to be heard."""
        left = [_unheard(turn) or "" for turn in turns]
        return cls(turns[0].setup.turn_id, " ".join(text for text in left if text))

    @property
    def empty(self) -> bool:
        """Whether there is nothing to say after all."""
        return self.text == "" and (self._reply is None or self._reply.failed)

    def model(self, model: Model) -> Model:
        """`model`, whose first reply is what was left."""
        return model if self.text is None else _Continuing(model, self)

    def tools(self, runner: ToolRunner) -> ToolRunner:
        """None of them was run ahead."""
        return runner

    def close(self) -> None:
        """Nobody needs it any more."""
        if self._reply is not None:
            self._reply.drop()

    async def tell(self, emit: Callable[[ModelEvent], None]) -> None:
        """The text, then the rest of the reply as it comes, or its end."""
        if self.text:
            emit(TextDelta(self.text))
        if self._reply is None:
            emit(ModelFinished("stop"))
        else:
            await self._reply.listen(emit, self._start)


class _Continuing:
    def __init__(self, model: Model, rest: Rest) -> None:
        self._model = model
        self._rest: Rest | None = rest

    async def reply(self, request: ModelRequest, emit: Callable[[ModelEvent], None]) -> None:
        rest, self._rest = self._rest, None
        await (self._model.reply(request, emit) if rest is None else rest.tell(emit))

    async def warm(self) -> None:
        await self._model.warm()

    def preview(self, request: ModelRequest) -> Preview:
        return self._model.preview(request)


def _unheard(turn: Turn) -> str | None:
    """What of a turn was made and not heard; None if it cannot be taken up again, as it ends with calls."""
    messages = turn.settled(interrupted=True)
    last = next((message for message in reversed(messages) if message.role == "assistant"), None)
    generated, heard = turn.ledger.generated, turn.ledger.heard
    if (last is not None and last.tool_calls) or not generated.startswith(heard):
        return None
    return generated[len(heard) :]
