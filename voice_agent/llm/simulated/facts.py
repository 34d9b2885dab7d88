"""What the simulated model reads about a person out of what they say, and how it rewrites its memory of them.

A fact has a key, and a later one of the same key takes the place of an earlier one; lines of other making are kept.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

import msgspec

_NAME = r"(?!(?i:not|no|unknown|a|the)\b)([^\W\d_][\w'-]*(?: [^\W\d_a-z][\w'-]*){0,2})"
_REST = r"([^,.;!?]+?)(?=\s+(?:and|but|because|since|now|any ?more|these days)\b|\s*[,.;!?]|\s*$)"
_NOTHING = re.compile(r"(?:it|that|this|you|them|him|her|how|what)\b", re.IGNORECASE)
_VALUE_CHARS = 80


class Fact(msgspec.Struct, frozen=True):
    """One thing known of a person; `line` is None if it holds no more."""

    key: str
    line: str | None


def _kin(found: re.Match[str]) -> Fact:
    return Fact(f"kin {found[1].lower()}", f"Their {found[1].lower()} is called {_proper(found[2])}.")


def _likes(found: re.Match[str]) -> Fact:
    return Fact(f"likes {found[1].lower()}", f"They like {found[1]}.")


def _dislikes(found: re.Match[str]) -> Fact:
    return Fact(f"likes {found[1].lower()}", f"They do not like {found[1]}.")


# Where two find something in the same sentence, both hold.
_SPOKEN: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Fact]], ...] = (
    (
        re.compile(
            rf"(?i:\bmy name(?:'s| is)(?: actually| now)?|\bcall me|\bi am called|\bi'm called|\bi am named) {_NAME}"
        ),
        lambda found: Fact("name", f"Their name is {_proper(found[1])}."),
    ),
    (
        re.compile(rf"(?i:\bi (?:now |currently |still )?live in|\bi (?:have |just )*moved to) {_REST}"),
        lambda found: Fact("home", f"They live in {found[1]}."),
    ),
    (re.compile(rf"(?i:\bi (?:don'?t|do not|no longer) live in) {_REST}"), lambda _: Fact("home", None)),
    (
        re.compile(rf"(?i:\bi (?:now )?work as|\bi'm working as|\bi am working as) {_REST}"),
        lambda found: Fact("work", f"They work as {found[1]}."),
    ),
    (re.compile(rf"(?i:\bi (?:don'?t|do not|no longer) work as) {_REST}"), lambda _: Fact("work", None)),
    (re.compile(rf"(?i:\bi (?:really |also |do )?(?:like|love|enjoy)) {_REST}"), _likes),
    (re.compile(rf"(?i:\bi (?:don'?t|do not|no longer|never) (?:like|love|enjoy)|\bi hate) {_REST}"), _dislikes),
    (re.compile(rf"(?i:\bmy) ([a-z]+)(?i:'s name is| is called| is named) {_NAME}"), _kin),
)
_WRITTEN: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"Their name is .+\."), lambda _: "name"),
    (re.compile(r"They live in .+\."), lambda _: "home"),
    (re.compile(r"They work as .+\."), lambda _: "work"),
    (re.compile(r"They (?:do not )?like (.+)\."), lambda found: f"likes {found[1].lower()}"),
    (re.compile(r"Their (\w+) is called .+\."), lambda found: f"kin {found[1]}"),
)


@lru_cache(maxsize=1024)
def read_facts(words: str) -> tuple[Fact, ...]:
    """The facts in what a person said, in the order in which they said them."""
    text = words.replace("\u2019", "'")
    found = sorted(
        ((match.start(), place, match) for place, (seen, _) in enumerate(_SPOKEN) for match in seen.finditer(text)),
        key=lambda each: each[:2],
    )
    return tuple(
        _SPOKEN[place][1](match)
        for _, place, match in found
        if not _NOTHING.match(match[match.lastindex or 0]) and len(match[0]) <= _VALUE_CHARS
    )


def rewrite(old: str, facts: Iterable[Fact], limit: int) -> str:
    """The memory of a person with these facts in it; if it has more than `limit` characters, the oldest lines go."""
    lines = {_key(line): line for line in old.splitlines() if line.strip()}
    for fact in facts:
        if fact.line is None:
            lines.pop(fact.key, None)
        else:
            lines[fact.key] = fact.line
    return fit(list(lines.values()), limit)


def fit(lines: list[str], limit: int) -> str:
    """The lines as one text of at most `limit` characters, without the oldest if need be."""
    kept = list(lines)
    while kept and len("\n".join(kept)) > limit:
        del kept[0]
    return "\n".join(kept)


def _key(line: str) -> str:
    for pattern, key in _WRITTEN:
        found = pattern.fullmatch(line.strip())
        if found:
            return key(found)
    return f"line {line}"


def _proper(name: str) -> str:
    """A name as it is written, where a recogniser has put it in small letters."""
    return name.title() if name.islower() and name.isalpha() else name
