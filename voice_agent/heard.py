"""The ledger of a turn's speech: what was generated, how much of it was sent, and how much the caller heard."""

from typing import NamedTuple

import msgspec

from voice_agent.events import Mark
from voice_agent.messages import Message

SPEAKING_RATE = 15.0
"""Code points per second of synthesised speech: about 150 words a minute. Used where no better mark was given."""


class Slot(NamedTuple):
    """Where a piece of speech stands in the turn: the n-th assistant message, its text or the utterance of a call."""

    message: int
    call_id: str | None = None


class Ledger:
    """Offsets are code points over all speech of the turn, in the order it was spoken.

    `played`: the client has said that all of it, as far as it goes, was heard. `moves` counts what was told of how far
    that is.
    """

    def __init__(self) -> None:
        self._pieces: list[tuple[Slot, str]] = []
        self._total = 0
        self._unsent = 0
        self._anchor: tuple[int, float] | None = None
        self._cut: int | None = None
        self.played = False
        self.moves = 0

    def spoke(self, slot: Slot, text: str, now: float) -> None:
        """Speech was handed out."""
        if self._anchor is None or self._spoken_by(now) >= self._total:
            # The voice had caught up: what it says now begins now, however long the silence was.
            self._anchor = (self._total, now)
        self.played = False
        self._pieces.append((slot, text))
        self._total += len(text)

    def resume(self, messages: tuple[Message, ...], now: float) -> None:
        """Take up the speech of finished steps, in the order it was spoken: an utterance precedes its reply's text."""
        said = (message for message in messages if message.role == "assistant")
        for number, message in enumerate(said):
            for call in message.tool_calls:
                if call.heard:
                    self._take_up(Slot(number, call.id), call.heard, now)
            if message.text:
                self._take_up(Slot(number), message.text, now)

    def move(self, mark: Mark | None, *, done: bool, now: float) -> None:
        """The caller has heard up to `mark`, or all of it if `done`. Marks past what was sent count as its end."""
        self.played = done
        self.moves += 1
        if done:
            self._cut = None
        elif mark is not None:
            self._cut = min(self._offset(mark), self._sent)
        else:
            return
        self._anchor = (self._sent if self._cut is None else self._cut, now)

    def interrupt(self, mark: Mark | None, *, unsent: int, now: float) -> None:
        """The caller cut in, and `unsent` code points were taken back before they left.

        Without a mark, what was heard is estimated: the last known place plus the time since then at speaking rate.
        """
        self._unsent = min(unsent, self._total)
        self.moves += 1
        if mark is not None:
            self.move(mark, done=False, now=now)
        elif self._anchor is not None:
            self._cut = min(self._sent, self._spoken_by(now))

    @property
    def generated(self) -> str:
        """All that was made to be said."""
        return self.said

    @property
    def said(self) -> str:
        """What was handed out of it, in the form that marks count."""
        return "".join(text for _, text in self._pieces)

    @property
    def heard(self) -> str:
        """The part of it that was heard, as far as is known: all that was sent, if there is no mark."""
        return self.generated[: self._heard_chars]

    def spoken_in(self, slot: Slot) -> str:
        """What was made to be said in one slot."""
        return "".join(text for place, text in self._pieces if place == slot)

    def settle(self, messages: tuple[Message, ...], *, interrupted: bool) -> tuple[Message, ...]:
        """The turn's messages with their heard texts. The message in which speech stops short is marked interrupted.

        `interrupted`: the turn itself was cut short, so its last assistant message is marked however much was heard.
        """
        heard = self._heard_by_slot()
        settled, number = [], -1
        last = max((i for i, message in enumerate(messages) if message.role == "assistant"), default=None)
        for i, message in enumerate(messages):
            if message.role != "assistant":
                settled.append(message)
                continue
            number += 1
            text = heard.get(Slot(number), "")
            calls = tuple(
                msgspec.structs.replace(call, heard=heard.get(Slot(number, call.id), ""))
                if call.utterance is not None
                else call
                for call in message.tool_calls
            )
            short = len(text) < len(message.text) or any(
                len(call.heard or "") < len(self.spoken_in(Slot(number, call.id))) for call in calls
            )
            settled.append(
                msgspec.structs.replace(
                    message, heard=text, tool_calls=calls, interrupted=short or (interrupted and i == last)
                )
            )
        return tuple(settled)

    def _take_up(self, slot: Slot, text: str, now: float) -> None:
        """Speech of a finished step."""
        self.spoke(slot, text, now)

    def _spoken_by(self, now: float) -> int:
        """Where the voice is by now, at speaking rate from the last known place."""
        place, since = self._anchor or (0, now)
        return place + int((now - since) * SPEAKING_RATE)

    @property
    def _sent(self) -> int:
        return self._total - self._unsent

    @property
    def _heard_chars(self) -> int:
        return self._sent if self._cut is None else self._cut

    def _heard_by_slot(self) -> dict[Slot, str]:
        heard: dict[Slot, list[str]] = {}
        left = self._heard_chars
        for slot, text in self._pieces:
            if slot not in heard:
                heard[slot] = []
            heard[slot].append(text if len(text) <= left else text[:left])
            left = max(0, left - len(text))
        return {slot: "".join(texts) for slot, texts in heard.items()}

    def _offset(self, mark: Mark) -> int:
        if mark.chars is not None:
            return max(0, mark.chars)
        if mark.ms is not None:
            return max(0, int(mark.ms / 1000 * SPEAKING_RATE))
        return prefix_length(self.said, mark.text or "")


def prefix_length(generated: str, heard: str) -> int:
    """How many code points of `generated` the text `heard` covers, as a front end reports it.

    An exact prefix counts as it is. Otherwise case, spaces and punctuation are passed over: a synthesiser reports the
    words it spoke, not the text it was given.
    """
    if generated.startswith(heard):
        return len(heard)
    wanted = [character for character in heard.casefold() if character.isalnum()]
    place = matched = 0
    for i, character in enumerate(generated):
        if matched == len(wanted):
            break
        folded = [part for part in character.casefold() if part.isalnum()]
        if not folded:
            continue
        if wanted[matched : matched + len(folded)] != folded:
            break
        matched += len(folded)
        place = i + 1
    return place
