"""A turn whose speech is said in another form than it was written: counts what was said, keeps what was written."""

from itertools import chain

from voice_agent.calls import Call
from voice_agent.events import Effect, SpeechKind, TurnEvent
from voice_agent.heard import Ledger, Slot
from voice_agent.messages import Message
from voice_agent.speech.form import RAW
from voice_agent.speech.shaper import Shaper
from voice_agent.step import Step
from voice_agent.suspension import Suspension
from voice_agent.turn_account import Account
from voice_agent.turn_setup import TurnSetup


class ShapedLedger(Ledger):
    """Offsets count what was said; `generated`, `heard` and the messages' heard texts are what was written for it."""

    def __init__(self, setup: TurnSetup) -> None:
        super().__init__(setup.rate, setup.free_at)
        self._form = setup.form
        self._shapers: dict[Slot, Shaper] = {}

    def feed(self, slot: Slot, text: str) -> list[str]:
        """Take in what was written; returns what is to be said now. It counts once it was `spoke`."""
        shaper = self._shapers.get(slot)
        if shaper is None:
            shaper = self._shapers[slot] = Shaper(self._form)
        return shaper.feed(text)

    def flush(self) -> list[tuple[Slot, str]]:
        """What was kept back, to be said now: what has been written is complete, or something else follows."""
        return [(slot, piece) for slot, shaper in self._shapers.items() for piece in shaper.flush()]

    def forget(self) -> None:
        """Nothing of what was written was said, and nothing will be."""
        self._shapers.clear()

    @property
    def generated(self) -> str:
        return "".join(shaper.written for shaper in self._shapers.values())

    @property
    def heard(self) -> str:
        return "".join(self._heard_by_slot().values())

    def spoken_in(self, slot: Slot) -> str:
        return self._shapers[slot].written if slot in self._shapers else ""

    def _take_up(self, slot: Slot, text: str, now: float) -> None:
        for piece in chain(self.feed(slot, text), self._shapers[slot].flush()):
            self.spoke(slot, piece, now)

    def _heard_by_slot(self) -> dict[Slot, str]:
        left = self._heard_chars
        heard = dict.fromkeys(self._shapers, 0)
        reached = set() if left < self._total else set(self._shapers)
        for slot, text in self._pieces:
            if left > 0:
                reached.add(slot)
            heard[slot] += max(0, min(left, len(text)))
            left -= len(text)
        return {slot: shaper.heard(heard[slot]) if slot in reached else "" for slot, shaper in self._shapers.items()}


class ShapedAccount(Account):
    """The account of such a turn. Speech begins when its first piece is let go, not when that is written."""

    def __init__(self, setup: TurnSetup, done: tuple[Message, ...], suspended: Suspension | None = None) -> None:
        self._shaped = ShapedLedger(setup)
        self._kinds: dict[Slot, SpeechKind] = {}
        super().__init__(setup, done, suspended, self._shaped)

    def reword(self, text: str) -> None:
        super().reword(text)
        self._shaped.forget()

    def say(self, text: str, kind: SpeechKind, now: float, slot: Slot | None = None) -> list[TurnEvent | Effect]:
        slot = slot or Slot(self.steps)
        self._kinds[slot] = kind
        pieces = self._shaped.feed(slot, text)
        return [told for piece in pieces for told in super(ShapedAccount, self).say(piece, kind, now, slot)]

    def let_go(self, now: float) -> list[TurnEvent | Effect]:
        return [
            told
            for slot, piece in self._shaped.flush()
            for told in super(ShapedAccount, self).say(piece, self._kinds[slot], now, slot)
        ]

    def utter(self, call: Call, said: str, step: Step, now: float) -> list[TurnEvent | Effect]:
        """A call ends the words before it."""
        before = [] if step.speaker is call else self.let_go(now)
        return [*before, *super().utter(call, said, step, now)]


def account_of(setup: TurnSetup, done: tuple[Message, ...], suspended: Suspension | None = None) -> Account:
    """The account of a turn, with the form that its speech is to have."""
    return Account(setup, done, suspended) if setup.form == RAW else ShapedAccount(setup, done, suspended)
