"""Half-written tool-call arguments, read as they stream: the words to speak now, and at the end the arguments."""

import re
from enum import Enum, auto

import msgspec

_BLANK = re.compile(r"[ \t\n\r]*")  # RFC 8259 section 2: no other white space
_PLAIN = re.compile(r'[^"\\]*')
_FLAT = re.compile(r'[^"\[\]{}]*')
_SCALAR = re.compile(r'[^"\[\]{}:, \t\n\r]*')
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(
    r"\\u[dD][89abAB]HH\\u[dD][c-fC-F]HH|\\u[dD][89a-fA-F]HH|\\.".replace("H", "[0-9a-fA-F]")
)
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_CLOSER = {"{": "}", "[": "]"}
_MOST_LEVELS = 100


class _At(Enum):
    START = auto()
    FIRST_KEY = auto()
    KEY = auto()
    COLON = auto()
    VALUE = auto()
    SCALAR = auto()
    NESTED = auto()
    STRING = auto()
    AFTER = auto()
    DONE = auto()
    BROKEN = auto()


class ArgumentScanner:
    """Reads the arguments (JSON text) of one call, however the stream cuts them; `field` is the utterance's name.

    Only a string at the top level of the object is an utterance; of several the first. Each character is looked at
    once. Nothing raises: what is not JSON (RFC 8259) ends the speaking, and `arguments()` is None.
    """

    def __init__(self, field: str | None = "pre_exec_msg") -> None:
        self.complete = False
        self.overrun = False
        self.utterance_done = False
        self._field = field
        self._pieces: list[str] = []
        self._at = _At.START
        self._closers: list[str] = []
        self._too_deep = False
        self._string = _StringReader()
        self._after_string = _At.AFTER
        self._key: list[str] = []
        self._spoken: list[str] | None = None
        self._speaking = False

    @property
    def text(self) -> str:
        """Everything fed. Lone surrogates, which no UTF-8 can carry, are U+FFFD."""
        return well_formed("".join(self._pieces))

    @property
    def utterance(self) -> str | None:
        """All of the utterance so far; None: its field was not met."""
        return None if self._spoken is None else "".join(self._spoken)

    def arguments(self) -> dict[str, object] | None:
        """The arguments without the utterance; None if the text is not one JSON object and nothing else.

        Nor is one that is nested deeper than everybody can write down again.
        """
        if self._too_deep:
            return None
        text = self.text
        if "\\u" in text:
            text = _SURROGATE_ESCAPE.sub(_paired, text)
        try:
            found: dict[str, object] = msgspec.json.decode(text, type=dict[str, object])
        except (msgspec.DecodeError, RecursionError):
            return None
        if self._field is not None:
            found.pop(self._field, None)
        return found

    def feed(self, piece: str) -> str:
        """Take the next piece; returns the characters of the utterance to speak now, decoded."""
        self._pieces.append(piece)
        spoken: list[str] = []
        at = 0
        while at < len(piece) and self._at is not _At.BROKEN:
            if self._at is _At.STRING:
                at = self._read_string(piece, at, spoken)
            elif self._at is _At.NESTED:
                at = self._read_nested(piece, at)
            elif self._at is _At.SCALAR:
                at = _end(_SCALAR, piece, at)
                self._at = _At.SCALAR if at == len(piece) else _At.AFTER
            else:
                at = _end(_BLANK, piece, at)
                if at < len(piece):
                    self._take(piece[at])
                    at += 1
        return "".join(spoken)

    def _take(self, char: str) -> None:
        """One character between the strings and scalars of the top level."""
        match self._at, char:
            case _At.START, "{":
                self._at = _At.FIRST_KEY
            case (_At.FIRST_KEY, "}") | (_At.AFTER, "}"):
                self._at = _At.DONE
                self.complete = True
            case (_At.FIRST_KEY, '"') | (_At.KEY, '"'):
                self._key = []
                self._open_string(_At.COLON)
            case _At.COLON, ":":
                self._at = _At.VALUE
            case _At.VALUE, '"':
                self._speaking = self._spoken is None and "".join(self._key) == self._field
                if self._speaking:
                    self._spoken = []
                self._open_string(_At.AFTER)
            case _At.VALUE, "{" | "[":
                self._closers.append(_CLOSER[char])
                self._at = _At.NESTED
            case _At.VALUE, _ if char not in ":,]}":
                self._at = _At.SCALAR
            case _At.AFTER, ",":
                self._at = _At.KEY
            case _At.DONE, _:
                self.overrun = True
            case _:
                self._at = _At.BROKEN

    def _open_string(self, after: _At) -> None:
        self._string = _StringReader()
        self._after_string = after
        self._at = _At.STRING

    def _read_string(self, piece: str, at: int, spoken: list[str]) -> int:
        found, at = self._string.read(piece, at)
        if self._after_string is _At.COLON:
            self._key.append(found)
        elif self._speaking and self._spoken is not None:
            self._spoken.append(found)
            spoken.append(found)
        if self._string.broken:
            self._at = _At.BROKEN
        elif self._string.done:
            self._at = self._after_string
            self.utterance_done = self.utterance_done or self._speaking
            self._speaking = False
        return at

    def _read_nested(self, piece: str, at: int) -> int:
        at = _end(_FLAT, piece, at)
        if at == len(piece):
            return at
        char = piece[at]
        if char == '"':
            self._open_string(_At.NESTED)
        elif char in _CLOSER:
            self._closers.append(_CLOSER[char])
            self._too_deep = self._too_deep or len(self._closers) > _MOST_LEVELS
        elif char != self._closers.pop():
            self._at = _At.BROKEN
        elif not self._closers:
            self._at = _At.AFTER
        return at + 1


