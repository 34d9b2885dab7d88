"""The callers of scenarios: those who cut in and say what they have heard, and those whose words are guessed ahead."""

import asyncio
from collections.abc import Callable

from gateway.bench.board import Take
from gateway.bench.native import Event, NativeCaller
from gateway.bench.where import Address

MakeCaller = Callable[[Address, str, str], NativeCaller]


class Interrupter(NativeCaller):
    """Cuts into every turn, at this piece of its speech, and has heard two thirds of what came until then."""

    cuts_in_after = 20

    def __init__(self, address: Address, user: str, words: str) -> None:
        super().__init__(address, user, words)
        self._text = ""
        self._heard_chars = 0

    def _begin(self, take: Take, turn_id: str) -> None:
        take.interrupt_after = self.cuts_in_after
        self._text = ""
        super()._begin(take, turn_id)

    def _spoken_to(self, take: Take, text: str) -> None:
        if take.interrupted is None:
            self._text += text

    def _cut_in(self, take: Take) -> None:
        # Whatever else was read at once had come before the caller cut in.
        asyncio.get_running_loop().call_soon(self._interrupt, take)

    def _interrupt(self, take: Take) -> None:
        if take is not self._live:
            return
        self._heard_chars = len(self._text) * 2 // 3
        self._send(type="user.interrupt", heard={"chars": self._heard_chars})
        take.interrupted = self._now()

    def _ended(self, take: Take, event: Event, at: float) -> None:
        if take.interrupted is not None and event.reason == "interrupted":
            take.heard_right = event.heard == self._text[: self._heard_chars]
        super()._ended(take, event, at)


class Foretold(NativeCaller):
    """Its recogniser tells what it takes the words to be, `lead_s` before they are final with a full stop.

    `guess` is what it has them for; a turn is asked when its words are final.
    """

    def __init__(self, address: Address, user: str, words: str, *, guess: str, lead_s: float) -> None:
        super().__init__(address, user, words)
        self.lead_s = lead_s
        self._guess = guess

    def _begin(self, take: Take, turn_id: str) -> None:
        self._send(type="user.text", text=self._guess, final=False, turn_id=turn_id, revision=0)
        asyncio.get_running_loop().call_later(self.lead_s, self._finish, take, turn_id)

    def _finish(self, take: Take, turn_id: str) -> None:
        take.sent = self._now()
        self._send(type="user.text", text=f"{self.words}.", final=True, turn_id=turn_id, revision=1)

    def _spoken_to(self, take: Take, text: str) -> None:  # noqa: ARG002 - that it came is enough
        if take.sent is None:
            self.board.errors["speech before the words were final"] += 1
