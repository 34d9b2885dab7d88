"""Whether what the caller says while the agent speaks is meant to interrupt it, or only shows that they listen."""

import math
import re
import unicodedata
from functools import lru_cache

# Scripts that put no space between words, and which part of a word a sign of theirs is, roughly: in twelfths.
_UNSPACED = (
    (6, re.compile(r"[\u3400-\u9FFF\uF900-\uFAFF\U00020000-\U0003FFFF]")),  # Chinese
    (4, re.compile(r"[\u3041-\u30FF\u31F0-\u31FF]")),  # kana
    (3, re.compile(r"[\u0E00-\u0EFF\u1000-\u109F\u1780-\u17FF]")),  # Thai, Lao, Burmese, Khmer
)
_JOINTS = re.compile(r"(?<=\w)[-\u2010\u2011](?=\w)|(?<=\d)[.,:](?=\d)")
_APOSTROPHE = re.compile(r"['\u2019\u02BC]")


def interrupts(text: str, min_words: int, backchannels: tuple[str, ...], *, final: bool = True) -> bool:
    """Whether these words are at least so many, and more than a row of backchannels. Without a word nothing interrupts.

    Case, punctuation and hyphens make no difference. In a script that puts no space between words they are estimated.
    Those that are not `final` may still become a backchannel: its beginning does not interrupt.
    """
    if min_words <= 1 and not backchannels:  # as nearly always
        return any(map(str.isalnum, text))
    words, known = _signs(text, joined=True), _known(backchannels)
    if not words or _count(words) < min_words:
        return False
    return not any(_is_row(signs, known, final=final) for signs in (words, _signs(text)))


def _signs(text: str, *, joined: bool = False) -> tuple[str, ...]:
    """The words of a text, folded; each sign by itself in a script without spaces.

    The parts of "uh-huh" are two words, unless `joined`.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    folded = _JOINTS.sub("" if joined else " ", _APOSTROPHE.sub("", folded))
    letters = "".join(sign if sign.isalnum() or unicodedata.category(sign)[0] == "M" else " " for sign in folded)
    for _, script in _UNSPACED:
        letters = script.sub(r" \g<0> ", letters)
    return tuple(word for word in letters.split() if any(sign.isalnum() for sign in word))


def _count(words: tuple[str, ...]) -> int:
    """How many words they are to a listener."""
    twelfths = sum(next((part for part, script in _UNSPACED if script.match(word)), 12) for word in words)
    return math.ceil(twelfths / 12)


@lru_cache(maxsize=64)
def _known(backchannels: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    """Each as a recogniser may write it: "uh-huh", "uh huh", "uhhuh"."""
    split = {_signs(phrase) for phrase in backchannels}
    return frozenset(form for words in split for form in (words, ("".join(words),)))


def _is_row(words: tuple[str, ...], known: frozenset[tuple[str, ...]], *, final: bool) -> bool:
    """Whether the words are known phrases, one after the other; if they are not `final`, the last may have begun."""
    lengths = {len(phrase) for phrase in known}
    borders = {0}
    for at in range(len(words)):
        if at in borders:
            borders |= {at + length for length in lengths if words[at : at + length] in known}
    return len(words) in borders or (
        not final and any(_begins(words[at:], phrase) for at in borders if at < len(words) for phrase in known)
    )


def _begins(words: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    """Whether the phrase may become of the words, the last of which may be half a word."""
    last = len(words) - 1
    return last < len(phrase) and words[:last] == phrase[:last] and phrase[last].startswith(words[last])
