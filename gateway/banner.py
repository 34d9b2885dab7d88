"""What `voice-gateway serve` says once it is ready: where it is, how safe the words are, and how to talk to it."""

import msgspec
from rich.console import Console
from rich.text import Text

from voice_agent.store.base import Durability, Health

DEFAULT_URL = "http://127.0.0.1:8080"
_DURABILITY: dict[Durability, str] = {
    "disk": "on disk before a turn counts as ended",
    "process": "a crash of the server's machine can lose the last second",
    "replica": "on a replica before a turn counts as ended",
    "none": "NOTHING survives a restart of the server",
    "unknown": "the server does not tell how it keeps data",
}


class Facts(msgspec.Struct, frozen=True):
    """What the banner tells. `command` is how a person calls this program from where they are; `base_url` is the
    provider's; `locked` says that callers need a key."""

    command: str
    url: str
    data: str
    health: Health
    model: str
    base_url: str
    locked: bool
    version: str


def banner(facts: Facts) -> Text:
    """The banner, which a console prints in colour or plain."""
    text = Text.assemble("\nvoice-gateway ", facts.version, " is ready at ", (facts.url, "bold green"), "\n\n")
    for label, told in _lines(facts):
        text.append(f"  {label:<13}", style="dim").append(f"{told}\n")
    return text.append("\nCtrl-C stops it.\n", style="dim")


def show(facts: Facts) -> None:
    """Print it on standard output; lines that a person may copy are never broken."""
    Console(highlight=False).print(banner(facts), soft_wrap=True)


def _lines(facts: Facts) -> list[tuple[str, str]]:
    health = facts.health
    socket = f"ws{facts.url.removeprefix('http')}/v1/agents/demo/session"
    key, header = (" --key KEY", ' -H "Authorization: Bearer KEY"') if facts.locked else ("", "")
    where = "" if facts.url == DEFAULT_URL else f" --url {facts.url}"
    return [
        ("data", facts.data),
        ("durability", f"{health.durability}: {_DURABILITY[health.durability]} ({health.engine})"),
        ("model", _model(facts)),
        ("keys", "required" if facts.locked else f"not required while none is made ({facts.command} keys create)"),
        ("talk", f"{facts.command} chat{where}{key}"),
        ("web page", f"{facts.url}/"),
        ("websocket", f"npx wscat -c {socket}{header}"),
    ]


def _model(facts: Facts) -> str:
    if facts.model == "simulated":
        return "simulated, no network needed (OPENAI_API_KEY or ANTHROPIC_API_KEY brings in a real one; or VOICE_MODEL)"
    return f"{facts.model} at {facts.base_url}"