class _StringReader:
    """Decodes one JSON string whose opening quote has been read, in pieces."""

    def __init__(self) -> None:
        self.done = False
        self.broken = False
        self._escape = ""
        self._high = ""

    def read(self, piece: str, at: int) -> tuple[str, int]:
        """The characters that are certain by now, and where in `piece` the reading stopped."""
        found = [self._high]
        while at < len(piece) and not (self.done or self.broken):
            if self._escape:
                found.append(self._read_escape(piece[at]))
                at += 1
                continue
            end = _end(_PLAIN, piece, at)
            found.append(piece[at:end])
            at = end + 1
            if end < len(piece):
                self.done = piece[end] == '"'
                self._escape = "" if self.done else "\\"
        text = "".join(found)
        # Half of a surrogate pair waits for its other half, which may come in the next piece.
        self._high = text[-1:] if not self.done and "\ud800" <= text[-1:] <= "\udbff" else ""
        return well_formed(text[: len(text) - len(self._high)]), min(at, len(piece))

    def _read_escape(self, char: str) -> str:
        """The next character of an escape; returns what it stands for once it is complete."""
        self._escape += char
        kind, digits = self._escape[1], self._escape[2:]
        if kind == "u" and len(digits) < 4:
            return ""
        self._escape = ""
        if kind == "u" and _HEX.fullmatch(digits):
            return chr(int(digits, 16))
        if kind in _SHORT:
            return _SHORT[kind]
        self.broken = True
        return ""


def _end(pattern: re.Pattern[str], piece: str, at: int) -> int:
    """Where a run of `pattern` (which also matches nothing) ends."""
    run = pattern.match(piece, at)
    return run.end() if run else at


def well_formed(text: str) -> str:
    """`text` with surrogate pairs joined and lone surrogates replaced, so that UTF-8 can carry it."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _paired(escape: re.Match[str]) -> str:
    """An escape as it is, unless it stands for a lone surrogate, which the decoder would refuse."""
    whole = escape.group()
    return r"\ufffd" if len(whole) == 6 else whole
