"""The marks that begin a line: headings, bullets, quotes, rules, fences, tables; the pause that ends such a line."""

import re

from voice_agent.speech.reader import Reader
from voice_agent.speech.symbols import PAUSES, STOPS, comma_after, stop_after

_BLANK = " \t"
_LINE = re.compile(r"[^\n]+")


class Lines(Reader):
    """`_owed`: the line ends in a pause, as it is a thing of its own. A fence's inside is said as it stands."""

    def __init__(self) -> None:
        super().__init__()
        self._fence = ""
        self._code = False
        self._table = False
        self._begin_line()

    def _begin_line(self) -> None:
        self._starts = True
        self._owed = self._table = self._code = self._hidden = False
        self._rule = ""
        self._numbering = False
        self._row_spoken = self._cell_due = self._cell_starts = self._blank_due = False

    def _step_line(self) -> int:
        """A step at the start of a line; leaves `_starts` when its text begins."""
        char = self._peek(1)
        if char in "`~":
            return self._step_fence(char)
        if self._fence:
            return self._text_begins()
        if char in (" ", "\t", ">", self._rule):
            return self._open(1)
        if char == "#":
            return self._step_heading()
        if char in "-*+•_=":
            return self._step_bullet(char)
        if char == "[" and self._owed:
            if self._lacks(4) and re.match(r"\[[ xX]?\]?$", self._peek(3)):
                return 0
            return self._open(3) if re.match(r"\[[ xX]\][ \t]", self._peek(4)) else self._text_begins()
        if char == "|":
            self._table = self._owed = self._cell_starts = True
            self._starts = False
            return self._open(1)
        if char == "!":
            if self._lacks(2):
                return 0
            return self._open(1) if self._peek(1, 1) == "[" else self._text_begins()
        return self._text_begins()

    def _text_begins(self) -> int:
        """The line has no more marks."""
        self._starts = False
        self._numbering = not self._fence and self._peek(1).isdecimal()
        return self._step()

    def _step_fence(self, char: str) -> int:
        if self._peek(3) == char * 3 and self._fence in ("", char):
            self._fence = "" if self._fence else char
            self._hidden, self._starts = True, False
            return self._open(3)
        return 0 if self._may_become(char * 3) else self._text_begins()

    def _step_heading(self) -> int:
        marks = len(self._peek(7)) - len(self._peek(7).lstrip("#"))
        if marks <= 6 and self._lacks(marks + 1):
            return 0
        if marks <= 6 and self._peek(1, marks) in (" ", "\t"):
            self._owed = True
            return self._open(marks)
        return self._text_begins()

    def _step_bullet(self, char: str) -> int:
        if char != "•" and self._peek(3) == char * 3:
            self._rule = char
            return self._open(3)
        if self._may_become(char * 3):
            return 0
        if char not in "_=" and self._peek(1, 1) in (" ", "\t"):
            self._owed = True
            return self._open(1)
        return self._text_begins()

    def _step_hidden(self) -> int:
        """The rest of a fence's own line."""
        rest = _LINE.match(self._text, self._at)
        return self._open(rest.end() - self._at if rest else 1)

    def _step_newline(self) -> int:
        last, owed = self._last, self._owed
        self._begin_line()
        if last in ("", "\n"):
            return self._close(1)
        if owed and last not in STOPS and last not in PAUSES and not last.isspace():
            return self._say(stop_after(last) + "\n", 1)
        return self._say("\n", 1)

    def _step_number(self, char: str) -> int | None:
        """A step in the number that a line begins with; None: it is over. A list's is said, and a pause is due."""
        if char.isdecimal() or (char in ".)" and self._before.isdecimal()):
            return self._copy(1)
        self._numbering = False
        self._owed = self._owed or (char in _BLANK and self._before in ".)")
        return None

    def _step_cell(self) -> int | None:
        """A step in a row of a table, None: its next word begins here, with the pause before it said."""
        char = self._peek(1)
        if char == "|":
            self._cell_due, self._cell_starts = self._row_spoken, True
            return self._open(1)
        if char in _BLANK:
            self._blank_due = True
            return self._open(1)
        if self._cell_starts and char in ":-":
            if self._lacks(2):
                return 0
            # The row of dashes under a table's head. A single dash between spaces is a word of its own.
            after = self._peek(1, 1)
            if "-" in (after, self._before) or (char == "-" and (after in ("|", ":") or self._before == ":")):
                return self._open(1)
        due = comma_after(self._last) if self._cell_due else " " if self._blank_due and self._row_spoken else ""
        if due:
            self._say(due, 0)
        self._row_spoken, self._cell_due, self._cell_starts, self._blank_due = True, False, False, False
        return None
