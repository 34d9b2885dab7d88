"""What a conversation is made of: messages and tool calls as they are stored, and the request made from them."""

from typing import Any, Literal

import msgspec

_REVISION = "\x1f"  # no turn id holds a control character
Role = Literal["user", "assistant", "tool", "context"]
# Or the name of the one tool that has to be called; no such name is one of these words.
ToolChoice = Literal["auto", "none", "required"] | str


class Opaque(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a model wants back unread (reasoning, signatures): kept, replayed within its turn, never spoken.

    `model` names who made it ("openai/gpt-6-luna"), `kind` the wire field it came in, `data` its text or JSON;
    `call` is the position of the tool call in its step that it belongs to, if it belongs to one. `block` is the number
    of the reply's block it is a piece of, where the wire numbers them: neighbouring pieces of one kind and block are
    kept as one. `after_text` and `after_calls` are its place in the step: how many code points of text, and how many
    calls, came before it.
    """

    model: str
    kind: str
    data: str
    call: int | None = None
    block: int | None = None
    after_text: int = 0
    after_calls: int = 0


class ToolCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call as the history keeps it.

    `arguments` is the JSON object (text) that was validated and run, without the utterance; a call whose arguments
    were no JSON object holds `{"malformed_arguments": "<what the model wrote>"}`. `utterance` is what the model wrote
    to be said before the call (None: it wrote none), `heard` how much of it the caller heard (None: not settled yet).
    """

    id: str
    name: str
    arguments: str
    utterance: str | None = None
    heard: str | None = None


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message. `text` is what was generated, `heard` what of it reached the caller's ear.

    `heard` is None for what is not speech, and for speech of a turn that is not settled yet. `interrupted` marks the
    assistant message in which the caller cut in. `at` is in seconds since the epoch. `id` is given by the store.
    `failed` marks the result of a call that did not succeed, `refused` that of one which was never run. `filler` marks
    words of the assistant's that no model wrote: said while it, or a tool, was waited for. In a turn that is over the
    reply that was waited for follows them.
    """

    role: Role
    text: str
    at: float
    id: str = ""
    heard: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    opaque: tuple[Opaque, ...] = ()
    interrupted: bool = False
    failed: bool = False
    refused: bool = False
    denied: bool = False
    filler: bool = False

    @property
    def is_reply(self) -> bool:
        """Whether it is what a model answered, or words in its place."""
        return self.role == "assistant" and not self.filler


class ToolSchema(msgspec.Struct, frozen=True):
    """A tool as a model is told of it; `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]


class ModelRequest(msgspec.Struct, frozen=True):
    """One request to a model, in no provider's shape.

    `history` is settled and only ever grows at its end; `turn` is the live turn so far, whose opaque parts are
    replayed. Fields that are None are not sent. `response_format` is a JSON Schema of type object, which the reply's
    text is to fit.
    """

    model: str
    system: str
    history: tuple[Message, ...]
    turn: tuple[Message, ...]
    tools: tuple[ToolSchema, ...] = ()
    tool_choice: ToolChoice = "auto"
    temperature: float | None = None
    reasoning: str | None = None
    max_output_tokens: int | None = None
    response_format: dict[str, Any] | None = None


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one step or turn. None where the provider reports none, never 0 in its place.

    `attempts` are the requests that were sent for the steps, `hedges` those of them that were sent beside another.
    Of those that were lost, no provider reports what they took: the tokens are those of the others.
    """

    steps: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    attempts: int = 0
    hedges: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        counts = {}
        for name in ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens"):
            mine, theirs = getattr(self, name), getattr(other, name)
            counts[name] = theirs if mine is None else mine if theirs is None else mine + theirs
        attempts, hedges = self.attempts + other.attempts, self.hedges + other.hedges
        return Usage(steps=self.steps + other.steps, attempts=attempts, hedges=hedges, **counts)


class ModelBusy(msgspec.Struct, frozen=True):
    """A sign of life of a model of which there is nothing to tell yet; `spent` is for the account.

    With a `model` the reply is that model's from now on, to a request that was sent `late_s` seconds after the first
    one: as a `retry`, a `hedge` or a `fallback`.
    """

    spent: Usage | None = None
    model: str | None = None
    kind: Literal["first", "retry", "hedge", "fallback"] = "first"
    late_s: float = 0.0


class Part(msgspec.Struct, frozen=True):
    """One share of a turn's wall time: `queue`, `provider`, `tool:NAME`, `client`, `store` or `gateway`.

    `provider:retry`, `provider:hedge` and `provider:fallback`: spent on requests that were lost, until one of that kind
    was sent, which was answered.
    """

    name: str
    ms: float


class Latency(msgspec.Struct, frozen=True):
    """Where a turn's milliseconds went; `parts` add up to `total`."""

    first_speech: float | None
    first_reply: float | None
    gateway: float
    total: float
    parts: tuple[Part, ...]

    def until(self, seconds: float, name: str) -> "Latency":
        """Of a turn that has taken so many seconds by now: what is missing until then belongs to `name`."""
        total = max(self.total, round(seconds * 1000, 3))
        parts = {part.name: part.ms for part in self.parts}
        if total > self.total:
            parts[name] = round(parts.get(name, 0.0) + total - self.total, 3)
        made = tuple(Part(each, ms) for each, ms in parts.items())
        return msgspec.structs.replace(self, gateway=parts.get("gateway", 0.0), total=total, parts=made)


class TurnRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A turn as the log holds it: one entry, whole. `key` ("session:turn") makes storing it twice harmless."""

    key: str
    reason: str
    messages: tuple[Message, ...]
    started_at: float
    usage: Usage | None = None
    latency: Latency | None = None

    @property
    def turn_id(self) -> str:
        """The id that the client knows the turn by."""
        return self.key.partition(":")[2].partition(_REVISION)[0]


def stored_id(turn_id: str, revision: int) -> str:
    """What the store calls a turn: a text that comes again in a later revision is another turn to it."""
    return f"{turn_id}{_REVISION}{revision}" if revision else turn_id
