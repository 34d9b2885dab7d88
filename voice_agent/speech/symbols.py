"""Characters that speech has to know: pictures, full stops of several scripts, what opens and what closes."""

import re

PICTURES = (
    r"\U0001F000-\U0001FAFF\U000E0020-\U000E007F\u2600-\u27BF\u2B05-\u2B07\u2B1B\u2B1C\u2B50\u2B55"
    r"\u231A\u231B\u2328\u23CF\u23E9-\u23FA\u25AA\u25AB\u25B6\u25C0\u25FB-\u25FE\u2934\u2935\uFE0F\u20E3"
)
"""Emoji with their modifiers, and the marks that make one of another character (Unicode TS #51), as ranges."""
PICTURE = re.compile(f"[{PICTURES}]+")
JOINER = "\u200d"
"""Joins emoji. Elsewhere it shapes letters (Devanagari, Arabic) and is text."""

WORDS = re.compile(r"[^\W_]")
"""A letter or digit of any script."""

STOPS = frozenset(".!?…。！？．।॥؟۔։።፧။\n")
PAUSES = frozenset(",;:—、，；：،؛፣")
NUMERIC = frozenset("：，．")
"""Full-width marks that numbers are also written with."""

CLOSERS = frozenset("\"'”’»›)]}」』）】》〉］*_")
OPENERS = frozenset("\"'“‘«‹([{「『（【《〈［*_")

_IDEOGRAPHIC = re.compile(r"[\u3000-\u30FF\u3400-\u9FFF\uF900-\uFAFF\uFF00-\uFFEF]")
_DEVANAGARI = re.compile(r"[\u0900-\u097F]")


def ideographic(character: str) -> bool:
    """Whether it is of a script that is written without spaces and has its own full-width punctuation."""
    return _IDEOGRAPHIC.match(character) is not None


def stop_after(character: str) -> str:
    """The full stop of the script that the character is of."""
    if ideographic(character):
        return "。"
    return "।" if _DEVANAGARI.match(character) else "."


def comma_after(character: str) -> str:
    """What stands between two things of a list in the script that the character is of."""
    return "、" if ideographic(character) else ", "
