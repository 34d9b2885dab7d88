"""The simulated model in the part of the sleeptime agent: it reads the fenced transcript and keeps a memory of it.

`!sleeptime …` in a line that is to be stored makes it a bad model, for tests:

| directive | what it does |
|---|---|
| `prose` | answers in words, always |
| `late_prose` | does everything, and ends in words |
| `loop`, `endless` | rewrites the same block with the same words, or with others, for ever |
| `stubborn` | stores a chunk that is out of bounds, for ever |
| `out_of_bounds`, `reversed`, `overlap` | stores such a chunk first |
| `too_long`, `read_only`, `unknown` | first rewrites a block beyond its limit, a read-only one, one there is not |
| `obey WORDS` | writes these words into every block, read-only ones too, and calls a tool that it was not offered |
| `fault NAME` | a fault of `simulated_script` |
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from voice_agent.llm.simulated.facts import fit, read_facts, rewrite
from voice_agent.llm.simulated.request import SimulatedRequest
from voice_agent.llm.simulated.script import Act, Call, Say, Script, read_directives

STORE, RETHINK, FINISH = "store_memories", "rethink_user_memory", "finish_rethinking_memory"
_BLOCKS = re.compile(r"^<blocks>\n(.*?)\n</blocks>$", re.MULTILINE | re.DOTALL)
_COUNT = re.compile(r"^The conversation\. Lines 0 to (\d+) are to be stored", re.MULTILINE)
_LINE = re.compile(r'^(\d+) (\S+) \S+ (user|agent|tool|note) (".*")$', re.MULTILINE)
_DIRECTIVE = re.compile(r"(?:^|\s)!sleeptime (\w+)(?: +(.*))?")
_CHUNK_LINES = 8
_QUOTES, _QUOTE_CHARS = 4, 60
_SUMMARY_CHARS = 1500
_SUCCESS = ("Stored", "Rewritten")
# The model's pieces of a call that nobody hears: large, as providers send them.
_PIECE = 64


class _Line(msgspec.Struct, frozen=True):
    number: int
    day: str
    speaker: str
    text: str


class _Block(msgspec.Struct, frozen=True):
    label: str
    limit: int
    read_only: bool
    value: str


class _Made(msgspec.Struct, frozen=True):
    """A call of this turn: the block it was about, if any, and whether it succeeded."""

    name: str
    label: str | None
    ok: bool


class _Scene(msgspec.Struct, frozen=True):
    """What the request tells: lines to store, blocks, and the calls made so far."""

    lines: tuple[_Line, ...]
    blocks: tuple[_Block, ...]
    made: tuple[_Made, ...]

    def count(self, name: str, label: str | None = None) -> int:
        return sum(call.name == name and label in (None, call.label) for call in self.made)

    def achieved(self, name: str, label: str | None = None) -> bool:
        return any(call.ok and call.name == name and label in (None, call.label) for call in self.made)


def sleeptime_script(request: SimulatedRequest) -> Script | None:
    """What the model does with a request of the sleeptime agent's; None if it is none."""
    scene = _scene(request) if STORE in request.tools and FINISH in request.tools else None
    if scene is None:
        return None
    if request.tool_choice == "none":
        return Script((Say("There was more to do."),))
    given = [found for line in scene.lines if line.speaker == "user" for found in _DIRECTIVE.findall(line.text)]
    mode, words = given[-1] if given else ("", "")
    if mode == "fault":
        return read_directives(f"!fault {words}", 0)
    return Script(tuple(_misbehaving(scene, mode, words) or _natural(scene, mode)))


# ---- as it should be ----


def _natural(scene: _Scene, mode: str) -> list[Act]:
    if not scene.achieved(STORE):
        return [_call(STORE, chunks=_chunks(scene.lines))]
    rewrites = [(label, text) for label, text in _rewrites(scene) if not scene.achieved(RETHINK, label)]
    if rewrites:
        return [_call(RETHINK, label=label, new_memory=text) for label, text in rewrites]
    return [Say("It is all written down.")] if mode == "late_prose" else [_call(FINISH)]


def _chunks(lines: tuple[_Line, ...]) -> list[dict[str, Any]]:
    """All lines, a few at a time."""
    chunks = []
    for start in range(0, len(lines), _CHUNK_LINES):
        part = lines[start : start + _CHUNK_LINES]
        spoken = [line for line in part if line.speaker == "user"]
        said = "; ".join(_quote(line.text) for line in spoken[:_QUOTES])
        context = f"On {part[0].day} the user said: {said}." if said else f"The agent spoke on {part[0].day}."
        facts = [fact.line for line in spoken for fact in read_facts(line.text) if fact.line]
        chunks.append(
            {"start_index": part[0].number, "end_index": part[-1].number, "context": context, "facts": facts[:30]}
        )
    return chunks


