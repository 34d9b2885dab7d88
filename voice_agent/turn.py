"""One turn as a state machine without IO: events in, what to tell and what to do out; no await, no clock.

THINKING: the model streams a reply (calls may run already). ACTING: the reply is complete, calls are still running.
ENDED: over; whatever still comes is dropped by rule. The table is in `turn_states`.
"""

from typing import assert_never

from voice_agent import events as ev
from voice_agent.calls import Call, CallState
from voice_agent.messages import Message, ModelBusy, Opaque, ToolChoice, Usage
from voice_agent.overflow import History
from voice_agent.resumption import Resumed, fits, resumed_step
from voice_agent.shaped import account_of
from voice_agent.step import Standing, Step
from voice_agent.turn_setup import TurnSetup
from voice_agent.turn_states import ACCEPTS, CUT_SHORT, LEADS_TO, IllegalEventError, State, TurnInput
from voice_agent.waiting import Waiting

Output = ev.TurnEvent | ev.Effect

# Reading a member of an Enum takes a while, and these are read for every token.
_THINKING, _ENDED = State.THINKING, State.ENDED
_NO_MORE = "Not run: no more tool calls are allowed in this turn. Answer with what you have."


class Turn:
    """See the module. `done` are the messages of steps finished before: a turn is rebuilt from them alone.

    One that was suspended within a step is rebuilt from what it is `resumed` with.
    """

    def __init__(self, setup: TurnSetup, done: tuple[Message, ...] = (), resumed: Resumed | None = None) -> None:
        self.setup = setup
        self.state = State.THINKING
        self._accepts = ACCEPTS[State.THINKING]
        self.revision = setup.revision
        self._account = account_of(setup, done, resumed.suspension if resumed else None)
        self.history = History(setup.history)
        self.ledger, self._watch = self._account.ledger, self._account.watch
        self._resumed = resumed
        self._step = resumed_step(resumed.suspension, setup) if resumed else self._next_step()
        self._waiting = Waiting(setup, self.ledger, self._account.fillers)

    # ---- what the driver calls ----

    def begin(self, now: float) -> list[Output]:
        """Start, or go on after a rebuild."""
        self._watch.lap("queue", now)
        if self._resumed is not None:
            return self._resume(self._resumed.answers, now)
        started = ev.TurnStarted(self.setup.turn_id, self.revision, self.setup.resumes)
        out: list[Output] = [] if self._account.done else [started]
        if self.setup.words is None:
            return out + self._call_model(now)
        text, kind = self.setup.words
        self._step.add_text(text)
        return [*out, *self._account.say_all(text, kind, now), *self._end("end_turn", now)]

    def handle(self, event: TurnInput, now: float) -> list[Output]:
        """Take an event. Late ones are dropped, ones that the state does not take raise IllegalEventError."""
        if self.state is _ENDED:
            return []
        if not isinstance(event, self._accepts):
            raise IllegalEventError(f"{type(event).__name__} in state {self.state.name}")
        self._lap(now)
        match event:
            case ev.TextDelta(text=text):
                return self._on_text(text, now)
            case ev.ToolCallDelta():
                return self._on_call_delta(event, now)
            case Opaque() | ModelBusy():
                self._waiting.model_at = now
                self._account.note(event, self._step)
                return self._account.let_go(now) if isinstance(event, Opaque) else []
            case ev.ModelFinished():
                return self._on_finished(event, now)
            case ev.ModelFailed():
                return self._on_failed(event, now)
            case ev.ToolReturned() | ev.ApprovalGiven():
                return [*self._on_answer(event, now), *self._hold(now)]
            case ev.UserSpoke():
                return self._on_more_words(event, now)
            case ev.UserInterrupted():
                self.ledger.interrupt(event.heard, unsent=event.unsent, now=now)
                return self._end("interrupted", now)
            case ev.UserLeft():
                self.ledger.interrupt(None, unsent=event.unsent, now=now)
                return self._end("cancelled", now)
            case ev.PlaybackMoved():
                self.ledger.move(event.heard, done=event.done, now=now)
                return []
            case _:
                assert_never(event)

    def acted(self, now: float) -> None:
        """The driver has carried out what was asked: the time since then was the gateway's own."""
        self._watch.lap("gateway", now)

    def deadline(self) -> float | None:
        """When `on_deadline` must be called, if nothing comes before."""
        return self._waiting.deadline(self._step, thinking=self.state is _THINKING)

    def on_deadline(self, now: float) -> list[Output]:
        """The client has not answered in time, the model has been silent for too long, or the caller waits."""
        self._lap(now)
        overdue = self._waiting.overdue(self._step, now, thinking=self.state is _THINKING)
        out = [output for late in overdue for output in self.handle(late, now)]
        phrase = self._waiting.phrase(self._step, now, thinking=self.state is _THINKING)
        return [*out, *self._account.fill(phrase, self._step, now)]

    def abort(self, now: float) -> list[Output]:
        """End for a fault of our own, keeping what was said."""
        if self.state is State.ENDED:
            return []
        failed = ev.Failed("internal", "the turn failed inside the gateway", turn_id=self.setup.turn_id)
        return [failed, *self._end("error", now, notice=self.setup.failure_notice)]

    @property
    def untouched(self) -> bool:
        """Nothing was spoken and no tool started: a second final text can still be merged into this turn."""
        return not self._account.touched and self.state is not State.ENDED

    # ---- the model's reply ----

    def _on_text(self, text: str, now: float) -> list[Output]:
        self._waiting.model_at = now
        if not text:
            return []
        self._step.add_text(text)
        return self._account.say(text, "reply", now)

    def _on_call_delta(self, delta: ev.ToolCallDelta, now: float) -> list[Output]:
        self._waiting.model_at = now
        call = self._step.call_at(delta)
        if call is None:
            name = delta.name or ""
            call_id = f"call_{self.setup.call_prefix}_{self._account.calls}"
            call = self._step.open_call(delta, call_id, self.setup.tools.get(name))
            self._account.calls += 1
        said = self._account.utter(call, call.feed(delta.json), self._step, now)
        return [*said, *self._admit(now)] if call.read else [*said]

    def _on_finished(self, event: ev.ModelFinished, now: float) -> list[Output]:
        self._enter(State.ACTING)
        self._account.usage += event.usage or Usage(steps=1)
        self.history.tokens = event.usage.input_tokens if event.usage else None
        self._step.close()
        if event.reason in CUT_SHORT:
            return self._end(CUT_SHORT[event.reason], now, notice=self._notice)
        return [*self._admit(now), *self._hold(now)] if self._step.calls else self._on_words_alone(now)

    def _on_failed(self, event: ev.ModelFailed, now: float) -> list[Output]:
        """A request that was too long is made again with less of the past, as long as nothing has come of it."""
        if event.overflow and self._step.empty and self.history.shorten():
            self._step = self._next_step()
            return self._call_model(now)
        why: ev.EndReason = "context_window_overflow" if event.overflow else "llm_api_error"
        failed = ev.Failed("provider", event.error, event.retryable, self.setup.turn_id)
        return [failed, *self._end(why, now, notice=self.setup.failure_notice)]

    def _on_words_alone(self, now: float) -> list[Output]:
        """A reply without a call ends the turn, but for one reminder where the rules demand a call."""
        owed = self._step.owed
        if self._account.in_last_step or owed is None:
            return self._end("max_steps" if self._account.in_last_step else "end_turn", now)
        if self._step.reminded:
            return self._end_invalid(f"no valid call: the model answered in words where it must call {owed}", now)
        reminder = f"[An answer in words does not count here. Call {owed}.]"
        said = self._account.let_go(now)
        return [*said, self._keep_step(now, reminder), *self._call_model(now)]

    # ---- calls ----

    def _admit(self, now: float) -> list[Output]:
        """Start every call whose turn it is, in call order, and go on when all are done."""
        out: list[Output] = []
        for call in self._step.calls:
            if call.state is not CallState.READING:
                continue
            if not call.read or self._step.must_wait(call, replying=self.state is State.THINKING):
                break
            out += self._start(call, now)
        if self.state is State.ACTING and self._step.done:
            out += self._finish_step(now)
        return out

    def _start(self, call: Call, now: float) -> list[Output]:
        fault = _NO_MORE if self._account.in_last_step else self._step.admit(call, self.setup.tools)
        if fault is not None or call.arguments is None:
            return [call.finish(self.setup.turn_id, ev.ToolReturned(call.id, fault or "", "error"), now)]
        self._account.touched = True
        said = self._account.fill(self._waiting.instead_of_utterance(self._step, call, now), self._step, now)
        return [*said, *self._step.start(call, self.setup.turn_id, now)]

    def _on_answer(self, event: ev.ToolReturned | ev.ApprovalGiven, now: float) -> list[Output]:
        call = self._step.find(event.call_id)
        out = call.take(self.setup.turn_id, event, now) if call is not None else []
        return [*out, *self._admit(now)] if out else []

    def _resume(self, answers: tuple[ev.ToolReturned | ev.ApprovalGiven, ...], now: float) -> list[Output]:
        """Go on in the step that was suspended: the answers are taken one by one, as a turn that waits takes them."""
        self._enter(State.ACTING)
        out: list[Output] = []
        for answer in answers:
            if fits(answer, self._step.find(answer.call_id)):
                out += self._on_answer(answer, now)
        return out + self._hold(now)

    def _hold(self, now: float) -> list[Output]:
        """End with calls pending if only the client can bring the step on, and nobody is there to wait for it."""
        if not self.setup.suspends or self.state is not State.ACTING or self._step.busy:
            return []
        self._enter(State.ENDED)
        return [ev.StopWork(), ev.TurnSpoken(self.setup.turn_id), self._account.suspend(self._step, now)]

    def standing(self, call_id: str) -> Standing | None:
        """How a call of this turn stands with the client; None if there is no such call."""
        return self._step.standing(call_id, self.setup.tools)

    def _finish_step(self, now: float) -> list[Output]:
        step, last = self._step, self._account.in_last_step
        saved = self._keep_step(now)
        if step.exits:
            return [saved, *self._end("tool_rule", now, leaves=step.leaves)]
        if step.broken_rule:
            return [saved, *self._end_invalid(step.broken_rule, now)]
        if last:
            return [saved, *self._end("max_steps", now)]
        return [saved, *self._call_model(now)]

    # ---- the user ----

    def _on_more_words(self, event: ev.UserSpoke, now: float) -> list[Output]:
        """More words before anything was said: the same turn, asked anew with all of them (`event` has them all)."""
        if not self.untouched:
            raise IllegalEventError("a final text after speech or a tool start is a new turn")
        self._account.reword(event.text)
        self.revision = event.revision
        self._step = self._next_step()
        return [ev.StopWork(), *self._call_model(now)]

    # ---- the end ----

    def _end(self, why: ev.EndReason, now: float, notice: str = "", leaves: ev.Leaving | None = None) -> list[Output]:
        """Close what is open, settle what was heard, and say so: once, whatever happened."""
        cancelled, kept = self._step.cut(self.setup.turn_id, why, now)
        if self.state is State.THINKING and self.setup.words is None:
            self._account.usage += Usage(steps=1)  # the model was asked, and nobody knows what it took
        cut = why in ("interrupted", "cancelled")
        out: list[Output] = [*cancelled, *([] if cut else self._account.let_go(now))]
        if cut or self._account.has_filled or not self._step.empty:
            self._keep_step(now)
        if notice:
            self._step.add_text(notice)
            out += self._account.say_all(notice, "notice", now)
            self._keep_step(now)
        self._enter(State.ENDED)
        out += [ev.TurnSpoken(self.setup.turn_id), self._account.ended(why, leaves)]
        return [ev.StopWork(kept), *out]

    def _end_invalid(self, why: str, now: float) -> list[Output]:
        failed = ev.Failed("provider", why, turn_id=self.setup.turn_id)
        return [failed, *self._end("invalid_tool_call", now, notice=self._notice)]

    @property
    def _notice(self) -> str:
        """Of an end that leaves the caller without an answer."""
        answered = self._step.has_text or (self._step.empty and self._account.answered)
        return "" if answered else self.setup.failure_notice

    def settled(self, *, interrupted: bool) -> tuple[Message, ...]:
        """The turn's messages as they enter the history, with what was heard by the marks so far."""
        return self._account.settled(interrupted=interrupted)

    # ---- bits ----

    def _enter(self, state: State) -> None:
        if state is not self.state and state not in LEADS_TO[self.state]:
            raise IllegalEventError(f"{self.state.name} does not lead to {state.name}")
        self.state, self._accepts = state, ACCEPTS[state]

    def _call_model(self, now: float) -> list[Output]:
        if dead_end := self._step.dead_end:
            return self._end_invalid(dead_end, now)
        self._enter(State.THINKING)
        self._waiting.ask(now)
        choice: ToolChoice = "none" if self._account.in_last_step else self._step.tool_choice
        return [ev.CallModel(self.setup.prompt.request(self.history.shown, self._account.messages, choice))]

    def _lap(self, now: float) -> None:
        self._watch.lap("provider" if self.state is _THINKING else self._step.waits_for, now)

    def _next_step(self) -> Step:
        return Step(self.setup.rules, self.setup.before + self._account.done)

    def _keep_step(self, now: float, reminder: str | None = None) -> ev.SaveStep:
        messages = self._account.keep(self._step, now, reminder)
        self._step = self._next_step()
        return ev.SaveStep(self._account.steps - 1, messages)
