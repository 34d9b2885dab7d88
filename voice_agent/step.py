"""One reply of the model as it is read: its text, its calls and their results, and the messages they become."""

import re

import msgspec

from voice_agent.agent import ToolSpec
from voice_agent.calls import Call, CallState
from voice_agent.events import EndReason, ToolCallDelta, ToolFinished
from voice_agent.messages import Message, Opaque, ToolCall
from voice_agent.rules import Rulebook


class Step:
    """The reply under way, after the turn's finished steps. Indices are the model's, positions the calls' order.

    `broken_rule` says what is wrong with arguments that a rule set: the turn cannot go on with such a rule.
    """

    def __init__(self, rules: Rulebook, before: tuple[Message, ...]) -> None:
        self.broken_rule: str | None = None
        self._rules = rules
        self._before = before
        self._called_before = _names_called(before)
        self.calls: list[Call] = []
        self._by_index: dict[int, Call] = {}
        self._by_id: dict[str, Call] = {}
        self._text: list[str] = []
        self._chars = 0
        self._opaque: list[tuple[Opaque, list[str]]] = []
        self.speaker: Call | None = None

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def has_text(self) -> bool:
        return bool(self._text)

    @property
    def empty(self) -> bool:
        return not (self._text or self.calls)

    def add_text(self, text: str) -> None:
        self._text.append(text)
        self._chars += len(text)

    def add_opaque(self, piece: Opaque) -> None:
        """Keep a piece and its place; neighbouring pieces of one stream of reasoning are kept as one."""
        first = self._opaque[-1][0] if self._opaque else None
        if first and (first.model, first.kind, first.call, first.block) == (
            piece.model,
            piece.kind,
            piece.call,
            piece.block,
        ):
            self._opaque[-1][1].append(piece.data)
            return
        placed = msgspec.structs.replace(piece, after_text=self._chars, after_calls=len(self.calls))
        self._opaque.append((placed, [piece.data]))

    def call_at(self, delta: ToolCallDelta) -> Call | None:
        return self._by_index.get(delta.index)

    def open_call(self, delta: ToolCallDelta, call_id: str, spec: ToolSpec | None) -> Call:
        call = Call(call_id, delta.name or "", spec)
        self.calls.append(call)
        self._by_index[delta.index] = self._by_id[call_id] = call
        return call

    def find(self, call_id: str) -> Call | None:
        return self._by_id.get(call_id)

    def may_speak(self, call: Call) -> bool:
        """The first utterance of a reply is spoken, unless reply text came first; a tool may be told to be silent."""
        if call.spec is None or not call.spec.say:
            return False
        return self.speaker is call or (self.speaker is None and not self.has_text)

    def close(self) -> None:
        for call in self.calls:
            call.close()

    def must_wait(self, call: Call, *, replying: bool) -> bool:
        """Whether a call that has been read may not run yet; `replying`: the model is still at its reply."""
        spec = call.spec
        if spec is None or call.arguments is None:
            return False
        if spec.effects == "irreversible" and replying:
            return True
        running = [other for other in self.calls if other.running]
        alone = self._rules.ends_turn(call.name, exits=spec.exits) or not spec.parallel
        if running and (alone or any(other.spec and not other.spec.parallel for other in running)):
            return True
        return self._rules.undecided(call.name, self.called, [other.name for other in running])

    @property
    def called(self) -> tuple[str, ...]:
        """The names of the calls that succeeded in this turn so far."""
        return self._called_before + tuple(call.name for call in self.calls if call.succeeded)

    @property
    def forced(self) -> tuple[str, ...]:
        """The tools of which the rules want one to be called now; empty: none."""
        return self._rules.forced(self.called)

    @property
    def reminder(self) -> str | None:
        """What to tell a model that answered in words where it must call; None if it was told in this turn."""
        told = any(message.role == "context" for message in self._before)
        return None if told else self._rules.reminder(self.called)

    def admit(self, call: Call, tools: dict[str, ToolSpec]) -> str | None:
        """Make a call ready to run, with the arguments that a rule sets; returns why it may not, for the model."""
        if call.spec is None:
            return f"There is no tool named {call.name!r}. The tools are: {', '.join(tools) or 'none'}."
        if refusal := self._rules.refusal(call.name, self.called):
            return refusal
        if call.arguments is None:
            return "The arguments are not one JSON object. Call again with valid JSON."
        fixed = self._rules.fixed(call.name, self.called)
        if fixed is not None:
            call.arguments |= fixed.args
        if call.spec.duplicate == "reject" and self._was_called(call):
            return f"{call.name} was already called with these arguments in this turn; use that result."
        fault = call.spec.check(call.arguments)
        if fault and fixed and any(re.search(rf"(?:^|; ){re.escape(name)}[:/]", fault) for name in fixed.args):
            self.broken_rule = f"the rule {fixed.rule} sets arguments that do not fit: {fault}"
        return fault

    def _was_called(self, call: Call) -> bool:
        made = [(past.name, past.arguments) for message in self._before for past in message.tool_calls]
        made += [(past.name, past.canonical) for past in self.calls[: self.calls.index(call)]]
        return (call.name, call.canonical) in made

    @property
    def exits(self) -> list[ToolSpec]:
        """The tools called here, with success, that end a turn."""
        return [
            call.spec
            for call in self.calls
            if call.spec and call.succeeded and self._rules.ends_turn(call.name, exits=call.spec.exits)
        ]

    def cut(self, turn_id: str, reason: EndReason, now: float) -> tuple[list[ToolFinished], frozenset[str]]:
        """Give every open call a result because the turn ends; returns what to tell, and which calls run on."""
        told, kept = [], set()
        for call in self.calls:
            if call.state is CallState.DONE:
                continue
            running, result = call.running, call.unfinished(reason)
            if call.outlives(reason):
                kept.add(call.id)
            finished = call.finish(turn_id, result, now)
            if running and call.id not in kept:
                told.append(finished)
        return told, frozenset(kept)

    @property
    def waits_for(self) -> str:
        """Whose time it is, as the latency names it, while calls are under way."""
        running = next((call.name for call in self.calls if call.running), None)
        return f"tool:{running}" if running else "gateway"

    @property
    def done(self) -> bool:
        return all(call.state is CallState.DONE for call in self.calls)

    def messages(self, at: float, spoken: dict[str, str]) -> tuple[Message, ...]:
        """The assistant message and one result per call, in call order.

        `spoken` gives what was said of each call's utterance; every call must have its result by now.
        """
        calls = tuple(
            ToolCall(
                id=call.id,
                name=call.name,
                arguments=call.canonical,
                utterance=call.scanner.utterance,
                heard=None if call.scanner.utterance is None else spoken.get(call.id, ""),
            )
            for call in self.calls
        )
        opaque = tuple(msgspec.structs.replace(first, data="".join(pieces)) for first, pieces in self._opaque)
        said = Message(role="assistant", text=self.text, at=at, tool_calls=calls, opaque=opaque)
        results = tuple(
            Message(
                role="tool", text=call.result.output, at=at, tool_call_id=call.id, failed=call.result.status != "ok"
            )
            for call in self.calls
            if call.result is not None
        )
        return (said, *results)


def _names_called(messages: tuple[Message, ...]) -> tuple[str, ...]:
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    results = (message for message in messages if message.role == "tool" and not message.failed)
    return tuple(names[message.tool_call_id] for message in results if message.tool_call_id in names)
