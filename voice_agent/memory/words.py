"""Text to search terms, the same way for what is kept and for what is asked.

Scripts that put no space between words are cut into characters and pairs of them; accents are dropped, because
recognisers and keyboards leave them out.
"""

import re
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache

from voice_agent.memory.lemmas import stem

# Thai, Lao, Burmese, Khmer, kana, Han and Hangul.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
# Vowel signs and points that are letters to those who read them and no word characters to `re`.
_SIGNS = "\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
_LETTER = rf"(?:(?![{_UNSPACED}])[^\W_]|[{_SIGNS}])"
_PIECE = re.compile(
    rf"(?P<run>[{_UNSPACED}]+)|(?P<word>{_LETTER}+(?:['\u2019]{_LETTER}+)*)"
    r"|(?P<picture>[\u2190-\u2bff\U0001f000-\U0001faff])"
)
_ASCII = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)")
_STOP_WEIGHT = 0.2
_MARKS = re.compile("[\u0300-\u036f]")

# What a question is made of besides its subject, and what people say before they come to it.
_STOP_WORDS = """
a about after all also am an and any are as at be because been before being but by can could did do does doing done
during each else ever for from had has have having he her hers herself him himself his how i if in into is it its itself
just let may me might mine more most much must my myself no nor not of on once one or other our ours ourselves out own
shall she should so some such than that the their theirs them themselves then there these they this those through to
too up upon us very was we were what whatever when where whether which while who whom whose why will with would you
your yours yourself
im ive id ill youre youve youd youll hes shes its were theyre theyve theyd theyll weve wed well isnt arent wasnt werent
dont doesnt didnt havent hasnt hadnt wont wouldnt cant couldnt shouldnt thats whats whos wheres hows theres lets
ah eh er erm gonna gotta hey hi hm hmm huh kinda like mhm oh ok okay please quick question remember remind
right sure tell thank thanks uh uhm um wait wanna wonder wondering yeah yep yes
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def words(text: str) -> list[str]:
    """The words of a text, folded: lower case, no apostrophes, no accents."""
    if text.isascii():
        found = _ASCII.findall(text.lower())
        return [_plain(word) if "'" in word else word for word in found]
    text = unicodedata.normalize("NFKD", text).casefold()
    text = unicodedata.normalize("NFC", _MARKS.sub("", text))
    out: list[str] = []
    for piece in _PIECE.finditer(text):
        if piece["run"]:
            out += _cut(piece["run"])
        else:
            out.append(_plain(piece[0]))
    return out


@lru_cache(maxsize=1 << 16)
def term(word: str) -> str:
    """The term under which a word of `words` is indexed."""
    ordinal = _ORDINAL.fullmatch(word)
    return ordinal[1] if ordinal else stem(word)


def terms(text: str) -> list[str]:
    """The terms of a text, stop words included."""
    return [term(word) for word in words(text)]


def query_terms(text: str) -> dict[str, float]:
    """What a question asks for: its terms with their weights. Stop words count a little: one may be all it has."""
    weights: dict[str, float] = {}
    for word in words(text):
        weights.setdefault(term(word), _STOP_WEIGHT if word in STOP_WORDS else 1.0)
    return weights


def date_terms(at: float) -> list[str]:
    """Day, month and year of a moment (seconds since the epoch, UTC) as they are said."""
    moment = datetime.fromtimestamp(at, UTC)
    return [str(moment.day), term(f"{moment:%B}".lower()), str(moment.year)]


STOP_TERMS = frozenset(map(term, STOP_WORDS))


def _plain(word: str) -> str:
    """Without apostrophes, nor the possessive's s."""
    word = word.replace("\u2019", "'")
    return word.removesuffix("'s").replace("'", "")


def _cut(run: str) -> list[str]:
    return [*run, *(run[place : place + 2] for place in range(len(run) - 1))]
