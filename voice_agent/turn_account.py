"""What a turn leaves behind: the messages of its finished steps, what was heard of them, and what all of it took."""

import msgspec

from voice_agent.events import EndReason, Leaving, TurnEnded
from voice_agent.heard import Ledger, Slot
from voice_agent.messages import Message, Usage
from voice_agent.step import Step
from voice_agent.stopwatch import Stopwatch
from voice_agent.turn_setup import TurnSetup


class Account:
    """`done` are the messages of the finished steps, of which there are `steps`; `usage` is theirs."""

    def __init__(self, setup: TurnSetup, done: tuple[Message, ...]) -> None:
        self._setup = setup
        self._opening = setup.opening
        self.done = done
        self.steps = sum(message.role == "assistant" for message in done)
        self.usage = Usage()
        self.watch = Stopwatch(setup.received_at)
        self.ledger = Ledger()
        self.ledger.resume(done, setup.received_at)

    @property
    def messages(self) -> tuple[Message, ...]:
        """What the turn answers, and what it has done."""
        return self._opening + self.done

    def reword(self, text: str) -> None:
        """The turn answers these words."""
        self._opening = (*self._opening[:-1], msgspec.structs.replace(self._opening[-1], text=text))

    def keep(self, step: Step, now: float, reminder: str | None = None) -> tuple[Message, ...]:
        """Take in a finished step, and what the model is to be reminded of after it; returns the messages."""
        spoken = {call.id: self.ledger.spoken_in(Slot(self.steps, call.id)) for call in step.calls}
        at = round(now + self._setup.wall_offset, 3)
        messages = step.messages(at, spoken)
        if reminder is not None:
            messages += (Message(role="context", text=reminder, at=at),)
        self.done += messages
        self.steps += 1
        return messages

    def settled(self, *, interrupted: bool) -> tuple[Message, ...]:
        """The turn's messages as they enter the history, with what was heard by the marks so far."""
        return self._opening + self.ledger.settle(self.done, interrupted=interrupted)

    def ended(self, reason: EndReason, leaves: Leaving | None) -> TurnEnded:
        """The turn is over."""
        return TurnEnded(
            turn_id=self._setup.turn_id,
            reason=reason,
            messages=self.settled(interrupted=reason in ("interrupted", "cancelled")),
            heard=self.ledger.heard,
            generated=self.ledger.generated,
            usage=self.usage,
            latency=self.watch.read(),
            leaves=leaves,
        )
