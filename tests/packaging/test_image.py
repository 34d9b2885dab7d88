"""The image: what is in it, what it demands, and the product as `docker run` starts it."""

import re
import subprocess
from importlib.metadata import distributions
from pathlib import Path
from zipfile import ZipFile

from tests.packaging.containers import Container, free_port
from tests.packaging.image import TREE, Image, sources, stages
from tests.packaging.talk import KEY, ask, refused
from tests.stores import server

PACKAGES = ("gateway", "voice_agent", "sleeptime")


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(image: Image) -> None:
    """Scripts of the store and files of the web page too; tests and benchmarks not."""
    (wheel,) = (image.root / "src" / "dist").glob("*.whl")
    packed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    ours = (path for package in PACKAGES for path in (TREE / package).rglob("*") if path.is_file())
    assert packed == {str(path.relative_to(TREE)) for path in ours if path.suffix != ".pyc"}
    assert {"voice_agent/store/scripts.lua", "gateway/console/index.html"} <= packed


def test_the_image_has_the_versions_of_the_constraints_and_no_more(image: Image) -> None:
    """Nothing for developers, no pip, and no version that was not tested."""
    (folder,) = (image.root / "opt").glob("voice-gateway/lib/python3*/site-packages")
    installed = {(_plain(one.name), one.version) for one in distributions(path=[str(folder)])}
    pins = (line.split("==") for line in (TREE / "constraints.txt").read_text().splitlines())
    assert {name for name, _ in installed - {(_plain(name), version) for name, version in pins}} == {
        "voice-agent-gateway"
    }
    assert not {name for name, _ in installed} & {"pip", "pytest", "mypy", "anthropic", "openai"}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_image_is_careful() -> None:
    """Another user than root, commands that get signals, no secret, and nothing copied that is ignored."""
    image = Image(Path("/"))
    user, group = image.last("USER").split(":")
    assert int(user) > 0
    made = image.last("RUN")
    assert f"useradd --uid {user} --gid {group}" in made
    assert f"install --directory --owner {user} --group {group} --mode 700 {image.last('WORKDIR')}" in made
    assert image.words("VOLUME") == [image.last("WORKDIR")] == [image.environment["VOICE_DATA"]]
    assert image.words("ENTRYPOINT") == ["voice-gateway"]
    assert image.last("STOPSIGNAL") == "SIGTERM"
    assert not [name for name in image.environment if "KEY" in name or "SECRET" in name]
    assert [step.rest.split()[0] for stage in stages() for step in stage if step.word == "FROM"] == [
        "python:3.13-slim"
    ] * 2
    ignored = (TREE / ".dockerignore").read_text().splitlines()
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == set(sources())


async def test_without_a_key_it_does_not_open_the_door(image: Image, tmp_path: Path) -> None:
    """A container listens to everybody, so the gateway says what is missing and ends with code 2."""
    log = tmp_path / "log"
    async with server(tmp_path, "--appendonly", "yes") as url:
        container = Container(image, tmp_path, {"VOICE_PORT": "0", "REDIS_URL": url})
        assert await container.ends_with([*image.words("ENTRYPOINT"), "gateway"], log) == 2
    assert "there is no API key: set VOICE_API_KEY" in log.read_text()


async def test_all_in_one(image: Image, tmp_path: Path) -> None:
    """`docker run`: store, gateway and worker in one container, healthy by its own check, until it is asked to stop."""
    home = tmp_path / "home"
    home.mkdir()
    port = free_port()
    container = Container(image, home, {"VOICE_API_KEY": KEY, "VOICE_PORT": str(port), "VOICE_HOST": "127.0.0.1"})
    before = image.files()
    assert await container.ends_with(image.health) == 1
    command = [*image.words("ENTRYPOINT"), *image.words("CMD")]
    async with container.running(command, image.health):
        assert await ask(port, "My name is Ann.") == "Nice to meet you, Ann."
        assert await refused(port) == 401
    async with container.running(command, image.health):
        assert await ask(port, "What is my name?") == "Your name is Ann."
    assert image.files() == before
    assert (image.root / "data" / "engine").exists()


def test_it_runs_from_any_folder(image: Image, tmp_path: Path) -> None:
    """As a module too, with no home and a directory of the product's name in the way."""
    (tmp_path / "voice_agent").mkdir()
    for words in (["voice-gateway"], ["python", "-P", "-m", "gateway"]):
        program = image.root / "opt/voice-gateway/bin" / words[0]
        for folder in ("/", tmp_path):
            told = subprocess.run(
                [program, *words[1:], "--version"], cwd=folder, env={}, capture_output=True, check=True
            )
            assert told.stdout.decode().startswith("voice-gateway 0.")
