"""A written text read as it streams: what of it is said, what is passed over, what has to wait for more."""

from voice_agent.speech.offsets import OffsetMap

_LONGEST_START = 12


class Reader:
    """Steps decide on the beginning of `_text`, and look ahead by a few characters at most.

    A step returns how many characters it has dealt with; 0: what to do depends on characters that are yet to come.
    `_final`: none will come.
    """

    def __init__(self) -> None:
        self.offsets = OffsetMap()
        self._text = ""
        self._at = 0
        self._final = False
        self._before = ""  # the last character dealt with
        self._said: list[str] = []
        self._last = ""  # the last character said
        self._ahead = 0  # characters passed over that belong to what is said next

    def feed(self, text: str) -> str:
        """Take the next piece; returns what can be said by now."""
        self._text += text
        self._at = 0
        while self._at < len(self._text):
            took = self._step()
            if not took:
                break
            self._before = self._text[self._at + took - 1]
            self._at += took
        self._text = self._text[self._at :]
        spoken, self._said = "".join(self._said), []
        return spoken

    def flush(self) -> str:
        """Nothing follows for now: returns what was kept waiting."""
        self._final = True
        spoken = self.feed("")
        self._final = False
        if self._ahead:
            self.offsets.add(0, self._ahead)
            self._ahead = 0
        return spoken

    def _step(self) -> int:
        raise NotImplementedError

    def _peek(self, length: int, start: int = 0) -> str:
        """Up to `length` characters from `start` on."""
        begin = self._at + start
        return self._text[begin : begin + length]

    def _lacks(self, length: int) -> bool:
        """Whether fewer characters than these are there, and more may come."""
        return not self._final and len(self._text) - self._at < length

    def _may_become(self, *wanted: str) -> bool:
        """Whether the text that is there is the beginning of one of these, and more may come."""
        there = self._peek(_LONGEST_START).lower()
        return not self._final and any(len(there) < len(word) and word.startswith(there) for word in wanted)

    def _say(self, spoken: str, written: int) -> int:
        """Say this for so many written characters."""
        if self._ahead:
            waiting, self._ahead = self._ahead, 0
            if len(spoken) == written > 1:
                self.offsets.add(1, waiting + 1)
                self.offsets.add(len(spoken) - 1, written - 1)
            else:
                self.offsets.add(len(spoken), waiting + written)
        else:
            self.offsets.add(len(spoken), written)
        self._said.append(spoken)
        self._last = spoken[-1]
        return written

    def _copy(self, written: int) -> int:
        return self._say(self._peek(written), written)

    def _open(self, written: int) -> int:
        """Pass over what belongs to the words after it."""
        self._ahead += written
        return written

    def _close(self, written: int) -> int:
        """Pass over what belongs to the words before it."""
        if self._ahead:  # nothing has been said since: it all belongs to what follows
            return self._open(written)
        self.offsets.add(0, written)
        return written
