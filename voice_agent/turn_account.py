"""What a turn leaves behind: the messages of its finished steps, what was heard of them, and what all of it took."""

from typing import NamedTuple

import msgspec

from voice_agent.calls import Call
from voice_agent.events import Effect, EndReason, Flushed, Leaving, SpeechKind, Spoke, TurnEnded, TurnEvent
from voice_agent.heard import Ledger, Slot
from voice_agent.messages import Message, ModelBusy, Opaque, Usage
from voice_agent.step import Step
from voice_agent.stopwatch import Stopwatch
from voice_agent.suspension import Suspension
from voice_agent.turn_setup import TurnSetup


class _Filler(NamedTuple):
    """One that was spoken. `is_first`: before the model had begun its reply."""

    slot: Slot
    phrase: str
    is_first: bool

    def message(self, at: float) -> Message:
        return Message(role="assistant", text=self.phrase, at=at, filler=True)


class Account:
    """`done` are the messages of the finished steps, of which there are `steps`; `usage` is what the model took so far.

    `calls` counts the calls made, `fillers` those spoken. `touched`: something was spoken or started.
    """

    def __init__(
        self,
        setup: TurnSetup,
        done: tuple[Message, ...],
        suspended: Suspension | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """`suspended`: the turn goes on from there, and `done` is not looked at."""
        before = suspended or Suspension(setup.opening, done, (), (), Usage())
        self._setup = setup
        self._opening = before.opening
        self.done = before.done
        self.steps = sum(message.is_reply for message in self.done)
        self.fillers = sum(message.filler for message in self.done)
        self._waits: list[_Filler] = []
        self.usage = before.usage
        self.watch = Stopwatch(setup.received_at)
        self.ledger = Ledger(setup.rate, setup.free_at) if ledger is None else ledger
        made = self.done + before.step
        self.ledger.resume(made, setup.received_at)
        if suspended is not None:
            self.ledger.move(None, done=True, now=setup.received_at)  # it was all delivered when the turn stopped
        self.calls = sum(len(message.tool_calls) for message in made)
        self.touched = bool(made)

    @property
    def in_last_step(self) -> bool:
        """Whether no call is allowed any more."""
        return self.steps + 1 >= self._setup.max_steps

    @property
    def messages(self) -> tuple[Message, ...]:
        """What the turn answers, and what it has done.

        Fillers are left out until the turn is over. No model takes words of its own as the last of a request, one that
        thinks must find its thoughts in what it has seen, and a request that was sent ahead must not become another.
        """
        return self._opening + tuple(message for message in self.done if not message.filler)

    @property
    def answered(self) -> bool:
        """Whether the last finished step was words, and no calls."""
        last = next((message for message in reversed(self.done) if message.is_reply), None)
        return last is not None and bool(last.text) and not last.tool_calls

    def reword(self, text: str) -> None:
        """The turn answers these words."""
        self._opening = (*self._opening[:-1], msgspec.structs.replace(self._opening[-1], text=text))

    def say(self, text: str, kind: SpeechKind, now: float, slot: Slot | None = None) -> list[TurnEvent | Effect]:
        """Speak now; without a `slot` it is text of the step under way."""
        self.touched = True
        self.ledger.spoke(Slot(self.steps) if slot is None else slot, text, now)
        # After the first reply nothing is the first of anything; signs alone are not speakable.
        if "reply" not in self.watch.firsts and any(map(str.isalnum, text)):
            self.watch.first("speech", now)
            if kind == "reply":
                self.watch.first("reply", now)
        return [Spoke(self._setup.turn_id, text, kind)]

    def let_go(self, now: float) -> list[TurnEvent | Effect]:  # noqa: ARG002 - shaped speech needs it
        """Speak what was kept back, as nothing that it waits for will come: here nothing ever is."""
        return []

    def note(self, event: Opaque | ModelBusy, step: Step) -> None:
        """Take in what is neither heard nor done."""
        if isinstance(event, Opaque):
            step.add_opaque(event)
            return
        if event.spent is not None:
            self.usage += event.spent
        if event.late_s:
            self.watch.move("provider", f"provider:{event.kind}", event.late_s)

    def utter(self, call: Call, said: str, step: Step, now: float) -> list[TurnEvent | Effect]:
        """Speak what has become readable of a call's utterance, if this call is the one to speak."""
        out: list[TurnEvent | Effect] = []
        if said and step.may_speak(call):
            step.speaker = call
            out += self.say(said, "utterance", now, Slot(self.steps, call.id))
        if step.speaker is call and call.scanner.utterance_done and not call.flushed:
            call.flushed = True
            out += [*self.let_go(now), Flushed(self._setup.turn_id, "utterance")]
        return out

    def say_all(self, text: str, kind: SpeechKind, now: float, slot: Slot | None = None) -> list[TurnEvent | Effect]:
        """Speak words that are complete."""
        return [*self.say(text, kind, now, slot), *self.let_go(now), Flushed(self._setup.turn_id, kind)]

    def fill(self, phrase: str | None, step: Step, now: float) -> list[TurnEvent | Effect]:
        """Speak while something is waited for, if there is something to say."""
        if phrase is None:
            return []
        self.fillers += 1
        filler = _Filler(Slot(-self.fillers), phrase, step.empty)
        self._waits.append(filler)
        return [*self.let_go(now), *self.say_all(phrase, "filler", now, filler.slot)]

    @property
    def has_filled(self) -> bool:
        """Whether a filler was spoken that no step has been kept with."""
        return bool(self._waits)

    def keep(self, step: Step, now: float, reminder: str | None = None) -> tuple[Message, ...]:
        """Take in a finished step, and what the model is to be reminded of after it; returns the messages.

        A filler stands before the reply that it was spoken before, and else after its calls' results. An empty step
        that was waited for is its fillers alone.
        """
        spoken = {call.id: self.ledger.spoken_in(Slot(self.steps, call.id)) for call in step.calls}
        at = round(now + self._setup.wall_offset, 3)
        waits, self._waits = self._waits, []
        behind = [filler for filler in waits if not filler.is_first and self.ledger.is_last(filler.slot)]
        ahead = waits[: len(waits) - len(behind)]
        made = () if step.empty and waits else step.messages(at, spoken)
        messages = (*(filler.message(at) for filler in ahead), *made, *(filler.message(at) for filler in behind))
        if reminder is not None:
            messages += (Message(role="context", text=reminder, at=at),)
        self.done += messages
        self.steps += bool(made)
        return messages

    def settled(self, *, interrupted: bool) -> tuple[Message, ...]:
        """The turn's messages as they enter the history, with what was heard by the marks so far."""
        return self._opening + self.ledger.settle(self.done, interrupted=interrupted)

    def suspend(self, step: Step, now: float) -> TurnEnded:
        """The turn is over until the client has answered the step's pending calls."""
        done = self.done
        suspension = Suspension(
            self._opening, done, self.keep(step, now), step.pending, self.usage, broken_rule=step.broken_rule
        )
        return self.ended("requires_approval", suspension=suspension)

    def ended(
        self, reason: EndReason, leaves: Leaving | None = None, suspension: Suspension | None = None
    ) -> TurnEnded:
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
            suspension=suspension,
        )
