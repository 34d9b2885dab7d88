"""The spoken form of a written text: what is only for the eye is left out, word by word as the text streams.

Markdown goes (CommonMark 0.31, as far as it can be read without looking far ahead), and so do emoji. Nothing is held
back but a mark whose meaning hangs on the characters after it: at most a dozen of them, whatever the text.
"""

import re
import string

from voice_agent.speech.addresses import Addresses
from voice_agent.speech.symbols import JOINER, PICTURE, PICTURES

_MARKS = rf"\r\n\t *_~`\[\]<\\{JOINER}{PICTURES}"
_LETTER = rf"[^{_MARKS}hHwW]|(?<=[A-Za-z])[hHwW]"  # an address may begin with these
_PLAIN = re.compile(rf"(?:{_LETTER}| (?=[^ \r\n{PICTURES}]))+")
_CELL = re.compile(rf"(?:(?!\|)(?:{_LETTER}))+")
_CODE = re.compile(r"[^`\r\n]+")
_AUTOLINKS = ("<http://", "<https://")
_MOST_STARS = 4


class SpokenText(Addresses):
    """`feed` gives what can be said, `flush` the rest; `offsets` maps it to the written text."""

    def __init__(self) -> None:
        super().__init__()
        self._gap = 0  # how much had been said when a picture was left out

    def _step(self) -> int:
        char = self._peek(1)
        if char == "\r":
            if self._lacks(2):
                return 0
            if self._peek(1, 1) == "\n":
                return self._close(1)
        if char == "\n":
            return self._step_newline()
        if self._hidden:
            return self._step_hidden()
        if self._starts:
            return self._step_line()
        if self._fence:
            return self._step_code(char)
        if self._linking:
            return self._step_target()
        took = self._step_address() if self._part else None
        if took is None and self._table:
            took = self._step_cell()
        if took is None and self._numbering:
            took = self._step_number(char)
        if took is None:
            took = self._step_code(char) if self._code else self._step_words(char)
        return took

    def _step_code(self, char: str) -> int:
        """Code is said as it stands."""
        code = _CODE.match(self._text, self._at)
        if code and not self._table:
            return self._copy(code.end() - self._at)
        return self._copy(1) if self._fence or char != "`" else self._step_tick()

    def _step_words(self, char: str) -> int:
        if char == " ":
            if self._lacks(2):
                return 0
            after = self._peek(1, 1)
            if self._last in ("", " ", "\n") or after in " \r\n" or PICTURE.match(after):
                return self._close(1)
        elif self._gap == self.offsets.spoken and self._last.strip() and char.isalnum():
            self._say(" ", 0)
        plain = (_CELL if self._table else _PLAIN).match(self._text, self._at)
        if plain:
            return self._copy(plain.end() - self._at)
        match char:
            case "*" | "_":
                return self._step_stars(char)
            case "`":
                return self._step_tick()
            case "~":
                return self._step_tilde()
            case "[":
                return self._open(1)
            case "]":
                return self._step_bracket()
            case "\\":
                return self._step_escape()
            case "<":
                return self._step_angle()
            case _:
                return self._step_other(char)

    def _step_other(self, char: str) -> int:
        pictures = PICTURE.match(self._text, self._at)
        if pictures or (char == JOINER and PICTURE.match(self._before)):
            self._gap = self.offsets.spoken
            return self._close(pictures.end() - self._at if pictures else 1)
        if char in "hHwW" and not self._before.isalnum():
            took = self._begins_address()
            return self._copy(1) if took is None else took
        return self._copy(1)

    def _step_stars(self, char: str) -> int:
        """Emphasis goes; what stands between spaces or digits is a sign, and within a name an underscore is one."""
        there = self._peek(_MOST_STARS)
        run = len(there) - len(there.lstrip(char))
        if run == _MOST_STARS:
            return self._close(1)
        if self._lacks(run + 1):
            return 0
        before, after = self._before, self._peek(1, run)
        between = before.isalnum() and after.isalnum()
        if (not before.strip() and not after.strip()) or (between and (char == "_" or before.isdecimal())):
            return self._copy(run)
        return self._mark(run)

    def _mark(self, run: int) -> int:
        """Leave out what stands around words: it opens where none comes before it."""
        after = self._peek(1, run)
        return self._open(run) if after.strip() and not self._before.isalnum() else self._close(run)

    def _step_tick(self) -> int:
        if self._before == "`":
            return self._open(1) if self._code else self._close(1)
        self._code = not self._code
        return self._open(1) if self._code else self._close(1)

    def _step_tilde(self) -> int:
        if self._lacks(3) and self._peek(2) in ("~", "~~"):
            return 0
        return self._mark(2) if self._peek(2) == "~~" else self._copy(1)

    def _step_escape(self) -> int:
        """A backslash makes a mark of Markdown's plain text."""
        if self._lacks(2):
            return 0
        after = self._peek(1, 1)
        if after and after in string.punctuation:
            self._open(1)
            self._say(after, 1)
            return 2
        return self._close(1) if after == "\n" else self._copy(1)

    def _step_angle(self) -> int:
        if self._may_become(*_AUTOLINKS):
            return 0
        return self._open(1) if self._peek(9).lower().startswith(_AUTOLINKS) else self._copy(1)
