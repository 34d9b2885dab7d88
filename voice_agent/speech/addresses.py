"""Addresses as a voice says them: a link's words, and of a bare address host and path, without scheme and query."""

import re

from voice_agent.speech.lines import Lines

_SCHEMES = ("http://", "https://")
_PREFIXES = (*_SCHEMES, "www.")
_LINKED = (*_PREFIXES, "mailto:", "tel:", "/", "#", "./", "../", "<")
_LONGEST = max(map(len, _LINKED))
_TARGET = re.compile(r"[^()\r\n]+")
_NAME = re.compile(r"[A-Za-z0-9\-_~%@+=&$'(]+")
_INSIDE = re.compile(r"[A-Za-z0-9\-._~%@+=&]")
_QUERY = re.compile(r"[A-Za-z0-9\-_~%@+=&/$'(#]+")
_DOTS = re.compile(r"[.,;:!]{1,8}")
_POINTS = re.compile(r"[.,;:!?]{1,8}")
_MOST_POINTS = 8


class Addresses(Lines):
    """`_part`: within an address, which part of it; `_linking`: how many parentheses are open in a link's target."""

    def __init__(self) -> None:
        super().__init__()
        self._part = ""
        self._linking = 0

    def _begin_line(self) -> None:
        super()._begin_line()
        self._part, self._linking = "", 0

    def _begins_address(self) -> int | None:
        """A step where an address may begin; None: none does."""
        there = self._peek(8).lower()
        scheme = next((prefix for prefix in _PREFIXES if there.startswith(prefix)), None)
        if scheme is not None:
            self._part = "host" if scheme in _SCHEMES else "path"
            return self._open(len(scheme))
        return 0 if self._may_become(*_PREFIXES) else None

    def _step_address(self) -> int | None:
        """A step within an address; None: it is over."""
        if self._part == "query":
            return self._step_query()
        if self._part == "host":
            if self._may_become("www."):
                return 0
            self._part = "path"
            if self._peek(4).lower() == "www.":
                return self._open(4)
        name = _NAME.match(self._text, self._at)
        if name:
            return self._copy(name.end() - self._at)
        dots = _DOTS.match(self._text, self._at)
        if dots:
            length = dots.end() - self._at
            return 0 if self._awaited_after(length) else self._copy(length)
        char = self._peek(1)
        if char in "/?#":
            if self._lacks(2):
                return 0
            if _INSIDE.match(self._peek(1, 1)):
                self._part = "path" if char == "/" else "query"
                return self._copy(1) if char == "/" else self._close(1)
            if char == "/":
                return self._close(1)
        self._part = ""
        return self._close(1) if char == ">" else None

    def _step_query(self) -> int | None:
        """What is not said of an address, up to its end; the points that close a sentence are no part of it."""
        query = _QUERY.match(self._text, self._at)
        if query:
            return self._close(query.end() - self._at)
        points = _POINTS.match(self._text, self._at)
        if points:
            length = points.end() - self._at
            if self._awaited_after(length):
                return 0
            if length == _MOST_POINTS or _QUERY.match(self._peek(1, length)):
                return self._close(length)
        self._part = ""
        return self._close(1) if self._peek(1) == ">" else None

    def _awaited_after(self, points: int) -> bool:
        """Whether what follows so many points is still to come: it tells if the address goes on."""
        return points < _MOST_POINTS and self._lacks(points + 1)

    def _step_bracket(self) -> int:
        """The end of a link's words, if an address in parentheses follows; or just a bracket."""
        if self._lacks(2):
            return 0
        there = self._peek(_LONGEST + 1, 1).lower()
        if there.startswith("("):
            if any(there[1:].startswith(start) for start in _LINKED):
                self._linking = 1
                return self._close(2)
            if not self._final and any(start.startswith(there[1:]) for start in _LINKED):
                return 0
        return self._close(1)

    def _step_target(self) -> int:
        target = _TARGET.match(self._text, self._at)
        if target:
            return self._close(target.end() - self._at)
        self._linking += 1 if self._peek(1) == "(" else -1
        return self._close(1)
