"""What a job has to deal with, pure: the pair's messages as numbered lines, and the blocks as they stand."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from voice_agent.agent import Agent
from voice_agent.memory.blocks import ShownBlock, shown_blocks
from voice_agent.memory.history import order
from voice_agent.messages import Message
from voice_agent.prompt import provider_text
from voice_agent.store.base import LoggedTurn, Snapshot

MOST_LINES = 200
MOST_KEPT = 20
_LINE_CHARS = 2000
_SPEAKERS = {"user": "user", "assistant": "agent", "tool": "tool", "context": "note"}


class Line(msgspec.Struct, frozen=True):
    """One message as the sleeptime agent reads it; `id` is the message's, `when` local to the agent, `at` in seconds
    since the epoch.
    """

    id: str
    speaker: str
    when: str
    text: str
    at: float


class Task(msgspec.Struct, frozen=True):
    """What lies between the job's cursor and the entry `cursor_to`.

    `lines` are to be dealt with, `kept` are some of those that come after, to be read only. `start` is the window's.
    """

    lines: tuple[Line, ...]
    kept: tuple[Line, ...]
    blocks: tuple[ShownBlock, ...]
    cursor_from: str
    cursor_to: str
    start: str


def read_task(agent: Agent, snapshot: Snapshot) -> Task:
    """The pair's next task. Far more than a window's worth is dealt with in several, of whole turns each."""
    zone = ZoneInfo(agent.timezone)
    cursor, wanted = order(snapshot.cursor), order(snapshot.wanted)
    cursor_to, cut = snapshot.wanted if wanted > cursor else snapshot.cursor, False
    lines: tuple[Line, ...] = ()
    kept: tuple[Line, ...] = ()
    for turn in snapshot.turns:
        if order(turn.id) <= cursor:
            continue
        if len(kept) >= MOST_KEPT:
            break
        found = _lines(turn, zone)
        cut = cut or bool(lines and len(lines) + len(found) > MOST_LINES)
        if order(turn.id) > wanted or cut:
            kept += found
        else:
            lines, last = lines + found, turn.id
    return Task(
        lines=lines,
        kept=kept[:MOST_KEPT],
        blocks=shown_blocks(agent, snapshot.blocks),
        cursor_from=snapshot.cursor,
        cursor_to=last if cut else cursor_to,
        start=snapshot.start,
    )


def _lines(turn: LoggedTurn, zone: ZoneInfo) -> tuple[Line, ...]:
    """What was said: not what only filled a wait."""
    numbered = ((n, message) for n, message in enumerate(turn.record.messages) if not message.filler)
    return tuple(_line(f"{turn.id}.{n}", message, zone) for n, message in numbered if provider_text(message).strip())


def _line(message_id: str, message: Message, zone: ZoneInfo) -> Line:
    when = datetime.fromtimestamp(message.at, zone).strftime("%Y-%m-%d %H:%M")
    text = provider_text(message)[:_LINE_CHARS]
    return Line(message_id, _SPEAKERS[message.role], when, text, message.at)
