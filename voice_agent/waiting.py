"""How long a turn has waited: until its model counts as failed, until somebody has to say a word; pure."""

from voice_agent.calls import Call
from voice_agent.events import ModelFailed, ToolReturned
from voice_agent.heard import Ledger
from voice_agent.step import Step
from voice_agent.turn_setup import TurnSetup

# Whoever fails at the model's deadline is apologised for, and not waited for first.
_GRACE_S = 0.05


class Waiting:
    """Times are the clock's `now`. `model_at` is when the model gave its last sign of life.

    Fillers are for the caller: a call that was started without a word, a tool or a model that takes long in silence.
    Silence begins when all that was said has been heard. Between two fillers that waiting brings it grows. A model that
    has stopped in the middle of its words is waited for as one that has said none yet.
    """

    def __init__(self, setup: TurnSetup, ledger: Ledger, said: int) -> None:
        """`said`: so many phrases were said in the turn before."""
        self._stall_s = setup.stall_s
        self._suspends = setup.suspends
        self._fillers = None if setup.suspends else setup.fillers
        self._ledger = ledger
        self.model_at = self._asked_at = setup.received_at
        self._said = said
        self._in_step = self._timed = 0  # of them since the model was asked, and because it took so long

    def ask(self, now: float) -> None:
        """The model is asked."""
        self.model_at = self._asked_at = now
        self._in_step = self._timed = 0

    def deadline(self, step: Step, *, thinking: bool) -> float | None:
        """When something is due; `thinking`: the model is at its reply."""
        stall = self.model_at + self._stall_s if thinking else None
        client = None if self._suspends else step.due
        moments = (stall, client, self._due(step, thinking=thinking))
        return min((moment for moment in moments if moment is not None), default=None)

    def overdue(self, step: Step, now: float, *, thinking: bool) -> list[ToolReturned | ModelFailed]:
        """What is as if it had come: results for which the client has taken too long, the end of a silent model."""
        late: list[ToolReturned | ModelFailed] = [] if self._suspends else [*step.overdue(now)]
        if thinking and now >= self.model_at + self._stall_s:
            late.append(ModelFailed(f"the model sent nothing for {self._stall_s:g} s", retryable=True))
        return late

    def phrase(self, step: Step, now: float, *, thinking: bool) -> str | None:
        """What is to be said now because the caller has waited, if something is."""
        due = self._due(step, thinking=thinking)
        if due is None or now < due:
            return None
        self._timed += 1
        return self._next()

    def instead_of_utterance(self, step: Step, call: Call, now: float) -> str | None:
        """What is to be said now because a call is started of which the model has said nothing, if something is.

        Nobody asks a caller to wait and hangs up.
        """
        asks = call.spec is not None and call.spec.say and call.spec.acts != "hang_up"
        silent = not self._in_step and step.speaker is None and not step.has_text
        return self._next() if asks and silent and self._ledger.silent_at(now) <= now else None

    def _next(self) -> str | None:
        if self._fillers is None:
            return None
        phrases = self._fillers.phrases
        self._said += 1
        self._in_step += 1
        return phrases[min(self._said, len(phrases)) - 1]

    def _due(self, step: Step, *, thinking: bool) -> float | None:
        """When the next filler is."""
        fillers = self._fillers
        if fillers is None:
            return None
        started = min((call.started_at for call in step.calls if call.under_way), default=None)
        if started is not None and not (thinking and _is_speaking(step)):
            since, patience = started, fillers.after_s
        elif thinking:
            since, patience = self._asked_at, fillers.model_s + _GRACE_S
        else:
            return None
        if self._timed:
            patience = fillers.after_s * 2**self._timed
        return max(since, self._ledger.silent_at(since)) + patience


def _is_speaking(step: Step) -> bool:
    """Whether more may come of what the model is saying: words that no call has ended, half of an utterance."""
    if step.speaker is not None and not step.speaker.flushed:
        return True
    return step.has_text and not step.calls
