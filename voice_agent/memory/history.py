"""The window, pure: which turns are in the prompt, which may leave it, and what stands for those that had to.

Whole turns only, so a call never parts from its result. Turns that leave stay in the prompt until a sleeptime job has
dealt with them (the watermark), up to a hard cap; so each message is in the prompt or searchable at every instant, and
normally its gist is in a block before it goes.
"""

from functools import lru_cache
from itertools import chain

import msgspec

from voice_agent.messages import Message
from voice_agent.overflow import stub, tokens_of

START = "0-0"


class WindowTurn(msgspec.Struct, frozen=True):
    """A turn in the window; `id` is its log entry's, empty until it is stored.

    `counted` is what it weighs in tokens by the provider's count, where that is known; `tokens` what it weighs in any
    case, worked out once: windows are weighed with every turn.
    """

    key: str
    messages: tuple[Message, ...]
    id: str = ""
    counted: int | None = None
    tokens: int = 0

    def __post_init__(self) -> None:
        weight = tokens_of(self.messages) if self.counted is None else self.counted
        msgspec.structs.force_setattr(self, "tokens", weight)


class Buffer(msgspec.Struct, frozen=True):
    """When turns leave: beyond `most` messages, the oldest go until `least` or fewer are left.

    The same holds beyond so many `tokens`, of which half are left; what the model has `room` for is never passed.
    `autoclear`: nothing that was said before a turn is in its prompt.
    """

    most: int = 30
    least: int = 15
    tokens: int | None = None
    room: int | None = None
    autoclear: bool = False

    @property
    def cap(self) -> int:
        """Messages that may be in the prompt however far the sleeptime worker is behind."""
        return 2 * self.most

    @property
    def token_cap(self) -> int | None:
        """Tokens that may be."""
        caps = (None if self.tokens is None else 2 * self.tokens, self.room)
        return min((cap for cap in caps if cap is not None), default=None)


def bounds(most: int, least: int, max_tokens: int | None, room: int | None, *, autoclear: bool = False) -> Buffer:
    """The buffer of an agent whose model has `room` for so many tokens of conversation (None: nobody knows)."""
    limits = (max_tokens, None if room is None else room * 3 // 4)
    tokens = min((limit for limit in limits if limit is not None), default=None)
    return Buffer(most, least, tokens, room, autoclear)


@lru_cache(1 << 15)
def order(entry_id: str) -> tuple[int, int]:
    """Log entry ids (`ms-n`) as they follow each other; a turn that is not stored yet comes last."""
    if not entry_id:
        return (1 << 64, 0)
    ms, _, n = entry_id.partition("-")
    return (int(ms), int(n or 0))


def after(turns: tuple[WindowTurn, ...], entry_id: str) -> tuple[WindowTurn, ...]:
    """The turns that follow a log entry."""
    if entry_id == START:  # as it is most of the time, and before every request
        return turns
    border = order(entry_id)
    return tuple(turn for turn in turns if order(turn.id) > border)


def evict(turns: tuple[WindowTurn, ...], leaving: str, buffer: Buffer) -> str | None:
    """The entry up to which turns should leave now, or None.

    `leaving` is as far as eviction was asked for already: what is on its way out does not count, so that the window is
    cut in large steps and not turn by turn. A turn that is not stored yet can't leave, nor can the newest one.
    """
    half = None if buffer.tokens is None else buffer.tokens // 2
    return _border(after(turns, leaving), (buffer.most, buffer.least), (buffer.tokens, half))


def hide(turns: tuple[WindowTurn, ...], hidden: str, buffer: Buffer) -> str:
    """The entry up to which turns are out of the prompt though no job has dealt with them: the hard cap.

    Passing the cap hides down to the buffer's maximum, again in one large step.
    """
    shown = after(turns, hidden)
    return _border(shown, (buffer.cap, buffer.most), (buffer.token_cap, buffer.tokens)) or hidden


def drop(turns: tuple[WindowTurn, ...], shown: tuple[WindowTurn, ...], dropped: int, hidden: str) -> str:
    """The entry up to which turns are out of the prompt, once the first `dropped` messages of `shown` were too many.

    `turns` is the window as it is now: some of what was shown may have been stored since, or have left it.
    """
    ids = {turn.key: turn.id for turn in turns}
    for turn in shown:
        dropped -= len(turn.messages)
        entry_id = ids.get(turn.key, turn.id)
        if dropped < 0 or not entry_id:
            break
        hidden = max(hidden, entry_id, key=order)
    return hidden


def prompt(turns: tuple[WindowTurn, ...], hidden: str) -> tuple[Message, ...]:
    """The messages that go to the model: a stub for hidden turns, then the rest."""
    shown = after(turns, hidden)
    gone = turns[: len(turns) - len(shown)]
    messages = tuple(chain.from_iterable(turn.messages for turn in shown))
    if not gone:
        return messages
    at = max((message.at for turn in gone for message in turn.messages), default=0.0)
    return (stub(_count(gone), at), *messages)


def _border(
    turns: tuple[WindowTurn, ...], messages: tuple[int, int], tokens: tuple[int | None, int | None]
) -> str | None:
    """The last of the oldest turns that must go, so that what passes its (bound, aim) comes down to the aim."""
    left, weight = _count(turns), sum(turn.tokens for turn in turns) if tokens[0] is not None else 0
    aim = messages[1] if left > messages[0] else left
    light = tokens[1] if tokens[0] is not None and tokens[1] is not None and weight > tokens[0] else weight
    if left <= aim and weight <= light:
        return None
    last: str | None = None
    for turn in turns[:-1]:
        if (left <= aim and weight <= light) or not turn.id:
            break
        left -= len(turn.messages)
        weight -= turn.tokens
        last = turn.id
    return last


def _count(turns: tuple[WindowTurn, ...]) -> int:
    return sum(len(turn.messages) for turn in turns)
