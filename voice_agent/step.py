"""One reply of the model as it is read: its text, its calls and their results, and the messages they become."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from voice_agent import events as ev
from voice_agent.agent import ToolSpec
from voice_agent.calls import Call, CallState
from voice_agent.events import EndReason, Leaving, ToolCallDelta, ToolFinished, ToolReturned
from voice_agent.messages import Message, Opaque, ToolCall, ToolChoice
from voice_agent.rules.book import Rulebook
from voice_agent.rules.past import Past, read_past
from voice_agent.suspension import PendingCall


class Standing(msgspec.Struct, frozen=True):
    """How a call stands with the client: what it waits for from there, if anything, and what is known of its tool."""

    pending: Literal["decision", "result"] | None
    spec: ToolSpec | None


class Step:
    """The reply under way, after the turn's finished steps. Indices are the model's, positions the calls' order.

    `broken_rule` says what is wrong with arguments that a rule set: the turn cannot go on with such a rule.
    """

    def __init__(self, rules: Rulebook, before: tuple[Message, ...]) -> None:
        self.broken_rule: str | None = None
        self._rules = rules
        self._before = before
        self._past_before = read_past(before)
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

    def resume(self, said: Message, calls: Sequence[Call]) -> None:
        """Take up a reply that was read to its end before, with its calls as they stand."""
        self.add_text(said.text)
        self._opaque = [(part, [part.data]) for part in said.opaque]
        self.calls = [*calls]
        self._by_id = {call.id: call for call in calls}

    def call_at(self, delta: ToolCallDelta) -> Call | None:
        return self._by_index.get(delta.index)

    def open_call(self, delta: ToolCallDelta, call_id: str, spec: ToolSpec | None) -> Call:
        call = Call(call_id, delta.name or "", spec)
        self.calls.append(call)
        self._by_index[delta.index] = self._by_id[call_id] = call
        return call

    def find(self, call_id: str) -> Call | None:
        return self._by_id.get(call_id)

    def standing(self, call_id: str, tools: dict[str, ToolSpec]) -> Standing | None:
        """How a call of the turn stands with the client; None if there is none of this id."""
        call = self._by_id.get(call_id)
        if call is not None:
            return Standing(call.pending, call.spec)
        made = (past.name for message in self._before for past in message.tool_calls if past.id == call_id)
        name = next(made, None)
        return None if name is None else Standing(None, tools.get(name))

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
        open_calls = [other for other in self.calls if other.under_way]
        alone = self._rules.ends_turn(call.name) or not spec.parallel
        if open_calls and (alone or any(other.spec and not other.spec.parallel for other in open_calls)):
            return True
        return self._rules.undecided(call.name, self._past, [other.name for other in open_calls])

    @property
    def _past(self) -> Past:
        """The turn's calls so far, as the rules see them."""
        before, done = self._past_before, [call for call in self.calls if call.succeeded]
        return Past(
            succeeded=before.succeeded + tuple(call.name for call in done),
            output=done[-1].result.output if done and done[-1].result else before.output,
            ran=before.ran + tuple(call.name for call in self.calls if call.ran or call.under_way),
        )

    @property
    def tool_choice(self) -> ToolChoice:
        """What the rules ask of this reply's calls. Where a person has said no, words are an answer too."""
        ask = self._rules.choice(self._past).ask
        return ask if ask == "none" or not self._denied else "auto"

    @property
    def _denied(self) -> bool:
        """Whether a call of the step before was denied."""
        last = max((i for i, message in enumerate(self._before) if message.is_reply), default=0)
        return any(message.denied for message in self._before[last:])

    @property
    def dead_end(self) -> str | None:
        """What is wrong with rules that demand a call and allow none; None if nothing is."""
        return self._rules.choice(self._past).fault

    @property
    def owed(self) -> str | None:
        """What must be called before words may end the turn; None: nothing."""
        return None if self._denied else self._rules.owed(self._past)

    @property
    def reminded(self) -> bool:
        """Whether the model was told in this turn that it must call."""
        return any(message.role == "context" for message in self._before)

    def admit(self, call: Call, tools: dict[str, ToolSpec]) -> str | None:
        """Make a call ready to run, with the arguments that a rule sets; returns why it may not, for the model."""
        if call.spec is None:
            return f"There is no tool named {call.name!r}. The tools are: {', '.join(tools) or 'none'}."
        if refusal := self._rules.refusal(call.name, self._past):
            return refusal
        if call.arguments is None:
            return "The arguments are not one JSON object. Call again with valid JSON."
        fixed = self._rules.fixed(call.name, self._past)
        if fixed is not None:
            call.arguments |= fixed.args
        if call.spec.duplicate == "reject" and self._was_called(call):
            return f"{call.name} was already called with these arguments in this turn; use that result."
        fault = call.spec.check(call.arguments)
        if fault and fixed and (wrong := fixed.blamed(fault)):
            self.broken_rule = f"the rule {fixed.rule} sets arguments that do not fit: {wrong}"
        return fault

    def start(
        self, call: Call, turn_id: str, now: float
    ) -> list[ev.ApprovalNeeded | ev.ToolCalled | ev.ClientToolNeeded | ev.RunTool]:
        """Run a call that was admitted, or have a person decide first."""
        return [call.ask(turn_id, now)] if self._rules.needs_approval(call.name) else [*call.start(turn_id, now)]

    @property
    def due(self) -> float | None:
        """When the client has taken too long with one of its calls."""
        return min((due for call in self.calls if (due := call.due) is not None), default=None)

    def overdue(self, now: float) -> list[ToolReturned]:
        """The results of calls that the client has taken too long with."""
        return [
            ToolReturned(call.id, f"{call.name} took too long: the client has not answered.", "timeout")
            for call in self.calls
            if (due := call.due) is not None and due <= now
        ]

    def _was_called(self, call: Call) -> bool:
        refused = {message.tool_call_id for message in self._before if message.refused}
        calls = (past for message in self._before for past in message.tool_calls)
        made = [(past.name, msgspec.json.decode(past.arguments)) for past in calls if past.id not in refused]
        made += [(past.name, past.arguments) for past in self.calls[: self.calls.index(call)] if past.ran]
        return (call.name, call.arguments) in made

    @property
    def exits(self) -> list[ToolSpec]:
        """The tools called here, with success, that end a turn."""
        return [call.spec for call in self.calls if call.spec and call.succeeded and self._rules.ends_turn(call.name)]

    @property
    def leaves(self) -> Leaving | None:
        """How the agent leaves the call after this step, if one of the tools called here has it do so."""
        acts = {spec.acts for spec in self.exits}
        return "transfer" if "transfer" in acts else "hang_up" if "hang_up" in acts else None

    def cut(self, turn_id: str, reason: EndReason, now: float) -> tuple[list[ToolFinished], frozenset[str]]:
        """Give every open call a result because the turn ends; returns what to tell, and which calls run on."""
        told, kept = [], set()
        for call in self.calls:
            if call.state is CallState.DONE:
                continue
            running, result = call.state is not CallState.READING, call.unfinished(reason)
            if call.outlives(reason):
                kept.add(call.id)
            finished = call.finish(turn_id, result, now)
            if running and call.id not in kept:
                told.append(finished)
        return told, frozenset(kept)

    @property
    def pending(self) -> tuple[PendingCall, ...]:
        """The calls that wait for the client."""
        return tuple(
            PendingCall(call.id, call.name, call.arguments or {}, call.pending) for call in self.calls if call.pending
        )

    @property
    def busy(self) -> bool:
        """Whether a call runs here."""
        return any(call.running for call in self.calls)

    @property
    def waits_for(self) -> str:
        """Whose time it is, as the latency names it, while calls are under way."""
        running = next((call.name for call in self.calls if call.running), None)
        if running is not None:
            return f"tool:{running}"
        return "client" if any(call.pending for call in self.calls) else "gateway"

    @property
    def done(self) -> bool:
        return all(call.state is CallState.DONE for call in self.calls)

    def messages(self, at: float, spoken: dict[str, str]) -> tuple[Message, ...]:
        """The assistant message and the calls' results, in call order.

        `spoken` gives what was said of each call's utterance. A call without a result, which only a step that is not
        done has, gets none.
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
                role="tool",
                text=call.result.output,
                at=at,
                tool_call_id=call.id,
                failed=call.result.status != "ok",
                refused=not call.ran,
                denied=call.result.status == "denied",
            )
            for call in self.calls
            if call.result is not None
        )
        return (said, *results)
