"""An agent's secrets, as its tools are given them: they are not printed, and can be masked in whatever tools bring."""

import html
import json
import re
import shlex
from base64 import b64encode
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from urllib.parse import quote, quote_plus

from voice_agent.tool_definitions import MASK

_SHORT = 6
_NESTED = 3
_ESCAPED = re.compile("%[0-9A-F]{2}")


class Secrets(Mapping[str, str]):
    """The secrets' values by their names. How it is printed shows no value."""

    def __init__(self, values: Mapping[str, str] = MappingProxyType({})) -> None:
        self._values = dict(values)
        forms = {form for value in self._values.values() for form in _forms(value) if form}
        # The longest first: one secret may begin like another.
        self._forms = sorted(forms, key=len, reverse=True)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self._values)})"

    def masked(self, text: str) -> str:
        """`text` with `***` for every value, however it is written: as in JSON, Python, URLs, HTML, a shell, or base64.

        A value of a few characters is masked only where it stands alone: it may well be part of other words.
        """
        found = [form for form in self._forms if form in text]
        if not found:
            return text
        return re.sub("|".join(map(_pattern, found)), MASK, text)


NO_SECRETS = Secrets()


def _forms(value: str) -> set[str]:
    """The value, and how it reads after what programs do to text."""
    in_urls = {quote(value), quote(value, safe=""), quote_plus(value)}
    forms = {
        value,
        " ".join(value.split()),
        repr(value)[1:-1],
        *_in_json(value),
        html.escape(value),
        shlex.quote(value).strip("'"),
        *in_urls,
        *(_ESCAPED.sub(lambda code: code[0].lower(), each) for each in in_urls),
    }
    return forms if len(value) < _SHORT else forms | {b64encode(value.encode()).decode().rstrip("=")}


def _in_json(value: str) -> set[str]:
    """In a string of a document, which may itself stand in a string of another: so are the arguments of calls."""
    forms = {value}
    for _ in range(_NESTED):
        forms |= {json.dumps(form, ensure_ascii=plain)[1:-1] for form in forms for plain in (True, False)}
    return forms


def _pattern(form: str) -> str:
    plain = re.escape(form)
    return plain if len(form) >= _SHORT else rf"(?<!\w){plain}(?!\w)"