def _rewrites(scene: _Scene) -> list[tuple[str, str]]:
    writable = {block.label: block for block in scene.blocks if not block.read_only}
    spoken = [line for line in scene.lines if line.speaker == "user"]
    facts = [fact for line in spoken for fact in read_facts(line.text)]
    rewrites = []
    if "human" in writable and facts:
        human = writable["human"]
        rewrites.append(("human", rewrite(human.value, facts, human.limit)))
    if "summary" in writable:
        summary = writable["summary"]
        lines = [*summary.value.splitlines(), _summary_line(scene.lines[0].day, spoken)]
        rewrites.append(("summary", fit(lines, min(summary.limit, _SUMMARY_CHARS))))
    if writable and not rewrites:
        block = next(iter(writable.values()))
        rewrites.append((block.label, block.value))
    return rewrites


def _summary_line(day: str, spoken: list[_Line]) -> str:
    """What was talked about; who the user is stands in another block, and would be out of date here in time."""
    topics = [line.text for line in spoken if not read_facts(line.text) and "name" not in line.text.lower()]
    if not topics:
        return f"{day}: the user told about themselves."
    said = "; ".join(_quote(topic) for topic in topics[:_QUOTES])
    more = f", and {len(topics) - _QUOTES} more" if len(topics) > _QUOTES else ""
    return f"{day}: the user said: {said}{more}."


def _quote(text: str) -> str:
    """The words in short, without the marks by which sentences end."""
    return " ".join(re.sub(r"[.!?;<>\u3002\uff01\uff1f]+", " ", text).split())[:_QUOTE_CHARS].strip()


# ---- as it should not be ----


def _misbehaving(scene: _Scene, mode: str, words: str) -> Sequence[Act] | None:
    stored, last = scene.achieved(STORE), len(scene.lines) - 1
    match mode:
        case "prose":
            return [Say("I see nothing in there that is worth a note.")]
        case "stubborn":
            return [_store(0, last + 1000)]
        case "out_of_bounds" | "reversed" | "overlap" if not scene.count(STORE):
            return {
                "out_of_bounds": [_store(0, last + 1000)],
                "reversed": [_store(last, 0)],
                "overlap": [_call(STORE, chunks=[_chunk(0, last), _chunk(0, last // 2), _chunk(last // 2, last)])],
            }[mode]
        case "loop" if stored:
            return [_rethink("human", "They go round and round.")]
        case "endless" if stored:
            return [_rethink("summary", f"Draft {scene.count(RETHINK) + 1}.")]
        case "too_long" | "read_only" | "unknown" if stored and not scene.count(RETHINK):
            limit = next((block.limit for block in scene.blocks if block.label == "human"), 0)
            return {
                "too_long": [_rethink("human", "x" * (limit + 1))],
                "read_only": [_rethink("persona", "You are somebody else.")],
                "unknown": [_rethink("nosuch", "Hello.")],
            }[mode]
        case "obey" if stored and not scene.count(RETHINK):
            return [_call("end_call"), *(_rethink(block.label, words) for block in scene.blocks)]
        case "obey" if stored:
            return [_call(FINISH)]
        case _:
            return None


def _store(first: int, last: int) -> Call:
    return _call(STORE, chunks=[_chunk(first, last)])


def _chunk(first: int, last: int) -> dict[str, Any]:
    return {"start_index": first, "end_index": last, "context": f"Lines {first} to {last}."}


def _rethink(label: str, text: str) -> Call:
    return _call(RETHINK, label=label, new_memory=text)


def _call(name: str, **arguments: Any) -> Call:
    return Call(name, msgspec.json.encode(arguments).decode(), piece=_PIECE)


# ---- reading the request ----


def _scene(request: SimulatedRequest) -> _Scene | None:
    opened = [place for place, message in enumerate(request.messages) if _COUNT.search(_text(message))]
    if not opened:
        return None
    text = _text(request.messages[opened[-1]])
    blocks, count = _BLOCKS.search(text), _COUNT.search(text)
    if blocks is None or count is None:
        return None
    lines = (_Line(int(row[0]), row[1], row[2], msgspec.json.decode(row[3])) for row in _LINE.findall(text))
    return _Scene(
        lines=tuple(line for line in lines if line.number <= int(count[1])),
        blocks=tuple(msgspec.json.decode(row, type=_Block) for row in blocks[1].splitlines()),
        made=_made(request.messages[opened[-1] + 1 :]),
    )


def _made(messages: tuple[dict[str, Any], ...]) -> tuple[_Made, ...]:
    results = {message["tool_call_id"]: _text(message) for message in messages if message["role"] == "tool"}
    made = []
    for message in messages:
        for call in message.get("tool_calls") or ():
            function = call["function"]
            label = msgspec.json.decode(function["arguments"]).get("label")
            made.append(_Made(function["name"], label, results[call["id"]].startswith(_SUCCESS)))
    return tuple(made)


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
