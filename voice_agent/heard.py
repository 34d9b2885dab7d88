"""The ledger of a turn's speech: what was generated, how much of it was sent, and how much the caller heard."""

import unicodedata
from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple

import msgspec

from voice_agent.events import Mark
from voice_agent.messages import Message
from voice_agent.speaking_rate import LEAST_S, SpeakingRate, letters


class Slot(NamedTuple):
    """Where a piece of speech stands in the turn: the n-th reply (from 0), its text or the utterance of a call.

    The n-th filler (from 1) is minus n.
    """

    message: int
    call_id: str | None = None


class _Place(NamedTuple):
    """Where the voice was at a time: after so many `letters` of all speech of the turn."""

    letters: int
    at: float


class Ledger:
    """Offsets are code points over all speech of the turn, in the order it was spoken; times are the clock's `now`.

    `played`: the client has said that all of it, as far as it goes, was heard. `moves` counts what was told of how far
    that is. `free_at`: when the voice will have said what other turns gave it to say before.
    """

    def __init__(self, rate: SpeakingRate, free_at: float = 0.0) -> None:
        self._rate = rate
        self._free_at = free_at
        self._pieces: list[tuple[Slot, str]] = []
        self._total = 0
        self._letters = 0
        self._unsent = 0
        self._known: _Place | None = None  # where the voice was last known to be
        self._gauged = _Place(0, 0.0)  # from where on the rate has not been observed yet
        self._stopped = False
        self._cut: int | None = None
        self.played = False
        self.moves = 0

    def spoke(self, slot: Slot, text: str, now: float) -> None:
        """Speech was handed out."""
        if self._known is None or self.silent_at(now) <= now:
            # The voice had caught up: what it says now begins now, however long the silence was.
            self._known = self._gauged = _Place(self._letters, max(now, self._free_at))
        self.played = False
        self._pieces.append((slot, text))
        self._total += len(text)
        self._letters += letters(text)

    def resume(self, messages: tuple[Message, ...], now: float) -> None:
        """Take up the speech of finished steps, in the order it was spoken: an utterance precedes its reply's text."""
        for message, slot in _placed(messages):
            if slot is None:
                continue
            for call in message.tool_calls:
                if call.heard:
                    self._take_up(slot._replace(call_id=call.id), call.heard, now)
            if message.text:
                self._take_up(slot, message.text, now)

    def move(self, mark: Mark | None, *, done: bool, now: float) -> None:
        """The caller has heard up to `mark`, or all of it if `done`. Marks past what was sent count as its end."""
        self.moves += 1
        self.played = done
        if done:
            self._cut = None
            self._known = self._gauged = _Place(self._letters, now)
            if mark is not None and mark.ms is not None and not self._stopped:
                self._rate.observe(self._letters, mark.ms / 1000)
        elif mark is not None:
            self._reached(mark, now)

    def interrupt(self, mark: Mark | None, *, unsent: int, now: float) -> None:
        """The caller cut in, and `unsent` code points were taken back before they left.

        Without a mark, what was heard is estimated: the last known place plus the time since then at speaking rate. A
        voice that was stopped before is where it was.
        """
        self._unsent = min(self._unsent + unsent, self._total)
        self.moves += 1
        if mark is not None:
            self.played = False
            self._reached(mark, now)
        elif self._known is not None and not self._stopped:
            said = self._known.letters + self._rate.chars_in(now - self._known.at)
            self._cut = min(self._sent, self._place_after(said))
            self._known = _Place(said, now)
        self._stopped = True

    def hush(self, now: float) -> None:
        """The voice is silent from now on, and nobody knows where it stopped: marks are yet to come, if they do."""
        if self.silent_at(now) > now:
            self._stopped, self._known = True, _Place(self._letters, now)

    def silent_at(self, now: float) -> float:
        """When all that was handed out so far will have been said, by estimate and marks; up to `now`: it has been."""
        if self._known is None:
            return self._free_at
        if self._stopped:
            return min(now, self._known.at)
        return self._known.at + self._rate.seconds(self._letters - self._known.letters)

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

    def is_last(self, slot: Slot) -> bool:
        """Whether nothing but fillers was handed out after what was handed out in this slot."""
        after = takewhile(lambda piece: piece[0] != slot, reversed(self._pieces))
        return all(place.message < 0 for place, _ in after)

    def settle(self, messages: tuple[Message, ...], *, interrupted: bool) -> tuple[Message, ...]:
        """The turn's messages with their heard texts. The message in which speech stops short is marked interrupted.

        `interrupted`: the turn itself was cut short, so its last assistant message is marked however much was heard.
        A filler that no reply follows stands for it.
        """
        heard = self._heard_by_slot()
        settled = []
        last = max((i for i, message in enumerate(messages) if message.role == "assistant"), default=None)
        for i, (message, slot) in enumerate(_placed(messages)):
            if slot is None:
                settled.append(message)
                continue
            text = heard.get(slot, "")
            calls = tuple(
                msgspec.structs.replace(call, heard=heard.get(slot._replace(call_id=call.id), ""))
                if call.utterance is not None
                else call
                for call in message.tool_calls
            )
            short = len(text) < len(message.text) or any(
                len(call.heard or "") < len(self.spoken_in(slot._replace(call_id=call.id))) for call in calls
            )
            settled.append(
                msgspec.structs.replace(
                    message,
                    heard=text,
                    tool_calls=calls,
                    interrupted=short or (interrupted and i == last),
                    filler=message.filler and i != last,
                )
            )
        return tuple(settled)

    def _take_up(self, slot: Slot, text: str, now: float) -> None:
        """Speech of a finished step."""
        self.spoke(slot, text, now)

    def _reached(self, mark: Mark, now: float) -> None:
        """The voice is at the mark now. What it said since the last one tells how fast it speaks.

        A mark in milliseconds tells no such thing, nor does one where the voice may have been for a while: at the end,
        or where it was stopped.
        """
        self._cut = min(self._offset(mark), self._sent)
        self._known = _Place(letters(self.said[: self._cut]), now)
        tells = mark.ms is None and not self._stopped and self._cut < self._sent
        if tells and now - self._gauged.at >= LEAST_S:
            self._rate.observe(self._known.letters - self._gauged.letters, now - self._gauged.at)
            self._gauged = self._known

    def _place_after(self, said: int) -> int:
        """The code points that so many letters are."""
        place = 0
        for _, text in self._pieces:
            if (size := letters(text)) <= said:
                said, place = said - size, place + len(text)
                continue
            for character in text:
                said -= letters(character)
                if said < 0:
                    return place
                place += 1
        return place

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
            return self._place_after(self._rate.chars_in(mark.ms / 1000))
        return prefix_length(self.said, mark.text or "")


