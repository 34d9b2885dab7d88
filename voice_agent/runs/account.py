"""What is kept of a run, folded out of what its turn and its model tell; pure, times are arguments."""

from dataclasses import dataclass, field

from msgspec.structs import replace

from voice_agent import events as ev
from voice_agent.messages import Message, Usage
from voice_agent.run_record import RunRecord, StepRecord, ToolTime, Trace, status_of


@dataclass
class _Step:
    """A step under way or over. `began` and `over` are the clock's `now`, `over` None while the model replies."""

    model: str
    started_at: float
    began: float
    over: float | None = None
    first: float | None = None
    usage: Usage | None = None
    stop: str | None = None
    error: str | None = None
    tools: list[ToolTime] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)

    def record(self, index: int, now: float, *, traced: bool) -> StepRecord:
        until = now if self.over is None else self.over
        return StepRecord(
            index=index,
            model=self.model,
            started_at=self.started_at,
            model_ms=_ms(until - self.began),
            first_token_ms=None if self.first is None else _ms(self.first - self.began),
            tools=tuple(self.tools),
            usage=self.usage,
            stop=self.stop,
            error=self.error,
            traces=tuple(self.traces) if traced else (),
        )


class Account:
    """A run as it stands. It begins, or goes on, from the record that there is."""

    def __init__(self, record: RunRecord) -> None:
        self._record = replace(record, status="running", reason=None, error=None, pending=())
        self._steps: list[_Step] = []
        self._late_tools: list[ToolTime] = []
        self._running: set[str] = {call.call_id for call in record.pending if call.waits_for == "result"}
        self._replying: list[_Step] = []

    def record(self, now: float, *, traced: bool = True) -> RunRecord:
        """The record by `now`, at which a reply under way is as long as it has been until then.

        `traced`: with what was exchanged since the run began, or went on, last.
        """
        before = self._record.steps
        if before and self._late_tools:
            # Calls that waited for the client belong to the step that made them.
            before = (*before[:-1], replace(before[-1], tools=(*before[-1].tools, *self._late_tools)))
        steps = (step.record(len(before) + n, now, traced=traced) for n, step in enumerate(self._steps))
        return replace(self._record, steps=(*before, *steps))

    # ---- what the model does ----

    def asked(self, model: str, at: float, now: float) -> None:
        """A request leaves; `at` is in seconds since the epoch, `now` the clock's."""
        self._steps.append(_Step(model, at, now))
        self._replying.append(self._steps[-1])

    def answers(self, model: str) -> None:
        """The reply is this model's."""
        self._steps[-1].model = model

    def first_token(self, now: float) -> None:
        """The reply's first word, or call, has come."""
        self._steps[-1].first = now

    def replied(self, last: ev.ModelFinished | ev.ModelFailed, now: float) -> None:
        """The reply is over."""
        step = self._steps[-1]
        step.over = now
        if isinstance(last, ev.ModelFinished):
            step.stop, step.usage = last.reason, last.usage
        else:
            step.error = last.error

    def returned(self, now: float) -> None:
        """The oldest request under way is over and its connection given back, however it ended."""
        step = self._replying.pop(0)
        step.over = now if step.over is None else step.over

    def traced(self, trace: Trace) -> None:
        """An exchange with the provider is over: it belongs to the oldest request that is not."""
        if self._replying or self._steps:
            (self._replying or self._steps[-1:])[0].traces.append(trace)

    # ---- what the turn tells ----

    def told(self, event: ev.TurnEvent) -> None:
        """Take what matters here of an event that is not the turn's end."""
        match event:
            case ev.ToolCalled(call_id=call_id) | ev.ClientToolNeeded(call_id=call_id):
                self._running.add(call_id)
            case ev.ToolFinished(call_id=call_id, name=name, duration_ms=ms):
                if call_id in self._running:
                    tools = self._steps[-1].tools if self._steps else self._late_tools
                    tools.append(ToolTime(name, call_id, ms))
            case ev.Failed(message=message):
                self._record = replace(self._record, error=message)
            case _:
                pass

    def keep(self, messages: tuple[Message, ...], entry_id: str = "") -> None:
        """These are the turn's messages until now. They bear the ids of the turn's log entry, once it has one."""
        kept = tuple(map(_as_kept, messages))
        if entry_id:
            kept = tuple(replace(message, id=f"{entry_id}.{n}") for n, message in enumerate(kept))
        self._record = replace(self._record, messages=kept)

    def ended(self, event: ev.TurnEnded, entry_id: str, at: float) -> None:
        """The turn is over, or waits for the client."""
        self.keep(event.messages, entry_id)
        suspended = event.suspension
        self._record = replace(
            self._record,
            status=status_of(event.reason),
            reason=event.reason,
            usage=event.usage,
            latency=event.latency,
            pending=() if suspended is None else suspended.pending,
            ended_at=at if suspended is None else None,
        )

    def closed(self, reason: ev.EndReason, at: float, error: str | None = None) -> None:
        """The run is over without a word of its turn's."""
        error = error or self._record.error
        status = status_of(reason)
        self._record = replace(self._record, status=status, reason=reason, pending=(), ended_at=at, error=error)


def _as_kept(message: Message) -> Message:
    """Without what only its model reads. Nobody interrupts a run: what is not settled yet was heard as it was said."""
    if message.role != "assistant":
        return message
    calls = message.tool_calls
    if message.heard is None:
        message = replace(message, heard=message.text)
        calls = tuple(replace(call, heard=call.utterance) if call.heard is None else call for call in calls)
    return replace(message, tool_calls=calls, opaque=())


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
