"""The recorder's runs: `RunStore` in this process, with the same outcomes as the server's scripts.

Sessions, journals and leases are here as well, for a turn that waits for its client is a journal without an owner.
"""

from msgspec.structs import replace

from voice_agent.clock import Clock
from voice_agent.messages import Message
from voice_agent.run_record import RunRecord
from voice_agent.store.base import Fenced, LoggedTurn, OpenTurn, Owner, Pair, TurnRef
from voice_agent.store.keys import Keys
from voice_agent.store.log import TurnEntry
from voice_agent.store.memory import Change
from voice_agent.store.recorder_memory import MemoryRecorder
from voice_agent.store.runs import Suspended, as_it_stands, as_logged
from voice_agent.suspension import Suspension

ANSWERED_TTL_S = 604_800
_FOR_EVER = float("inf")


class Journal:
    """An open turn: its head, its steps by index, and how it was suspended last, with the steps it had then."""

    def __init__(self, head: OpenTurn) -> None:
        self.head = head
        self.steps: dict[int, tuple[Message, ...]] = {}
        self.suspended: Suspension | None = None
        self.whole = 0

    def turn(self, epoch: int, owner: Owner) -> OpenTurn:
        """The turn as it stands under this epoch and owner."""
        steps = [self.steps[index] for index in sorted(self.steps)]
        if self.suspended is not None and len(steps) == self.whole:
            steps.append(self.suspended.step)
        messages = (message for step in steps for message in step)
        head = self.head
        return replace(head, ref=replace(head.ref, epoch=epoch), owner=owner, messages=(*head.messages, *messages))


class Answered:
    """The turn of a pair that was last taken up: its run, the epochs it was taken from and has, and who did."""

    def __init__(self, run_id: str, taken_from: int, ref: TurnRef, owner: Owner) -> None:
        self.run_id = run_id
        self.taken_from = taken_from
        self.ref = ref
        self.owner = owner


