"""Speech let go in pieces that end where a sentence does, the first of them where a clause does, as the text streams.

The first piece leaves with its own last character. Only where a number, an address or an abbreviation may go on does
it wait for what follows: "3." may be "3.14". After any other word a full stop ends it, unless the text that brings it
goes on without a space. The others have time, as the first is being said: each leaves with the character after it, and
so they are the same however the text is cut: "example.com" is whole, and quotes go with what they close.
"""

import re

from voice_agent.speech.abbreviations import ALWAYS, OFTEN, ORDINAL
from voice_agent.speech.symbols import CLOSERS, NUMERIC, OPENERS, PAUSES, STOPS, WORDS, ideographic

_MARK = re.compile(f"[{re.escape(''.join(sorted(STOPS | PAUSES)))}]")
_IN_WORDS = frozenset(".!?,:;")  # marks that words are also written with
_AFTER_END = CLOSERS | OPENERS | STOPS | PAUSES
_CLOSES = (CLOSERS | STOPS | PAUSES) - {"\n"}
_QUOTES = "".join(sorted(CLOSERS | OPENERS))
_ADDRESS = re.compile(r"://|@|/|_|^www\b|^(?:https?|mailto|tel)$", re.IGNORECASE)
_INITIALS = re.compile(r"\w{1,3}(?:\.\w{1,3})+")
_ABBREVIATED = ALWAYS | OFTEN
_LONG = 120
_LONGEST = 240
_NEAR = 12  # so many characters after a mark are looked at


class Sentences:
    """`feed` and `flush` return the pieces to be let go; together they are the text, character by character.

    A piece of more than 120 characters ends with its next clause, and one of 240 all the same: at a space, if there is
    one.
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
        self._split(self._at, pieces)
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
        mark = self._text[at]
        if mark in PAUSES and not (self._first or at - self._begin >= _LONG):
            return 0
        if not WORDS.search(self._text, self._begin, at):
            return 0
        if mark == "\n":
            return at + 1
        end = at + 1
        while end - at < _NEAR and self._text[end : end + 1] in _CLOSES:
            end += 1
        if end == len(self._text) and not self._first and end - at < _NEAR:
            return None
        if mark in NUMERIC and self._text[at - 1].isdecimal():
            after = self._text[at + 1 : at + 2]
            return None if not after else 0 if after.isdecimal() else end
        if mark not in _IN_WORDS:
            return end
        before = self._text[self._begin : at]
        word = before.split()[-1].strip(_QUOTES) if not before[-1].isspace() else ""
        return self._end_of_word(word, mark, at, end)

    def _end_of_word(self, word: str, mark: str, at: int, end: int) -> int | None:
        """The same for a mark that words are also written with."""
        after = self._text[at + 1 : at + 2]
        if after and not (after.isspace() or after in _AFTER_END or ideographic(after)):
            return 0
        doubtful = _ADDRESS.search(word) or word[-1:].isdecimal()
        if mark == ".":
            doubtful = doubtful or "." in word or _is_initial(word) or word.lower() in _ABBREVIATED
        if not doubtful:
            return end
        if end == len(self._text):
            return None
        return self._end_of_doubt(word, at, end) if mark == "." else end

    def _end_of_doubt(self, word: str, at: int, end: int) -> int | None:
        """The same for a full stop after a word that may be written with one, before a space or a quote."""
        bare, short = word.lower(), word.isdecimal() and len(word) < 3
        if bare in ALWAYS or _is_initial(word) or (short and ORDINAL.search(self._text[self._begin : at])):
            return 0
        if not (short or bare in OFTEN or _INITIALS.fullmatch(word)):
            return end
        first = self._text[end : end + _NEAR].lstrip().lstrip(_QUOTES)[:1]
        if not first:
            return end if end + _NEAR <= len(self._text) else None
        return 0 if first.islower() or first.isdecimal() or first in PAUSES else end


def _is_initial(word: str) -> bool:
    """Whether it is one letter of a script with capitals; "I" is a word."""
    return len(word) == 1 and word.upper() != word.lower() and word != "I"
