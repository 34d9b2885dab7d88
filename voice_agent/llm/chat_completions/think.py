"""Tells thoughts from speech in reply text where a model writes its reasoning between `<think>` tags."""

from typing import NamedTuple

_OPENING, _CLOSING = "<think>", "</think>"


class Piece(NamedTuple):
    """A stretch of text, and whether it is thought (never spoken) or speech."""

    text: str
    thought: bool


class ThinkTags:
    """Splits text as it streams. It holds back only a tail that may yet become a tag."""

    def __init__(self) -> None:
        self._held = ""
        self._thinking = False

    @property
    def at_rest(self) -> bool:
        """Whether text without a `<` is speech as it stands."""
        return not (self._held or self._thinking)

    def feed(self, text: str) -> list[Piece]:
        """The pieces that are certain now; tags themselves are left out."""
        text = self._held + text
        pieces = []
        while True:
            tag = _CLOSING if self._thinking else _OPENING
            before, found, after = text.partition(tag)
            if not found:
                break
            pieces.append(Piece(before, self._thinking))
            self._thinking = not self._thinking
            text = after
        kept = _tail_that_may_become(tag, text)
        self._held = text[len(text) - kept :]
        pieces.append(Piece(text[: len(text) - kept], self._thinking))
        return [piece for piece in pieces if piece.text]

    def flush(self) -> list[Piece]:
        """What was held back, now that no more text follows it directly."""
        held, self._held = self._held, ""
        return [Piece(held, self._thinking)] if held else []


def _tail_that_may_become(tag: str, text: str) -> int:
    for length in range(min(len(tag) - 1, len(text)), 0, -1):
        if text.endswith(tag[:length]):
            return length
    return 0
