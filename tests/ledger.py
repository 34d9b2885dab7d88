"""`python -m tests.ledger`: plays one scripted call in virtual time and prints its ledger, as the README shows it.

A tool that takes long, an interruption that says what was heard, marks before and after the end of a turn.
"""

import asyncio
import sys
from dataclasses import replace
from itertools import groupby
from textwrap import TextWrapper
from typing import Any

from tests.calls import Ear, World, call
from tests.turns import FINISHED
from tests.turns import call as tool_call
from voice_agent import events as ev
from voice_agent.manner import Manner
from voice_agent.messages import Latency
from voice_agent.session import Session
from voice_agent.tools.registry import ToolRegistry, tool

_INDENT = " " * 14
_WRAPPER = TextWrapper(width=116, initial_indent=_INDENT, subsequent_indent=_INDENT)
_ASKED = '{"pre_exec_msg": "Let me look that up for you.", "name": "Ada"}'


@tool(effects="none")
async def find_flight(name: str) -> str:
    """Find a traveller's flight; takes long."""
    await asyncio.sleep(6)
    return f"{name}: AB 123, 14:05, gate 7"


def _spoken(words: str) -> list[Any]:
    """A reply of these words, 0.3 s to the first and 60 ms from each to the next."""
    pieces: list[Any] = [0.3]
    for place, word in enumerate(words.split(" ")):
        pieces += [ev.TextDelta(f" {word}" if place else word), 0.06]
    return [*pieces, FINISHED]


REPLIES: list[list[Any]] = [
    [0.4, tool_call(0, "find_flight", _ASKED), FINISHED],
    _spoken("Your flight **AB 123** leaves at *14:05* from gate **7**."),
    _spoken("Take your passport and [your ticket](https://example.com/t). Be there by 13:30. Have a good flight!"),
    _spoken("A passport and a ticket."),
]


class Airport(World):
    """A process whose agent finds flights."""

    registry = ToolRegistry((find_flight,))


class Book:
    """The call as it went: `ear` has heard the agent, and the caller's own part is noted turn by turn."""

    def __init__(self) -> None:
        self.ear = Ear()
        self.turns: list[str] = []
        self._did: dict[tuple[str, bool], list[tuple[str, str]]] = {}

    def note(self, turn_id: str, what: str, told: str, *, late: bool = False) -> None:
        """Something that the caller did in a turn, or when it had ended already."""
        if turn_id not in self.turns:
            self.turns.append(turn_id)
        self._did.setdefault((turn_id, late), []).append((what, told))

    def sent(self, turn_id: str) -> list[ev.Spoke]:
        """The speech of a turn that has left."""
        return [event for event in self.ear.of(ev.Spoke) if event.turn_id == turn_id]

    def page(self) -> str:
        """The ledger: a paragraph for each turn."""
        return "\n".join(map(self._turn, self.turns))

    def _turn(self, turn_id: str) -> str:
        ended, late = self.ear.ended(turn_id), self._did.get((turn_id, True), [])
        moved = [("heard", event.heard) for event in self.ear.of(ev.TurnHeard) if event.turn_id == turn_id]
        by_kind = groupby(self.sent(turn_id), key=lambda event: event.kind)
        lines = [
            *self._did[turn_id, False],
            ("generated", ended.generated),
            ("sent", " ".join(f"[{kind}] {''.join(event.text for event in said)}" for kind, said in by_kind)),
            ("heard", ended.heard),
            ("latency", _latency(ended.latency)),
            *late,
            *moved,
        ]
        return "".join(_line(turn_id if number == 0 else "", *line) for number, line in enumerate(lines))


def _line(turn: str, what: str, told: str) -> str:
    return f"{turn:<3} {what:<10}{_WRAPPER.fill(told).removeprefix(_INDENT)}\n"


def _latency(made: Latency) -> str:
    parts = " + ".join(f"{part.name} {part.ms:g}" for part in made.parts)
    firsts = f"first speech {made.first_speech:g}, first reply {made.first_reply:g}"
    return f"{parts} = {made.total:g} ms; {firsts}"


async def _talk(book: Book, session: Session, ear: Ear) -> None:
    book.ear = ear
    session.wiring = replace(session.wiring, manner=Manner(spoken=True, sentences=True))
    # A tool takes long, and the caller hears all but the end of what it brought.
    _say(book, session, "t1", "When does my flight leave?")
    await asyncio.sleep(12)
    sent = sum(len(event.text) for event in book.sent("t1"))
    heard = sent - len("from gate 7.")
    session.handle(ev.PlaybackMoved("t1", ev.Mark(chars=heard)))
    book.note("t1", "late mark", f"{heard} of {sent} characters", late=True)
    # The caller cuts in. What has not left by then is taken back.
    _say(book, session, "t2", "And what do I need?")
    await asyncio.sleep(0.7)
    ear.held = []
    await asyncio.sleep(0.3)
    session.handle(ev.UserInterrupted(ev.Mark(text="take your passport"), turn_id="t2"))
    ear.held = None
    book.note("t2", "cuts in", 'having heard "take your passport"')
    await asyncio.sleep(1)
    # All is heard.
    _say(book, session, "t3", "Shorter, please.")
    await asyncio.sleep(2)
    session.handle(ev.PlaybackMoved("t3", done=True))
    book.note("t3", "late mark", "all of it", late=True)


def _say(book: Book, session: Session, turn_id: str, words: str) -> None:
    book.note(turn_id, "caller", words)
    session.handle(ev.UserSpoke(words, turn_id=turn_id))


def play() -> Book:
    """The call, played to its end."""
    book = Book()

    async def caller(session: Session, ear: Ear) -> None:
        await _talk(book, session, ear)

    call(Airport(*REPLIES, voice={"fillers": None}), caller)
    return book


if __name__ == "__main__":
    sys.stdout.write(play().page())
