"""What memory asks of the store: blocks, the sleeptime worker's jobs, the archive, and word of what changed."""

from typing import Literal, Protocol

import msgspec

from voice_agent.store.base import BlockValue, LoggedTurn, Pair, Snapshot


class Job(msgspec.Struct, frozen=True):
    """A doorbell: the pair has something for the sleeptime worker. `deliveries` counts how often it was handed out.

    The truth is log and cursor: a job that finds nothing new is simply finished. At most one per pair is waiting.
    """

    id: str
    pair: Pair
    reason: str
    deliveries: int


class SearchKey(msgspec.Struct, frozen=True):
    """Words by which messages can be found besides their own: a chunk's context and facts, for `first` to `last`."""

    first: str
    last: str
    context: str
    facts: tuple[str, ...] = ()


class JobResult(msgspec.Struct, frozen=True):
    """What a job leaves: all of it, or nothing.

    It read the pair with the cursor at `cursor_from` and dealt with everything up to `cursor_to`; the window begins
    after `start` from now on, or later, if turns that were to leave have been dealt with. `blocks` carry the version
    they are to become: one above the one that was read.
    """

    cursor_from: str
    cursor_to: str
    start: str
    keys: tuple[SearchKey, ...] = ()
    blocks: tuple[BlockValue, ...] = ()


class DeadJob(msgspec.Struct, frozen=True):
    """A job that was given up, listed until somebody retries or drops it. `at` is in seconds since the epoch."""

    id: str
    pair: Pair
    reason: str
    deliveries: int
    at: float


class Document(msgspec.Struct, frozen=True):
    """A passage that was added and not said. `at` is in seconds since the epoch; `id` is given by the store."""

    text: str
    speaker: str = ""
    at: float = 0.0
    ref: str = ""
    id: str = ""


class Passages(msgspec.Struct, frozen=True):
    """What came into a pair's archive after a reader's `place` (empty: everything), and the place after it.

    `gone` are ids of documents that were deleted since. A turn comes again when its heard text moved. `anew`: the pair
    was forgotten since, so what the reader has is void, and this is everything.
    """

    turns: tuple[LoggedTurn, ...]
    keys: tuple[SearchKey, ...]
    documents: tuple[Document, ...]
    gone: tuple[str, ...]
    place: str
    anew: bool = False


class Change(msgspec.Struct, frozen=True):
    """Something changed in a pair's memory: `memory` (a job or a hand wrote it), or `forgotten`.

    Or `cancel`, of which memory knows nothing: the run `run` of the pair is to stop, wherever it goes on.
    """

    pair: Pair
    kind: Literal["memory", "forgotten", "cancel"]
    version: int
    labels: tuple[str, ...] = ()
    lag_ms: float = 0.0
    run: str = ""


class MemoryHealth(msgspec.Struct, frozen=True):
    """How a pair's memory is doing. `lag_ms`: age of its waiting job, 0 if none waits."""

    pending_jobs: int
    lag_ms: float
    start: str
    cursor: str
    wanted: str
    last_failure: str | None
    dead: int


class MemoryStore(Protocol):
    """Memory: blocks, jobs of the sleeptime worker, and what search is made from."""

    async def read_memory(self, pair: Pair) -> Snapshot:
        """The pair's memory, as `ConversationStore.load` gives it."""
        ...

    async def write_block(self, pair: Pair, block: BlockValue) -> bool:
        """Write if the stored version is `block.version - 1`, keeping the one before; False on conflict."""
        ...

    async def block_history(self, pair: Pair, label: str) -> tuple[BlockValue, ...]:
        """All kept versions (the last 100, the present one among them), newest first."""
        ...

    async def raise_job(self, pair: Pair, reason: str) -> bool:
        """Ask for consolidation of everything up to the log's end; False if the cursor has seen all."""
        ...

    async def next_jobs(self, worker: str, count: int, block_ms: int) -> tuple[Job, ...]:
        """Jobs never handed out before; waits up to `block_ms`, at most 2 s, for the first (0: does not wait).

        May be more than `count`, if that is small: one from each shard.
        """
        ...

    async def claim_jobs(self, worker: str, idle_ms: int, count: int) -> tuple[Job, ...]:
        """Jobs whose lease ran out: handed out and not renewed for `idle_ms` times 2^(deliveries - 1)."""
        ...

    async def renew_jobs(self, worker: str, jobs: tuple[Job, ...]) -> None:
        """Keep the leases of jobs under way."""
        ...

    async def finish_job(self, job: Job, result: JobResult) -> int | None:
        """Write keys, blocks and cursor, acknowledge and tell live sessions, in one step; returns the memory version.

        None if the cursor or a block is no longer what the job read: nothing was written, read and try again. If more
        was wanted meanwhile, a new job is raised in the same step. Finishing a job twice changes nothing.
        """
        ...

    async def fail_job(self, job: Job, reason: str) -> None:
        """Note why a job failed, for its pair's health; it stays handed out and is claimed again later."""
        ...

    async def bury_job(self, job: Job, reason: str) -> None:
        """Give a job up: into the dead letters, and the cursor past it, so that later messages are not held up."""
        ...

    async def dead_jobs(self, limit: int) -> tuple[DeadJob, ...]:
        """Dead letters, newest first."""
        ...

    async def retry_job(self, dead_id: str) -> bool:
        """Raise a dead letter's job again, its cursor set back to before it; False if there is none."""
        ...

    async def drop_job(self, dead_id: str) -> bool:
        """Forget a dead letter; False if there is none."""
        ...

    async def memory_health(self, pair: Pair) -> MemoryHealth:
        """How far consolidation is."""
        ...

    async def add_documents(self, pair: Pair, documents: tuple[Document, ...]) -> tuple[str, ...]:
        """Add passages; returns their ids (`d` and the entry's id). The same batch again gets the ids it has."""
        ...

    async def delete_document(self, pair: Pair, document_id: str) -> bool:
        """False if there was none."""
        ...

    async def read_passages(self, pair: Pair, place: str) -> Passages:
        """What the archive of the pair got since `place`."""
        ...

    async def forget(self, pair: Pair) -> bool:
        """Delete everything held of the pair, jobs included; False if nothing was."""
        ...

    async def trim(self, pair: Pair, before: float) -> int:
        """Delete what entered the log before this time (seconds since the epoch), and the search keys that tell of it.

        Window and cursor begin after it, and readers of the archive begin anew. Blocks and documents stay. Runs and a
        turn that waits for its client go as well, by when they began. Returns how many entries of the log went.
        """
        ...

    async def changes(self, places: dict[str, str], block_ms: int) -> tuple[Change, ...]:
        """Changes since the last call with the same `places` (shard -> place), which are moved on; waits for the first.

        Empty `places` start from now.
        """
        ...
