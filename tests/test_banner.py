"""What `serve` prints once it is ready."""

from msgspec.structs import replace

from gateway.banner import Facts, banner
from voice_agent.store.base import Health

FACTS = Facts(
    command="voice-gateway",
    url="http://127.0.0.1:8080",
    data="/var/lib/voice",
    health=Health("Valkey 9.1.2", "disk", "/var/lib/voice/store.sock"),
    model="simulated",
    base_url="https://api.openai.com/v1",
    locked=False,
    version="0.1.0",
)


def test_everything_a_newcomer_needs_is_there() -> None:
    """Address, data, durability, model, keys, and three ways to talk, the shortest that work."""
    lines = banner(FACTS).plain.splitlines()
    told = dict(line.split(maxsplit=1) for line in lines if line.startswith("  "))
    assert lines[1] == "voice-gateway 0.1.0 is ready at http://127.0.0.1:8080"
    assert told["data"] == "/var/lib/voice"
    assert told["durability"].startswith("disk: ")
    assert "Valkey 9.1.2" in told["durability"]
    assert told["model"].startswith("simulated")
    assert told["keys"].startswith("not required")
    assert told["talk"] == "voice-gateway chat"
    assert told["websocket"].endswith("ws://127.0.0.1:8080/v1/agents/demo/session")
    assert "http://127.0.0.1:8080/" in lines[lines.index(f"  {'talk':<13}voice-gateway chat") + 1]


def test_it_tells_another_address_a_real_model_and_locked_doors() -> None:
    """What differs from the defaults shows up in the commands to copy."""
    text = banner(replace(FACTS, url="http://10.0.0.1:9000", model="openai/gpt-6-luna", locked=True)).plain
    assert "voice-gateway chat --url http://10.0.0.1:9000 --key KEY\n" in text
    assert "openai/gpt-6-luna at https://api.openai.com/v1\n" in text
    assert 'ws://10.0.0.1:9000/v1/agents/demo/session -H "Authorization: Bearer KEY"\n' in text
    assert "required\n" in text


def test_a_store_that_forgets_is_told_loudly() -> None:
    """Nobody overlooks it."""
    health = Health("Redis 7.4.0", "none", "localhost:6379")
    assert "NOTHING survives" in banner(replace(FACTS, health=health)).plain
