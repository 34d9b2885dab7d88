"""Turns to store: short ones, whose words say where they come from."""

from voice_agent.messages import Message, TurnRecord
from voice_agent.store.base import BlockValue, ConversationStore, OpenTurn, Owner, Pair, TurnRef
from voice_agent.store.memory import Job, JobResult, MemoryStore, SearchKey

PAIR = Pair("demo", "ann")
OWNER = Owner("127.0.0.1:8080", "first life")
OTHER = Owner("127.0.0.1:9090", "another process")
LEASE_MS = 60_000


def said(turn_id: str) -> Message:
    """The user's words."""
    return Message("user", f"{turn_id}?", 1.5)


def answered(turn_id: str, heard: str | None = None) -> Message:
    """The agent's words, and how many of them were heard."""
    return Message("assistant", f"{turn_id} it is.", 2.5, heard=heard)


def ref(turn_id: str, epoch: int = 1, session: str = "s1", pair: Pair = PAIR) -> TurnRef:
    """A turn of the session."""
    return TurnRef(pair, session, turn_id, epoch)


def opened(of: TurnRef, owner: Owner = OWNER) -> OpenTurn:
    """The turn as its journal begins."""
    return OpenTurn(of, owner, revision=0, started_at=1.5, messages=(said(of.turn_id),))


def record(of: TurnRef) -> TurnRecord:
    """The turn as it ended."""
    return TurnRecord(of.key, "end_turn", (said(of.turn_id), answered(of.turn_id)), started_at=1.5)


async def commit(store: ConversationStore, turn_id: str, evict: str | None = None, pair: Pair = PAIR) -> str:
    """Commit a turn of two messages; returns its entry."""
    of = ref(turn_id, pair=pair)
    return await store.commit_turn(of, record(of), evict)


async def take(memory: MemoryStore, worker: str = "w1") -> Job:
    """The one job that waits."""
    (job,) = await memory.next_jobs(worker, 16, 0)
    return job


def human(value: str, version: int, author: str = "api") -> BlockValue:
    """A version of the block `human`."""
    return BlockValue("human", value, version, author=author, at=3.5)


def result(cursor_from: str, cursor_to: str, *blocks: BlockValue, start: str = "0-0") -> JobResult:
    """What a job leaves that found one key in all it dealt with."""
    keys = (SearchKey(f"{cursor_to}.0", f"{cursor_to}.1", "What was said.", ("a fact",)),)
    return JobResult(cursor_from, cursor_to, start, keys, blocks)
