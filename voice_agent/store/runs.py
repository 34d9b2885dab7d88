"""What runs ask of the store: their records, word that one is to be cancelled, and turns that wait for their client."""

from typing import Protocol, cast

import msgspec
from msgspec.structs import replace

from voice_agent.events import EndReason
from voice_agent.run_record import RunRecord, status_of
from voice_agent.store.base import LoggedTurn, Owner, Pair, TurnRef
from voice_agent.suspension import PendingCall, Suspension

DIED = "the process that ran it died"
UNDER_WAY = ("running", "requires_approval")


class Suspended(msgspec.Struct, frozen=True):
    """A turn that waits for its client, with the epoch under which it was left."""

    ref: TurnRef
    suspension: Suspension


class RunStore(Protocol):
    """Runs. The id of a run is the id of its session too: `TurnRef.session_id`."""

    def new_id(self, pair: Pair) -> str:
        """An id for a run of the pair, by which alone it can be found: `run-`, the pair's shard, 16 hex digits."""
        ...

    async def write_run(self, record: RunRecord, ttl_s: float) -> None:
        """Write the record over the one before; it is kept for `ttl_s`, or as long as its run waits for the client.

        Raises Fenced if the run's session is owned by another process than the record says, ValueError if the id is
        none that `new_id` gave for the pair.
        """
        ...

    async def read_run(self, run_id: str) -> RunRecord | None:
        """The record, or None: there is none by this id (any text will do), or no more.

        What it says of a run under way is put right: one whose turn waits for its client is shown so, one whose turn is
        in the log as it ended there, and one whose process is dead is `failed` as `interrupted`.
        """
        ...

    async def ask_cancel(self, record: RunRecord) -> None:
        """Tell whoever runs it, by a change of kind `cancel`, that it is to stop."""
        ...

    async def suspend_turn(self, ref: TurnRef, suspension: Suspension) -> None:
        """Set an open turn aside until its client answers: it belongs to no process then, and is nobody's orphan.

        A turn that is not open, or committed already, is left alone. A pair has one such turn at most: Fenced, as for
        an earlier owner, says that another turn waits.
        """
        ...

    async def suspended(self, pair: Pair) -> Suspended | None:
        """The pair's turn that waits for its client."""
        ...

    async def resume_turn(self, suspended: Suspended, owner: Owner) -> TurnRef | None:
        """Take a waiting turn up: open again, under a new owner and epoch. None: somebody else was faster.

        The one that has taken it up gets the same again: two requests in one process must not ask at once.
        """
        ...

    async def last_answered(self, pair: Pair) -> str | None:
        """The run whose waiting turn was last taken up; remembered for a week."""
        ...


def as_it_stands(record: RunRecord, pending: tuple[PendingCall, ...] | None, alive: bool) -> RunRecord:
    """What a record that was written before its run moved on, or its process died, has to say.

    `pending`: the calls that the run waits with (None: it does not wait); `alive`: whether a process has it.
    """
    if record.status not in UNDER_WAY:
        return record
    if pending is not None:
        return replace(record, status="requires_approval", reason="requires_approval", pending=pending)
    if alive:
        return record
    return replace(record, status="failed", reason="interrupted", error=DIED, pending=())


def as_logged(record: RunRecord, turn: LoggedTurn) -> RunRecord:
    """What a record has to say whose turn ended, in whosever hands, before the record was written again."""
    if record.status not in UNDER_WAY:
        return record
    ended, reason = turn.record, cast(EndReason, turn.record.reason)
    messages = (replace(message, id=f"{turn.id}.{n}", opaque=()) for n, message in enumerate(ended.messages))
    return replace(
        record,
        status=status_of(reason),
        reason=reason,
        messages=tuple(messages),
        usage=ended.usage,
        latency=ended.latency,
        pending=(),
        ended_at=int(turn.id.partition("-")[0]) / 1000,
        error=DIED if reason == "interrupted" else record.error,
    )
