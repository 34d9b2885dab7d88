"""compose.yaml as Docker reads it, as far as this file's services need it: merged, with its variables filled in."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from tests.packaging.image import TREE

FILE = TREE / "compose.yaml"
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


class Service(NamedTuple):
    """A container to be: `given` is its part of the file."""

    name: str
    given: dict[str, Any]

    @property
    def health(self) -> list[str] | None:
        """The words of its own health check; None: the image's."""
        if "healthcheck" not in self.given:
            return None
        test: list[str] = self.given["healthcheck"]["test"]
        assert test[0] == "CMD"
        return test[1:]

    @property
    def environment(self) -> dict[str, str]:
        """What is set in it; a name without a value is only passed on."""
        return {name: value for name, value in self.given.get("environment", {}).items() if value is not None}

    @property
    def grace_s(self) -> float:
        """The time it has to stop."""
        return float(self.given["stop_grace_period"].removesuffix("s"))


def services(**variables: str) -> dict[str, Service]:
    """The services by name. ValueError with the file's own words if a variable is missing that it demands."""
    document = _filled(YAML(typ="safe").load(FILE), variables)
    return {name: Service(name, given) for name, given in document["services"].items()}


def _filled(part: Any, variables: Mapping[str, str]) -> Any:
    match part:
        case dict():
            return {name: _filled(one, variables) for name, one in part.items()}
        case list():
            return [_filled(one, variables) for one in part]
        case str():
            return _VARIABLE.sub(lambda found: _value(found, variables), part)
        case _:
            return part


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    name, kind, text = found.groups()
    value = variables.get(name)
    if value:
        return value
    if kind == "?":
        raise ValueError(text)
    return text or ""
