"""The window, pure: which turns are in the prompt, which may leave it, and what stands for those that had to.

Whole turns only, so a call never parts from its result. Turns that leave stay in the prompt until a sleeptime job has
dealt with them (the watermark), up to a hard cap; so each message is in the prompt or searchable at every instant, and
normally its gist is in a block before it goes.
"""

import msgspec

from voice_agent.messages import Message

START = "0-0"


class WindowTurn(msgspec.Struct, frozen=True):
    """A turn in the window; `id` is its log entry's, empty until it is stored."""

    key: str
    messages: tuple[Message, ...]
    id: str = ""


class Buffer(msgspec.Struct, frozen=True):
    """When turns leave: beyond `most` messages, the oldest go until `least` or fewer are left."""

    most: int = 30
    least: int = 15

    @property
    def cap(self) -> int:
        """Messages that may be in the prompt however far the sleeptime worker is behind."""
        return 2 * self.most


def order(entry_id: str) -> tuple[int, int]:
    """Log entry ids (`ms-n`) as they follow each other; a turn that is not stored yet comes last."""
    if not entry_id:
        return (1 << 64, 0)
    ms, _, n = entry_id.partition("-")
    return (int(ms), int(n or 0))


def after(turns: tuple[WindowTurn, ...], entry_id: str) -> tuple[WindowTurn, ...]:
    """The turns that follow a log entry."""
    border = order(entry_id)
    return tuple(turn for turn in turns if order(turn.id) > border)


def evict(turns: tuple[WindowTurn, ...], leaving: str, buffer: Buffer) -> str | None:
    """The entry up to which turns should leave now, or None.

    `leaving` is as far as eviction was asked for already: what is on its way out does not count, so that the window is
    cut in large steps and not turn by turn. A turn that is not stored yet can't leave, nor can the newest one.
    """
    staying = after(turns, leaving)
    left = _count(staying)
    if left <= buffer.most:
        return None
    last: str | None = None
    for turn in staying[:-1]:
        if left <= buffer.least or not turn.id:
            break
        left -= len(turn.messages)
        last = turn.id
    return last


def hide(turns: tuple[WindowTurn, ...], hidden: str, buffer: Buffer) -> str:
    """The entry up to which turns are out of the prompt though no job has dealt with them: the hard cap.

    Passing the cap hides down to the buffer's maximum, again in one large step.
    """
    shown = after(turns, hidden)
    left = _count(shown)
    if left <= buffer.cap:
        return hidden
    for turn in shown[:-1]:
        if left <= buffer.most or not turn.id:
            break
        left -= len(turn.messages)
        hidden = turn.id
    return hidden


def prompt(turns: tuple[WindowTurn, ...], hidden: str) -> tuple[Message, ...]:
    """The messages that go to the model: a stub for hidden turns, then the rest."""
    shown = after(turns, hidden)
    gone = turns[: len(turns) - len(shown)]
    messages = tuple(message for turn in shown for message in turn.messages)
    if not gone:
        return messages
    count = _count(gone)
    at = max((message.at for turn in gone for message in turn.messages), default=0.0)
    text = f"[{count} earlier messages of this conversation are not shown here; search_memory finds them.]"
    return (Message(role="context", text=text, at=at), *messages)


def _count(turns: tuple[WindowTurn, ...]) -> int:
    return sum(len(turn.messages) for turn in turns)