class RunRecorder(MemoryRecorder):
    """`RunStore`, on what conversations keep of their open turns."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._sessions: dict[tuple[Pair, str], tuple[int, Owner]] = {}
        self._journals: dict[tuple[Pair, str], Journal] = {}
        self._committed: dict[tuple[Pair, str], str] = {}
        self._leases: dict[str, tuple[str, float]] = {}
        self._runs: dict[str, tuple[RunRecord, float]] = {}
        self._waiting_turns: dict[Pair, TurnRef] = {}
        self._waited: set[Pair] = set()
        self._answered: dict[Pair, tuple[Answered, float]] = {}

    def new_id(self, pair: Pair) -> str:
        return Keys(1).new_run(pair)

    async def write_run(self, record: RunRecord, ttl_s: float) -> None:
        self._note("write_run")
        pair = Pair(record.agent, record.user)
        self._check(record.id)
        _, owner = self._sessions.get((pair, record.id), (0, None))
        if owner is not None and owner != Owner(record.slot, record.incarnation):
            raise Fenced("the run belongs to another process now")
        waits = record.status == "requires_approval"
        self._runs[record.id] = (record, _FOR_EVER if waits else self._clock.now() + ttl_s)

    async def read_run(self, run_id: str) -> RunRecord | None:
        self._note("read_run")
        record, until = self._runs.get(run_id, (None, 0.0))
        if record is None or until <= self._clock.now():
            return None
        pair = Pair(record.agent, record.user)
        waits, answered = self._waiting_turns.get(pair), self._last(pair)
        if waits is not None and waits.session_id == run_id:
            return as_it_stands(record, self._suspension(waits).pending, alive=True)
        if (entry_id := self._committed.get((pair, TurnRef(pair, run_id, record.turn_id, 0).key))) is not None:
            entry = next(entry for entry in self._mind(pair).log if entry.id == entry_id)
            assert isinstance(entry, TurnEntry), "what was committed is a turn"
            return as_logged(record, LoggedTurn(entry_id, entry.record))
        mine = answered is not None and answered.run_id == run_id
        owner = answered.owner if answered is not None and mine else Owner(record.slot, record.incarnation)
        return as_it_stands(record, None, self._alive(owner))

    async def ask_cancel(self, record: RunRecord) -> None:
        self._note("ask_cancel")
        self._announce(Change(Pair(record.agent, record.user), "cancel", 0, run=record.id))

    async def suspend_turn(self, ref: TurnRef, suspension: Suspension) -> None:
        self._note("suspend_turn")
        self._check(ref.session_id)
        self._fence(ref)
        place = (ref.pair, ref.key)
        if place not in self._journals:
            return
        other = self._waiting_turns.get(ref.pair)
        if other is not None and other.key != ref.key:
            raise Fenced("another turn of this user waits for its client already")
        if other is not None:
            return
        journal = self._journals[place]
        journal.suspended, journal.whole = suspension, len(journal.steps)
        self._waiting_turns[ref.pair] = ref
        self._waited.add(ref.pair)

    async def suspended(self, pair: Pair) -> Suspended | None:
        self._note("suspended")
        ref = self._waiting_turns.get(pair)
        return None if ref is None else Suspended(ref, self._suspension(ref))

    async def resume_turn(self, suspended: Suspended, owner: Owner) -> TurnRef | None:
        self._note("resume_turn")
        ref = suspended.ref
        waits, last = self._waiting_turns.get(ref.pair), self._last(ref.pair)
        if (ref.pair, ref.key) not in self._journals:
            return None
        if waits is None and last is not None and last.ref.key == ref.key:
            return last.ref if (last.taken_from, last.owner) == (ref.epoch, owner) else None
        if waits != ref:
            return None
        epoch, _ = self._sessions.get((ref.pair, ref.session_id), (0, owner))
        taken = replace(ref, epoch=max(epoch, ref.epoch) + 1)
        self._sessions[ref.pair, ref.session_id] = (taken.epoch, owner)
        until = self._clock.now() + ANSWERED_TTL_S
        self._answered[ref.pair] = (Answered(ref.session_id, ref.epoch, taken, owner), until)
        self._waits_no_more(ref)
        if ref.session_id in self._runs:
            self._runs[ref.session_id] = (self._runs[ref.session_id][0], until)
        return taken

    async def last_answered(self, pair: Pair) -> str | None:
        self._note("last_answered")
        last = self._last(pair)
        return None if last is None else last.run_id

    # ---- what the verbs share ----

    def _check(self, run_id: str) -> None:
        if Keys(1).run(run_id) is None:
            raise ValueError(f"{run_id!r} is no id of a run of this agent and user")

    def _fence(self, ref: TurnRef) -> None:
        held = self._sessions.get((ref.pair, ref.session_id))
        if held is not None and held[0] > ref.epoch:
            raise Fenced(f"the session is owned under epoch {held[0]}, this write came under {ref.epoch}")

    def _alive(self, owner: Owner) -> bool:
        incarnation, until = self._leases.get(owner.slot, ("", 0.0))
        return incarnation == owner.incarnation and until > self._clock.now()

    def _waits(self, ref: TurnRef) -> bool:
        waiting = self._waiting_turns.get(ref.pair)
        return waiting is not None and waiting.key == ref.key

    def _waits_no_more(self, ref: TurnRef) -> None:
        if self._waits(ref):
            del self._waiting_turns[ref.pair]

    def _suspension(self, ref: TurnRef) -> Suspension:
        held = self._journals[ref.pair, ref.key].suspended
        assert held is not None, "a turn that waits was suspended"
        return held

    def _last(self, pair: Pair) -> Answered | None:
        last, until = self._answered.get(pair, (None, 0.0))
        return last if until > self._clock.now() or pair in self._waiting_turns else None

    def _forget_runs(self, pair: Pair) -> bool:
        """Drop every record and what is known of turns that waited; the journals go with the pair's others."""
        mine = [
            run_id
            for run_id, (record, _) in self._runs.items()
            if (record.agent, record.user) == (pair.agent, pair.user)
        ]
        for run_id in mine:
            del self._runs[run_id]
        waited = [self._waiting_turns.pop(pair, None), self._answered.pop(pair, None)]
        self._waited.discard(pair)
        return bool(mine or any(waited))

    def _trim_runs(self, pair: Pair, before: float) -> None:
        for run_id, (record, _) in tuple(self._runs.items()):
            if (record.agent, record.user) == (pair.agent, pair.user) and record.created_at < before:
                del self._runs[run_id]
        waits = self._waiting_turns.get(pair)
        if waits is not None and self._journals[pair, waits.key].head.started_at < before:
            del self._waiting_turns[pair], self._journals[pair, waits.key]
            self._answered.pop(pair, None)
        if pair not in self._waiting_turns:
            self._waited.discard(pair)
