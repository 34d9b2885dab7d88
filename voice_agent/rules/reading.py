"""A tool's output and a rule's key as values that can be compared: truth value, whole number, number, text."""

import math
import re

_WHOLE = re.compile(r"[+-]?[0-9]{1,40}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_LONGEST_NUMBER = 100
Reading = tuple[str, bool | int | float | str]


def read_value(text: str) -> Reading:
    """What a text stands for, with the kind of it: `1` and `1.0` are one number, and `true` is no `1`.

    White space around it does not count, nor does how a truth value is capitalised; in other text all does.
    """
    bare = text.strip()
    if len(bare) > _LONGEST_NUMBER:
        return ("text", bare)
    if bare.lower() in ("true", "false"):
        return ("truth", bare.lower() == "true")
    if _WHOLE.fullmatch(bare):
        return ("number", int(bare))
    if _NUMBER.fullmatch(bare) and math.isfinite(number := float(bare)):
        return ("number", number)
    return ("text", bare)
