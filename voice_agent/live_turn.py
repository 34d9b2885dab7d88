"""What a session has to do, the turn with which it is doing it, and where it tells of it."""

import asyncio
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from voice_agent import events as ev
from voice_agent.messages import Message
from voice_agent.run import Inbox
from voice_agent.store.base import TurnRef
from voice_agent.turn import Turn
from voice_agent.turn_setup import TurnSetup


@dataclass(frozen=True)
class Work:
    """Something to be done in its order: answer the user, say given `words`, or keep messages `silent`ly.

    `guard`: speech that ignores interruptions. `received_at` is the clock's `now` at which it came.
    """

    turn_id: str
    ref: TurnRef
    opening: tuple[Message, ...]
    received_at: float
    revision: int
    words: tuple[str, ev.SpeechKind] | None
    silent: bool
    guard: bool

    @property
    def answers(self) -> bool:
        """It answers words of the user's, which more words can join."""
        return self.words is None and not self.silent

    def with_words(self, event: ev.UserSpoke) -> "Work":
        """A later revision of the same turn id replaces the words, another id's words are added to them."""
        first = self.opening[-1]
        if event.turn_id == self.turn_id:
            text, revision = event.text, event.revision
        else:
            text, revision = f"{first.text} {event.text}", self.revision + 1
        opening = (*self.opening[:-1], msgspec.structs.replace(first, text=text))
        return replace(self, opening=opening, revision=revision)


class Sink(Protocol):
    """Where a session's events go. Neither call may block."""

    def emit(self, event: ev.TurnEvent) -> None:
        """Send the event after those before it."""
        ...

    def recall(self, turn_id: str) -> int:
        """Take back the turn's speech that has not left yet; returns its length in code points."""
        ...


class Host(Protocol):
    """The session, as its live turn sees it."""

    def on_turn_event(self, live: "LiveTurn", event: ev.TurnEvent) -> None:
        """The turn tells something."""
        ...

    def on_step(self, live: "LiveTurn", step: ev.SaveStep) -> None:
        """A step is complete."""
        ...

    def on_late(self, finished: ev.ToolFinished, output: str) -> None:
        """A tool that outlived the turn has finished."""
        ...


class LiveTurn:
    """A turn under way; the run's listener. `over` is set when it has ended, stored or not."""

    def __init__(self, work: Work, setup: TurnSetup, host: Host) -> None:
        self.work = work
        self.turn = Turn(setup)
        self.inbox = Inbox()
        self.over = asyncio.Event()
        self._host = host

    def on_event(self, event: ev.TurnEvent) -> None:
        self._host.on_turn_event(self, event)

    def on_step(self, step: ev.SaveStep) -> None:
        self._host.on_step(self, step)

    def on_late(self, finished: ev.ToolFinished, output: str) -> None:
        self._host.on_late(finished, output)