def _placed(messages: tuple[Message, ...]) -> Iterator[tuple[Message, Slot | None]]:
    """The messages of a turn, each with the slot of its text; None where it is no speech."""
    replies = fillers = 0
    for message in messages:
        if message.filler:
            fillers += 1
            yield message, Slot(-fillers)
        elif message.is_reply:
            yield message, Slot(replies)
            replies += 1
        else:
            yield message, None


def prefix_length(generated: str, heard: str) -> int:
    """How many code points of `generated` the text `heard` covers, as a front end reports it.

    An exact prefix counts as it is. Otherwise case, accents, spaces and punctuation are passed over: a synthesiser
    reports the words it spoke, not the text it was given.
    """
    if generated.startswith(heard):
        return len(heard)
    wanted = _folded(heard)
    place = matched = 0
    for i, character in enumerate(generated):
        folded = _folded(character)
        if folded:
            if wanted[matched : matched + len(folded)] != folded:
                break
            matched += len(folded)
        elif not (matched and place == i and unicodedata.category(character)[0] == "M"):
            continue  # it is no vowel sign, which would belong to the letter before it
        place = i + 1
    return place


def _folded(text: str) -> list[str]:
    """Its letters and digits."""
    return [part for part in unicodedata.normalize("NFKD", text).casefold() if part.isalnum()]
