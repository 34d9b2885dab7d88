"""What `voice-gateway serve` says once it is ready: where it is, how safe the words are, and how to talk to it."""

import msgspec
from rich.console import Console, ConsoleRenderable, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from voice_agent.store.base import Durability, Health

_DURABILITY: dict[Durability, str] = {
    "disk": "on disk before a turn counts as ended",
    "process": "a crash of the server's machine can lose the last second",
    "replica": "on a replica before a turn counts as ended",
    "none": "NOTHING survives a restart of the server",
    "unknown": "the server does not tell how it keeps data",
}


class Facts(msgspec.Struct, frozen=True):
    """What the banner tells. `base_url` is the provider's; `locked` says that callers need a key."""

    url: str
    data: str
    health: Health
    model: str
    base_url: str
    locked: bool
    version: str


def banner(facts: Facts) -> ConsoleRenderable:
    """The banner, which a console prints in colour or plain."""
    table = Table.grid(padding=(0, 2))
    for label, told in _lines(facts):
        table.add_row(Text(label, style="dim"), Text(told))
    title = Text.assemble("voice-gateway ", facts.version, " is ready at ", (facts.url, "bold green"))
    return Group(Text(), title, Padding(table, (1, 0, 1, 2)), Text("Ctrl-C stops it.", style="dim"), Text())


def show(facts: Facts) -> None:
    """Print it on standard output; lines that a person may copy are never broken."""
    Console(highlight=False, soft_wrap=True).print(banner(facts), no_wrap=True, overflow="ignore", crop=False)


def _lines(facts: Facts) -> list[tuple[str, str]]:
    health = facts.health
    socket = f"ws{facts.url.removeprefix('http')}/v1/agents/demo/session"
    key, header = (" --key KEY", ' -H "Authorization: Bearer KEY"') if facts.locked else ("", "")
    return [
        ("data", facts.data),
        ("durability", f"{health.durability}: {_DURABILITY[health.durability]} ({health.engine})"),
        ("model", _model(facts)),
        ("keys", "required" if facts.locked else "not required while none is made (voice-gateway keys create)"),
        ("", ""),
        ("talk", f"voice-gateway chat --url {facts.url}{key}"),
        ("web page", f"{facts.url}/"),
        ("websocket", f"npx wscat -c {socket}{header}"),
    ]


def _model(facts: Facts) -> str:
    if facts.model == "simulated":
        return "simulated, no network needed (OPENAI_API_KEY brings in OpenAI)"
    return f"{facts.model} at {facts.base_url}"
