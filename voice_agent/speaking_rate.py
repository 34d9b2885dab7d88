"""How fast the session's voice speaks: a guess that what the client reports of its playback makes better."""

import re

CHARS_PER_S = 15.0
"""Where nothing is known yet: about 150 words a minute of English."""
LEAST_S = 2.0
"""Nothing shorter is observed: of that, the synthesiser's own delay is too large a part."""

_SLOWEST, _FASTEST = 5.0, 40.0
_GUESS_S, _MEMORY_S = 4.0, 60.0
_IDEOGRAM = re.compile(r"[\u3400-\u9FFF\uAC00-\uD7AF\uF900-\uFAFF\U00020000-\U0003FFFF]")
_KANA = re.compile(r"[\u3041-\u30FA]")


def letters(text: str) -> int:
    """How long a text takes to say, in letters of an alphabet: one for each code point, but for syllables in one sign.

    Chinese and Korean are spoken at about 5 signs a second, Japanese kana at 7 or 8.
    """
    if text.isascii():  # by far the most
        return len(text)
    return len(text) + 2 * len(_IDEOGRAM.findall(text)) + len(_KANA.findall(text))


class SpeakingRate:
    """One per session. `chars` are those of an alphabet, as `letters` counts them; times are seconds.

    The guess weighs as much as four seconds of reported speech, and what was reported in all as much as a minute.
    """

    def __init__(self) -> None:
        self._chars = CHARS_PER_S * _GUESS_S
        self._seconds = _GUESS_S

    @property
    def chars_per_s(self) -> float:
        return self._chars / self._seconds

    def chars_in(self, seconds: float) -> int:
        """How many are spoken in that time; none in less than no time."""
        return max(0, int(seconds * self.chars_per_s))

    def seconds(self, chars: float) -> float:
        """How long so many take."""
        return chars / self.chars_per_s

    def observe(self, chars: int, seconds: float) -> None:
        """So many were spoken in that time. What no voice does is passed over, and so is what took under 2 s."""
        if seconds < LEAST_S or not _SLOWEST <= chars / seconds <= _FASTEST:
            return
        kept = min(1.0, _MEMORY_S / (self._seconds + seconds))
        self._chars = (self._chars + chars) * kept
        self._seconds = (self._seconds + seconds) * kept
