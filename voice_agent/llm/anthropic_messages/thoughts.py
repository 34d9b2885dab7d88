"""Thinking blocks put together again from the opaque parts of a step, which are pieces of them."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

from voice_agent.messages import Opaque

# The wire fields that the pieces come in, as `Opaque.kind` has them.
THINKING, SIGNATURE, REDACTED = "thinking", "signature", "redacted_thinking"


class Thought(NamedTuple):
    """A block as it was received, and its place in the step: after so much text, after so many calls."""

    block: dict[str, Any]
    after_text: int
    after_calls: int

    @property
    def whole(self) -> bool:
        """Whether the block may go back: one that is not redacted has to carry its signature."""
        return bool(self.block.get("signature") or self.block.get("data"))


def thoughts_of(parts: Iterable[Opaque]) -> tuple[Thought, ...]:
    """The blocks of one step, in order; pieces of other kinds are left alone."""
    known = (part for part in parts if part.kind in (THINKING, SIGNATURE, REDACTED))
    return tuple(_thought(list(pieces)) for _, pieces in groupby(known, key=lambda part: part.block))


def _thought(pieces: list[Opaque]) -> Thought:
    def joined(kind: str) -> str:
        return "".join(piece.data for piece in pieces if piece.kind == kind)

    if pieces[0].kind == REDACTED:
        block = {"type": REDACTED, "data": joined(REDACTED)}
    else:
        block = {"type": THINKING, "thinking": joined(THINKING), "signature": joined(SIGNATURE)}
    return Thought(block, pieces[0].after_text, pieces[0].after_calls)
