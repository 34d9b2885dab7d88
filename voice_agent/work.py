"""What a session has to do, in its order: answer the user, say given words, keep a note."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import msgspec

from voice_agent import events as ev
from voice_agent.llm.base import Speaker
from voice_agent.messages import Message
from voice_agent.run import Inbox
from voice_agent.store.base import TurnRef
from voice_agent.tools.base import ToolRunner


class HeadStart(Protocol):
    """What was done of a work before it began."""

    @property
    def call_prefix(self) -> str | None:
        """What the ids of its calls are to begin with; None: whatever sets them apart."""
        ...

    def model(self, model: Speaker) -> Speaker:
        """The model, which is not asked for what is there already."""
        ...

    def tools(self, runner: ToolRunner) -> ToolRunner:
        """The runner, which does not run what was run already."""
        ...

    def close(self) -> None:
        """The work is over, or will never begin."""
        ...


@dataclass(frozen=True, eq=False)
class Work:
    """One thing to do. `received_at` is the clock's `now` at which it came.

    `inbox` takes events for its turn from the first moment, begun or not; `cut` says that one of them ends it, so that
    no more words may join. `texts` are the (id, words) that an answer is to: more words add to them, a later revision
    of one replaces it. `speech` are the words to say, which ignore interruptions if they are to be `guard`ed.
    `resumes`: the turn that it goes on with, `before`: the calls that were made there. `leaves`: how the call is to end
    after it. `ahead`: what was done of it before.
    """

    kind: Literal["answer", "say", "note", "remind", "resume"]
    turn_id: str
    ref: TurnRef
    opening: tuple[Message, ...]
    received_at: float
    revision: int = 0
    texts: tuple[tuple[str, str], ...] = ()
    speech: tuple[str, ev.SpeechKind] | None = None
    guard: bool = False
    cut: bool = False
    resumes: str | None = None
    before: tuple[Message, ...] = ()
    leaves: ev.Leaving | None = None
    ahead: HeadStart | None = None
    inbox: Inbox = field(default_factory=Inbox)

    @property
    def takes_words(self) -> bool:
        """Whether a further text can join it, as far as it knows."""
        return self.kind == "answer" and not self.cut

    @property
    def user_words(self) -> str:
        """The caller's words that it answers; none if they have said nothing."""
        return " ".join(message.text for message in self.opening if message.role == "user")

    def with_words(self, event: ev.UserSpoke) -> "Work":
        """The same work with one more text, or with one replaced."""
        texts = dict(self.texts) | {event.turn_id or f"+{len(self.texts)}": event.text}
        message = msgspec.structs.replace(self.opening[-1], text=" ".join(texts.values()))
        return replace(
            self,
            texts=tuple(texts.items()),
            opening=(*self.opening[:-1], message),
            revision=max(self.revision + 1, event.revision),
        )


class Agenda:
    """What waits to be done, in order. One task awaits `changes_in`; everybody else only calls."""

    def __init__(self) -> None:
        self._works: list[Work] = []  # few, and a deque takes more than a kibibyte with nothing in it
        self._woken = asyncio.Event()

    @property
    def empty(self) -> bool:
        return not self._works

    @property
    def answer(self) -> Work | None:
        """The last answer that has not begun; setting it replaces it in its place."""
        return next((work for work in reversed(self._works) if work.kind == "answer"), None)

    @answer.setter
    def answer(self, work: Work) -> None:
        place = max(i for i, other in enumerate(self._works) if other.kind == "answer")
        self._works[place] = work

    def add(self, work: Work) -> None:
        """Do this after all that waits."""
        self._works.append(work)
        self._woken.set()

    def take(self) -> Work | None:
        """The next to be done, if there is one."""
        return self._works.pop(0) if self._works else None

    def clear(self) -> tuple[Work, ...]:
        """Nothing waits any more; returns what did."""
        waiting, self._works = tuple(self._works), []
        for work in waiting:
            if work.ahead is not None:
                work.ahead.close()
        return waiting

    def wake(self) -> None:
        """Let `changes_in` return, to look again at when something is due."""
        self._woken.set()

    async def changes_in(self, seconds: float | None) -> bool:
        """Whether something is added, or `wake` called, in so many seconds; returns when it is. None: for ever."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True
