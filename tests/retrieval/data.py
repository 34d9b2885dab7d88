"""Conversations and questions out of a file as LoCoMo is published (Maharana et al., ACL 2024; arXiv:2402.17753)."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

CATEGORIES = {4: "single-hop", 1: "multi-hop", 2: "temporal", 3: "open-domain"}
_REFERENCE = re.compile(r"D:?\s?(\d+):(\d+)(?:\s*-\s*D:?(\d+):(\d+))?")
_SESSION = re.compile(r"session_(\d+)")
_LONGEST_RANGE = 60
_BETWEEN_TURNS_S = 20.0


class Line(msgspec.Struct, frozen=True):
    """One turn of a conversation; `at` in seconds since the epoch."""

    id: str
    session: int
    at: float
    speaker: str
    text: str

    @property
    def message(self) -> dict[str, Any]:
        """The turn as a system is given it."""
        text = f"{self.speaker}: {self.text}"
        who = {"speaker": self.speaker, "session": self.session}
        return {"id": self.id, "ids": [self.id], "ts": self.at, "text": text, **who}


class Question(msgspec.Struct, frozen=True):
    """A question and the ids of the turns that answer it."""

    text: str
    category: int
    evidence: tuple[str, ...]


class Talk(msgspec.Struct, frozen=True):
    """One conversation: one user's memory."""

    lines: tuple[Line, ...]
    questions: tuple[Question, ...]


def load(path: Path) -> tuple[Talk, ...]:
    """All conversations. Questions of other categories, and those without usable evidence, are left out."""
    return tuple(_talk(sample) for sample in msgspec.json.decode(path.read_bytes()))


def read_references(written: list[Any], known: frozenset[str]) -> tuple[str, ...]:
    """Turn ids out of evidence as annotators wrote it: several in one string, ranges, stray colons and zeros."""
    ids: list[str] = []
    for reference in written:
        for found in _REFERENCE.finditer(str(reference)):
            session, first = int(found[1]), int(found[2])
            to_session, to = int(found[3] or session), int(found[4] or first)
            last = to if session == to_session and first <= to <= first + _LONGEST_RANGE else first
            ids += [f"D{session}:{place}" for place in range(first, last + 1)]
            ids += [f"D{to_session}:{to}"] if to_session != session else []
    return tuple(turn for turn in dict.fromkeys(ids) if turn in known)


def _talk(sample: dict[str, Any]) -> Talk:
    conversation = sample["conversation"]
    numbers = sorted(int(found[1]) for found in map(_SESSION.fullmatch, conversation) if found)
    lines = tuple(line for number in numbers for line in _session(conversation, number))
    known = frozenset(line.id for line in lines)
    questions = (
        Question(row["question"], row["category"], read_references(row.get("evidence") or [], known))
        for row in sample["qa"]
    )
    return Talk(lines, tuple(each for each in questions if each.category in CATEGORIES and each.evidence))


def _session(conversation: dict[str, Any], number: int) -> list[Line]:
    begun = datetime.strptime(conversation[f"session_{number}_date_time"], "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
    lines = []
    for place, turn in enumerate(conversation[f"session_{number}"]):
        text = (turn.get("text") or turn.get("clean_text") or "").strip()
        if turn.get("blip_caption"):
            text = f"{text} [shares {turn['blip_caption']}]".strip()
        at = begun.timestamp() + _BETWEEN_TURNS_S * place
        lines.append(Line(turn["dia_id"], number, at, turn["speaker"], text))
    return lines
