"""The memory that a job is making, kept back until its end: what the three tools may do to it, and what they may not.

Nothing here reaches the store before the turn is over, so a job that fails half way has no effects at all.
"""

import re

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from sleeptime.task import Line, Task
from voice_agent.memory.blocks import find_block
from voice_agent.store.base import BlockValue
from voice_agent.store.memory import JobResult, SearchKey

MOST_SENTENCES = 3
# Two letters before the mark, so that initials end nothing; the last three are the marks of Chinese and Japanese.
_SENTENCE_END = re.compile(r"(?<=[^\W\d_]{2})[.!?]+[\"')\]\u2019\u201d]*(?=\s|$)|[\u3002\uff01\uff1f]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class RefusedDraft(ValueError):
    """The draft can't take this; the message tells the model what to change."""


class Chunk(BaseModel):
    """Neighbouring lines that belong together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start_index: int = Field(description="number of the first line")
    end_index: int = Field(description="number of the last line, which is part of the chunk")
    context: str = Field(min_length=1, max_length=1000, description="one to three sentences: what these lines tell")
    facts: tuple[str, ...] = Field(
        default=(), max_length=30, description="single facts told in these lines, one short sentence each"
    )


class _Span(msgspec.Struct, frozen=True):
    first: int
    last: int
    contexts: tuple[str, ...]
    facts: tuple[str, ...]


class Draft:
    """The draft of one turn of the sleeptime agent over `task`."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._spans: tuple[_Span, ...] = ()
        self._rewritten: dict[str, str] = {}

    def store(self, chunks: list[Chunk]) -> str:
        """Add chunks; overlapping ones become one. Raises RefusedDraft, and then none of them is added."""
        faults = [fault for place, chunk in enumerate(chunks) if (fault := self._fault(chunk, f"chunks/{place}"))]
        if faults:
            raise RefusedDraft("; ".join(faults))
        spans = (
            _Span(chunk.start_index, chunk.end_index, (chunk.context.strip(),), tuple(map(str.strip, chunk.facts)))
            for chunk in chunks
        )
        self._spans = _merged((*self._spans, *spans))
        return f"Stored: {len(self._spans)} chunks."

    def rethink(self, label: str, new_memory: str) -> str:
        """Give a block a new value. Raises RefusedDraft or BlockRefused, and then it keeps the one it has."""
        block = find_block(self._task.blocks, label)
        text = _CONTROL.sub(" ", new_memory).strip()
        block.check(text)
        for known in self._task.blocks:
            # The blocks' tags in the live agent's prompt: a value that closes one could pass for the agent's own words.
            if re.search(rf"</?\s*{known.definition.label}\s*>", text, re.IGNORECASE):
                raise RefusedDraft(f"new_memory: <{known.definition.label}> can't be part of a block; write it without")
        self._rewritten[label] = text
        return f"Rewritten: {label} has {len(text)} of {block.definition.limit} characters."

    def result(self, job_id: str, at: float) -> JobResult:
        """What the job leaves. `at` in seconds since the epoch."""
        task = self._task
        sources = tuple(line.id for line in task.lines)
        changed = {
            label: find_block(task.blocks, label).current.version + 1
            for label, text in self._rewritten.items()
            if text != find_block(task.blocks, label).current.value
        }
        return JobResult(
            cursor_from=task.cursor_from,
            cursor_to=task.cursor_to,
            start=task.start,
            keys=tuple(_key(span, task.lines) for span in self._spans),
            blocks=tuple(
                BlockValue(label, self._rewritten[label], version, f"sleeptime:{job_id}", at, sources)
                for label, version in changed.items()
            ),
        )

    def _fault(self, chunk: Chunk, where: str) -> str | None:
        last = len(self._task.lines) - 1
        first_index, last_index = chunk.start_index, chunk.end_index
        for name, index in (("start_index", first_index), ("end_index", last_index)):
            if not 0 <= index <= last:
                return f"{where}/{name}: {index} is out of bounds, the lines to store are 0 to {last}"
        if first_index > last_index:
            return f"{where}: start_index {first_index} is after end_index {last_index}"
        sentences = _sentences(chunk.context)
        if not 1 <= sentences <= MOST_SENTENCES:
            return f"{where}/context: {sentences} sentences, it takes one to {MOST_SENTENCES}"
        return None


def _sentences(text: str) -> int:
    return sum(1 for piece in _SENTENCE_END.split(text) if piece.strip())


def _merged(spans: tuple[_Span, ...]) -> tuple[_Span, ...]:
    merged: list[_Span] = []
    for span in sorted(spans, key=lambda each: (each.first, each.last)):
        if merged and span.first <= merged[-1].last:
            before = merged.pop()
            contexts = tuple(dict.fromkeys((*before.contexts, *span.contexts)))
            facts = tuple(dict.fromkeys((*before.facts, *span.facts)))
            merged.append(_Span(before.first, max(before.last, span.last), contexts, facts))
        else:
            merged.append(span)
    return tuple(merged)


def _key(span: _Span, lines: tuple[Line, ...]) -> SearchKey:
    facts = tuple(fact for fact in span.facts if fact)
    return SearchKey(lines[span.first].id, lines[span.last].id, " ".join(span.contexts), facts)
