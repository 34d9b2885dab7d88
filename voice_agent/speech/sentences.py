"""Speech let go in pieces that end where a sentence does, the first of them where a clause does, as the text streams.

A piece leaves with its own last character. Only where a number, an address or an abbreviation may go on does it wait
for what follows: "3." may be "3.14". After any other word a full stop ends the piece, unless the text that brings it
goes on without a space: "example.com" stays whole if it comes as "example" and ".com", as models write it.
"""

import re

from voice_agent.speech.abbreviations import ALWAYS, OFTEN
from voice_agent.speech.symbols import CLOSERS, OPENERS, PAUSES, STOPS, ideographic

_MARK = re.compile(f"[{re.escape(''.join(sorted(STOPS | PAUSES)))}]")
_IN_WORDS = frozenset(".!?,:;")  # marks that words are also written with
_AFTER_END = CLOSERS | OPENERS | STOPS | PAUSES
_CLOSES = (CLOSERS | STOPS | PAUSES) - {"\n"}
_QUOTES = "".join(sorted(CLOSERS | OPENERS))
_ADDRESS = re.compile(r"://|@|/|_|^www\b|^(?:https?|mailto|tel)$", re.IGNORECASE)
_INITIALS = re.compile(r"\w{1,3}(?:\.\w{1,3})+")
_LONG = 120
_LONGEST = 240


class Sentences:
    """`feed` and `flush` return the pieces to be let go; together they are the text, character by character.

    A piece of more than 120 characters ends with its next clause; none has more than 240, spaces or not.
    """

    def __init__(self) -> None:
        self._text = ""
        self._begin = 0  # of the next piece
        self._at = 0  # no end lies before it
        self._first = True

    def feed(self, text: str) -> list[str]:
        """Take the next piece of the text."""
        self._text += text
        pieces: list[str] = []
        while mark := _MARK.search(self._text, self._at):
            self._at = mark.start()
            self._split(self._at, pieces)
            end = self._end_at(self._at)
            if end is None:
                break
            if end:
                self._let_go(end, pieces)
            self._at = end or self._at + 1
        else:
            self._at = len(self._text)
        self._split(len(self._text), pieces)
        self._text, self._at, self._begin = self._text[self._begin :], self._at - self._begin, 0
        return pieces

    def flush(self) -> list[str]:
        """Nothing follows for now: let go of what there is."""
        pieces: list[str] = []
        if self._text:
            self._let_go(len(self._text), pieces)
        self._text, self._at, self._begin = "", 0, 0
        return pieces

    def _let_go(self, end: int, pieces: list[str]) -> None:
        pieces.append(self._text[self._begin : end])
        self._begin, self._first = end, False

    def _split(self, upto: int, pieces: list[str]) -> None:
        """Keep what comes before `upto` within bounds: at a space, if there is one."""
        while upto - self._begin > _LONGEST:
            space = self._text.rfind(" ", self._begin + 1, self._begin + _LONGEST)
            self._let_go(space if space > 0 else self._begin + _LONGEST, pieces)
        self._at = max(self._at, self._begin)

    def _end_at(self, at: int) -> int | None:
        """Where the piece ends if the mark at `at` ends it; 0: it does not; None: that depends on what follows."""
        mark, before = self._text[at], self._text[self._begin : at]
        if mark in PAUSES and not (self._first or len(before) >= _LONG):
            return 0
        if not any(map(str.isalnum, before)):
            return 0
        if mark == "\n":
            return at + 1
        end = at + 1
        while self._text[end : end + 1] in _CLOSES:
            end += 1
        if mark not in _IN_WORDS:
            return end
        word = before.split()[-1].strip(_QUOTES) if not before[-1].isspace() else ""
        return self._end_of_word(word, mark, at, end)

    def _end_of_word(self, word: str, mark: str, at: int, end: int) -> int | None:
        """The same for a mark that words are also written with."""
        after = self._text[at + 1 : at + 2]
        if after and not (after.isspace() or after in _AFTER_END or ideographic(after)):
            return 0
        doubtful = _ADDRESS.search(word) or word[-1:].isdecimal()
        if mark == ".":
            doubtful = doubtful or "." in word or _is_initial(word) or word.lower() in ALWAYS | OFTEN
        if not doubtful:
            return end
        if end == len(self._text):
            return None
        return self._end_of_doubt(word, end) if mark == "." else end

    def _end_of_doubt(self, word: str, end: int) -> int | None:
        """The same for a full stop after a word that may be written with one, before a space or a quote."""
        bare = word.lower()
        if bare in ALWAYS or _is_initial(word) or (word.isdecimal() and len(word) < 3):
            return 0  # a number this short may be an ordinal
        if bare not in OFTEN and not _INITIALS.fullmatch(word):
            return end
        first = self._text[end : end + _LONG].lstrip().lstrip(_QUOTES)[:1]
        if not first:
            return end if end + _LONG <= len(self._text) else None
        return 0 if first.islower() or first.isdecimal() or first in PAUSES else end


def _is_initial(word: str) -> bool:
    """Whether it is one letter of a script with capitals; "I" is a word."""
    return len(word) == 1 and word.upper() != word.lower() and word != "I"
