"""What the simulated model does in one reply, and the directives by which a test says so.

| directive in the user's last words | what the model does |
|---|---|
| `!say WORDS` | says these words |
| `!tokens N` | says N tokens: tok1 tok2 … |
| `!stamps N` | says N tokens: the monotonic microsecond at which each leaves; the first: request's arrival `>` leave |
| `!call NAME {json}` | calls the tool with these arguments, as they stand (none: `{}`); again: parallel calls |
| `!think WORDS` | reasons, before anything else |
| `!redact WORDS` | reasons in secret, where the wire format knows that; elsewhere as `!think` |
| `!then …` | what follows belongs to the reply after this one's tool results |
| `!fault 401`, `404`, `429`, `500`, `529` | answers with this HTTP status |
| `!fault cut`, `stall`, `malformed` | half of the reply, then a lost connection, silence, or a chunk that is no JSON |
| `!fault length`, `content_filter`, `refusal` | half of the reply, then a clean end for this reason |
| `!fault empty` | ends without a word |
| `!fault nonsse` | answers a streaming request with one JSON document |
| `!fault overflow` | refuses the request as longer than the model takes |
| `!first_token_ms N`, `!token_ms N` | its own pace for this reply |
| `!retry_after_ms N` | a refusal says when to come again |

`!limit N` in the system text makes it a model that refuses requests of more than N tokens.

Where a reply is to fit a schema, what is not said by a directive does; `!say` is said as it stands.

A reply without `!say`, `!tokens` or `!call` but with a fault has some words of its own to break off in.
"""

import re
from typing import Literal, get_args

import msgspec

Fault = Literal[
    "401", "404", "429", "500", "529", "cut", "stall", "malformed", "length", "content_filter", "refusal", "empty",
    "nonsse", "overflow",
]  # fmt: skip
_FAULTS: tuple[Fault, ...] = get_args(Fault)
_DIRECTIVE = re.compile(
    r"(?:^|\s)!(say|tokens|stamps|call|think|redact|then|fault|first_token_ms|token_ms|retry_after_ms)\b"
)
_LIMIT = re.compile(r"(?:^|\s)!limit (\d{1,9})\b")
# What stands in a reply for a time stamp until it is sent: as long as the stamp.
ARRIVED, LEFT = "@arrived@@@@@@@@", "@left@@@@@@@@@@@"
_SOME_WORDS = "These are some words that the reply breaks off in before they come to their end."


class Think(msgspec.Struct, frozen=True):
    """Reasoning; what is redacted is sent as one unreadable piece."""

    text: str
    redacted: bool = False


class Say(msgspec.Struct, frozen=True):
    """Words of the reply."""

    text: str


class Call(msgspec.Struct, frozen=True):
    """A tool call; `arguments` is sent as it stands, in pieces of so many characters."""

    name: str
    arguments: str
    piece: int = 6


Act = Think | Say | Call


class Script(msgspec.Struct, frozen=True):
    """One reply: what it does in order, what goes wrong, and its own pace where it has one.

    `retry_after_ms`: when a refusal says to come again.
    """

    acts: tuple[Act, ...] = ()
    fault: Fault | None = None
    first_token_ms: float | None = None
    token_ms: float | None = None
    retry_after_ms: float | None = None


def read_directives(words: str, step: int) -> Script | None:
    """The script that the words hold for reply `step` (0 is the first), or None if they hold none for it."""
    parts = _DIRECTIVE.split(words)
    steps: list[list[tuple[str, str]]] = [[]]
    for name, rest in zip(parts[1::2], parts[2::2], strict=True):
        if name == "then":
            steps.append([])
        else:
            steps[-1].append((name, rest.strip()))
    if step >= len(steps) or not steps[step]:
        return None
    return _script(steps[step])


def read_limit(system: str) -> int | None:
    """The tokens that the model takes, if its system text says so."""
    found = _LIMIT.search(system)
    return int(found[1]) if found else None


def _script(directives: list[tuple[str, str]]) -> Script:
    thoughts: list[Act] = []
    acts: list[Act] = []
    settings: dict[str, float] = {}
    fault: Fault | None = None
    for name, rest in directives:
        match name:
            case "say":
                acts.append(Say(rest))
            case "tokens":
                acts.append(Say(" ".join(f"tok{number}" for number in range(1, int(_number(rest)) + 1))))
            case "stamps":
                acts.append(Say(" ".join([f"{ARRIVED}>{LEFT}", *[LEFT] * (int(_number(rest)) - 1)])))
            case "call":
                tool, _, arguments = rest.partition(" ")
                acts.append(Call(tool, arguments.strip() or "{}"))
            case "think" | "redact":
                thoughts.append(Think(rest, redacted=name == "redact"))
            case "fault":
                fault = next((known for known in _FAULTS if known == rest), None)
                if fault is None:
                    acts.append(Say(f"There is no fault called {rest or 'nothing'}."))
            case _:
                settings[name] = _number(rest)
    if fault is not None and not acts:
        acts.append(Say(_SOME_WORDS))
    return Script(tuple(thoughts + acts), fault, **settings)


def _number(text: str) -> float:
    found = re.match(r"\d+(?:\.\d+)?", text)
    return float(found.group()) if found else 0.0
