"""The Dockerfile, read and carried out without Docker: its build stage's steps are run in a folder of their own.

What the folder cannot show is the last stage's RUN, which makes the user. Paths of the image stand below the folder.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

TREE = Path(__file__).parents[2]
# The image's folders that a step or a setting names.
_PLACES = re.compile(r"(?<![\w/.])/(?=(?:opt|data|src)\b)")


class Step(NamedTuple):
    """An instruction of the Dockerfile: its word, its options (`--from=build`), and the rest."""

    word: str
    options: tuple[str, ...]
    rest: str


def stages() -> list[list[Step]]:
    """The Dockerfile's stages, each with its steps in their order."""
    lines = [line for line in (TREE / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    found: list[list[Step]] = []
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if line.strip():
            word, *rest = line.split(maxsplit=1)
            options, rest = _options(rest[0])
            if word == "FROM":
                found.append([])
            found[-1].append(Step(word, options, *rest))
    return found


def _options(text: str) -> tuple[tuple[str, ...], list[str]]:
    found = re.match(r"((?:--\S+\s+)*)(.*)", text)
    assert found is not None
    return tuple(found[1].split()), [found[2].strip()]


class Image(NamedTuple):
    """What the Dockerfile makes, below `root`."""

    root: Path

    def last(self, word: str) -> str:
        """The argument of the last stage's only instruction with this word."""
        (step,) = (step for step in stages()[-1] if step.word == word)
        return step.rest

    def words(self, word: str) -> list[str]:
        """The same in exec form."""
        words: list[str] = json.loads(self.last(word))
        return words

    @property
    def health(self) -> list[str]:
        """The health check's command."""
        kind, command = self.last("HEALTHCHECK").split(maxsplit=1)
        assert kind == "CMD"
        words: list[str] = json.loads(command)
        return words

    @property
    def environment(self) -> dict[str, str]:
        """What every process in it gets."""
        pairs = (pair.split("=", 1) for pair in shlex.split(self.below(self.last("ENV"))))
        return {name: value.replace("$PATH", os.defpath) for name, value in pairs}

    def below(self, text: str) -> str:
        """The text with the image's folders put where they are here."""
        return _PLACES.sub(f"{str(self.root).removesuffix('/')}/", text)

    def files(self) -> dict[Path, int]:
        """Every file of the product's, and when it was written."""
        return {path: path.stat().st_mtime_ns for path in (self.root / "opt").rglob("*")}


def build(root: Path) -> Image:
    """Carry out the build stage below `root`."""
    image = Image(root)
    made, final = stages()
    workdir = root
    for step in made:
        match step.word:
            case "FROM":
                pass
            case "WORKDIR":
                workdir = Path(image.below(step.rest))
                workdir.mkdir()
            case "COPY":
                *sources, target = step.rest.split()
                for source in sources:
                    _copy(TREE / source, workdir / target)
            case "RUN":
                _run(image.below(step.rest), workdir)
            case _:
                raise AssertionError(f"the tests do not know how to carry out {step.word}")
    assert [step.rest.split() for step in final if step.word == "COPY"] == [["/opt/voice-gateway"] * 2]
    (root / "data").mkdir()
    return image


def sources() -> Iterator[str]:
    """What is copied out of the tree."""
    return chain.from_iterable(step.rest.split()[:-1] for step in stages()[0] if step.word == "COPY")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _run(command: str, workdir: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # noqa: TID251 - the image's python is ours
    ended = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=workdir,
        env=os.environ | {"PATH": path},  # noqa: TID251 - how this machine gets at its packages
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
