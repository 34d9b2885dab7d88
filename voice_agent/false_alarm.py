"""An interruption without words was none: what was left to say is kept for a while, and then said after all."""

import asyncio
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from voice_agent.events import Leaving, ModelEvent, TextDelta
from voice_agent.llm.base import Speaker
from voice_agent.messages import Message, ModelRequest
from voice_agent.speculation.reply_ahead import ReplyAhead
from voice_agent.tools.base import ToolRunner
from voice_agent.turn import Turn


class Outliving:
    """A model whose reply is read on, if it is told to `detach`, when nobody listens any more."""

    def __init__(self, model: Speaker, tasks: asyncio.TaskGroup) -> None:
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
        """See `Speaker.reply`."""
        reply = self._reply = ReplyAhead(self._model, request, self._tasks)
        try:
            await reply.listen(emit)
        finally:
            if self._reply is reply:
                self._reply = None


class Rest:
    """What was left of `turns`, oldest first, when the caller cut in: a work's head start, as a `Speculation` is one.

    That is what was made of them and not heard, by the marks so far, and what comes of the `reply` under way. If it
    `asks`, the model is to go on: what was cut short cannot be taken up. `over_speech`: the agent was being heard.
    `leaves`: how the call was to end after it.
    """

    call_prefix: str | None = None

    def __init__(
        self, turn_id: str, turns: Sequence[Turn], reply: ReplyAhead | None = None, *, asks: bool = False
    ) -> None:
        self.turn_id = turn_id
        self.turns = tuple(turns)
        self.asks = asks
        self.over_speech = False
        self.leaves: Leaving | None = None
        self._reply = reply
        self._start = 0 if reply is None else reply.count

    @classmethod
    def of_live(cls, turn: Turn, reply: ReplyAhead | None) -> "Rest":
        """Of a turn that was just cut short, with the reply that was under way."""
        if reply is not None and not reply.has_calls:
            return cls(turn.setup.turn_id, (turn,), reply)
        if reply is not None:
            reply.drop()  # its calls were cut short, and it knows nothing of that
        return cls(turn.setup.turn_id, (turn,), asks=True)

    @property
    def words(self) -> str | None:
        """What was made and not heard; None if nobody can tell."""
        left = [_unheard(turn) for turn in self.turns]
        return None if None in left else " ".join(text for text in left if text)

    @property
    def flows(self) -> bool:
        """Whether more comes than its `words`."""
        return self._reply is not None

    @property
    def done(self) -> tuple[Message, ...]:
        """The calls that succeeded in its turns: what goes on with them need not make them again."""
        made = [message for turn in self.turns for message in turn.settled(interrupted=True)]
        good = {message.tool_call_id for message in made if message.role == "tool" and not message.failed}
        return tuple(
            replace(message, tool_calls=tuple(call for call in message.tool_calls if call.id in good))
            for message in made
            if message.tool_calls or (message.role == "tool" and message.tool_call_id in good)
        )

    def widened(self, turns: Sequence[Turn]) -> "Rest":
        """The same; if the caller cut in earlier than was known, these turns are all that it is of."""
        if len(turns) > len(self.turns):
            self.turn_id, self.turns = turns[0].setup.turn_id, tuple(turns)
        return self

    def to_say(self) -> "Rest | None":
        """As it can be said now; None if nothing is left."""
        if self.asks:
            return self
        words = self.words
        if words is None or (not words and self._reply is not None and self._reply.failed):
            self.close()
            self._reply, self.asks = None, True
            return self
        return self if words or self._reply is not None else None

    def model(self, model: Speaker) -> Speaker:
        """`model`, whose first reply is what was left."""
        return _Continuing(model, self)

    def tools(self, runner: ToolRunner) -> ToolRunner:
        """None of them was run ahead."""
        return runner

    def close(self) -> None:
        """Nobody needs it any more, or whoever took it over has it."""
        if self._reply is not None:
            self._reply.drop()

    async def tell(self, emit: Callable[[ModelEvent], None]) -> None:
        """The words, then the rest of the reply as it comes; it is in the hands of whoever calls this."""
        reply, self._reply = self._reply, None
        if words := self.words:
            emit(TextDelta(words))
        if reply is not None:
            await reply.listen(emit, self._start)


class _Continuing:
    def __init__(self, model: Speaker, rest: Rest) -> None:
        self._model = model
        self._rest: Rest | None = rest

    async def reply(self, request: ModelRequest, emit: Callable[[ModelEvent], None]) -> None:
        rest, self._rest = self._rest, None
        await (self._model.reply(request, emit) if rest is None else rest.tell(emit))


def _unheard(turn: Turn) -> str | None:
    """What of a turn was made and not heard; None where what was heard is not its beginning: fillers came between."""
    generated, heard = turn.ledger.generated, turn.ledger.heard
    return generated[len(heard) :] if generated.startswith(heard) else None
