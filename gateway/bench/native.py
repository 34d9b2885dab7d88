"""A caller who speaks `voice.v1`: one session, one turn after another, and a note of each moment."""

from collections import deque
from typing import Any

import msgspec

from gateway.bench.board import Board, Take
from gateway.bench.line import Line
from gateway.bench.where import Address
from voice_agent.clock import SystemClock


class Event(msgspec.Struct):
    """What the benchmark looks at in an event of the gateway's."""

    type: str
    text: str = ""
    kind: str = ""
    heard: str | None = None
    reason: str | None = None
    latency: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    code: str = ""


_decode = msgspec.json.Decoder(Event).decode


class NativeCaller:
    """One session. It says `words`; `board` is where it notes.

    `lead_s`: how long before a turn is due it begins with it.
    """

    lead_s = 0.0

    def __init__(self, address: Address, user: str, words: str) -> None:
        self._line = Line(address.session(user), address.key, self._heard, self._lost)
        self._waiting: deque[Take] = deque()
        self._live: Take | None = None
        self._turns = 0
        self._now = SystemClock().now
        self.words = words
        self.board = Board()

    async def open(self) -> None:
        """Connect; see `Line.open`."""
        await self._line.open()

    def ask(self, take: Take) -> None:
        """See `Caller.ask`."""
        take.due += self.lead_s
        take.free = take.due
        self._waiting.append(take)
        if self._live is None:
            self._next()

    def hang_up(self) -> None:
        """Leave. A session that is only dropped would wait for its caller for a while."""
        self._line.send(b'{"type":"session.end"}')
        self._line.hang_up()

    def _next(self) -> None:
        if not self._waiting:
            return
        self._live = take = self._waiting.popleft()
        self._turns += 1
        self._begin(take, f"t{self._turns}")

    def _begin(self, take: Take, turn_id: str) -> None:
        take.sent = self._now()
        self._send(type="user.text", text=self.words, turn_id=turn_id)

    def _send(self, **frame: Any) -> None:
        self._line.send(msgspec.json.encode(frame))

    def _heard(self, frame: bytes) -> None:
        at = self._now()
        take = self._live
        try:
            event = _decode(frame)
        except msgspec.DecodeError:
            self.board.give_up("what answers does not speak voice.v1")
            return
        match event.type:
            case "speech.delta" if take is not None:
                self.board.token_added.extend(take.heard(event.text, event.kind, at))
                self._spoken_to(take, event.text)
                if take.pieces == take.interrupt_after:
                    self._cut_in(take)
            case "turn.spoken" if take is not None:
                take.spoken = at
            case "turn.ended" if take is not None:
                self._ended(take, event, at)
            case "error":
                self.board.errors[event.code] += 1
            case "session.ended":
                self.board.give_up(f"the gateway ended a session ({event.reason})")
            case _:
                pass

    def _spoken_to(self, take: Take, text: str) -> None:
        """Speech has come: for callers who look at it."""

    def _cut_in(self, take: Take) -> None:
        self._send(type="user.interrupt")
        take.interrupted = self._now()

    def _ended(self, take: Take, event: Event, at: float) -> None:
        take.ended = at
        take.reason = event.reason or ""
        if event.latency is not None:
            parts = event.latency.get("parts") or ()
            take.store_ms = sum(part["ms"] for part in parts if part["name"] == "store")
        if event.usage is not None:
            take.hedges = event.usage.get("hedges", 0)
            take.lost = max(0, event.usage.get("attempts", 0) - event.usage.get("steps", 0))
        self._live = None
        if self._waiting:
            self._waiting[0].free = at + self.lead_s
        self.board.finish()
        self._next()

    def _lost(self, why: str) -> None:
        self.board.give_up(why)
