"""Every key of the store, and nothing else: which shard a pair lives on and how names are put into keys.

All keys of a pair carry the tag of its shard, so one script may change any of them, in a cluster too. Names that come
from outside are percent-encoded: no agent, user or turn can reach another's key. Members of sorted sets that are listed
in code point order are kept as they are (UTF-8 sorts the same way).
"""

import re
from functools import lru_cache
from secrets import token_hex
from urllib.parse import quote
from zlib import crc32

import msgspec

from voice_agent.store.base import Pair, TurnRef

SCHEMA = 1
# Chosen so that their cluster slots are evenly spread: three nodes get 5, 6 and 5 of them.
TAGS = (
    "1768", "92cd", "1f0e", "5c55", "17c2", "16b2", "395f", "acd",
    "265", "375", "29d8", "1d6c", "14d4", "5f", "ceb", "7c18",
)  # fmt: skip
STORE = "t:meta"
AGENTS = "t:{agents}:rows"
AGENT_NAMES = "t:{agents}:names"
API_KEYS = "t:keys"
SECRET = "t:secret"
_RUN_ID = re.compile("run-([0-9a-f]+)-[0-9a-f]{16}")


class PairKeys(msgspec.Struct, frozen=True):
    """What is kept of one pair: its log, the turns lately committed, its counters, and the list of users it is in.

    Of its memory: blocks, their versions, search keys, added documents with the batches lately added, deleted ones.
    Of its runs: their ids, and the turn that waits for the client.
    """

    log: str
    seen: str
    meta: str
    users: str
    blocks: str
    versions: str
    keys: str
    docs: str
    batches: str
    gone: str
    runs: str
    waiting: str


class ShardKeys(msgspec.Struct, frozen=True):
    """What the pairs of a shard share: jobs, dead letters, and word of what changed in memory."""

    jobs: str
    dead: str
    changes: str


class TurnKeys(msgspec.Struct, frozen=True):
    """What a write to an open turn touches: its session, its journal, and its `member` in the shard's index."""

    session: str
    journal: str
    index: str
    member: str


class Keys(msgspec.Struct, frozen=True):
    """The keys of a store with `shards` shards, which is fixed when the store is made."""

    shards: int

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags in use."""
        return TAGS[: self.shards]

    def tag(self, pair: Pair) -> str:
        """The shard of a pair."""
        return TAGS[crc32(f"{pair.agent}\0{pair.user}".encode()) % self.shards]

    def pair(self, pair: Pair) -> PairKeys:
        """The pair's own keys."""
        return _pair(self.tag(pair), pair)

    def session(self, pair: Pair, session_id: str) -> str:
        """The session's owner and epoch."""
        return f"t:{{{self.tag(pair)}}}:s:{_join(pair.agent, pair.user, session_id)}"

    def turn(self, ref: TurnRef) -> TurnKeys:
        """The keys of an open turn."""
        tag = self.tag(ref.pair)
        member = _join(ref.pair.agent, ref.pair.user, ref.session_id, ref.turn_id)
        return TurnKeys(self.session(ref.pair, ref.session_id), journal(tag, member), open_turns(tag), member)

    def new_run(self, pair: Pair) -> str:
        """An id for a run of the pair."""
        return f"run-{self.tag(pair)}-{token_hex(8)}"

    def run(self, run_id: str) -> str | None:
        """The record of a run; None if it can be no run's id."""
        found = _RUN_ID.fullmatch(run_id)
        return f"t:{{{found[1]}}}:r:{run_id}" if found is not None and found[1] in self.tags else None

    def users(self, tag: str, agent: str) -> str:
        """The agent's users on one shard."""
        return _users(tag, agent)


def shard(tag: str) -> ShardKeys:
    """The keys that a shard has once."""
    return ShardKeys(jobs=f"t:{{{tag}}}:jobs", dead=f"t:{{{tag}}}:dead", changes=f"t:{{{tag}}}:changes")


def open_turns(tag: str) -> str:
    """The index of a shard's open turns."""
    return f"t:{{{tag}}}:open"


def journal(tag: str, member: str) -> str:
    """The journal of the open turn that the index lists as `member`."""
    return f"t:{{{tag}}}:o:{member}"


def session_of(tag: str, member: str) -> str:
    """The session of the open turn that the index lists as `member`."""
    return f"t:{{{tag}}}:s:{member.rpartition(':')[0]}"


def members_of(pair: Pair) -> str:
    """What the members of a pair's open turns begin with."""
    return f"{_join(pair.agent, pair.user)}:"


def lease(slot: str) -> str:
    """The lease of an owner's slot: the incarnation that lives there."""
    return f"t:owner:{quote(slot, safe='')}"


def _join(*parts: str) -> str:
    return ":".join(map(_quoted, parts))


@lru_cache(1 << 14)
def _quoted(part: str) -> str:
    return quote(part, safe="")


@lru_cache(1 << 12)
def _pair(tag: str, pair: Pair) -> PairKeys:
    stem = f"t:{{{tag}}}:p:{_join(pair.agent, pair.user)}"
    return PairKeys(
        log=f"{stem}:log", seen=f"{stem}:seen", meta=f"{stem}:meta", users=_users(tag, pair.agent),
        blocks=f"{stem}:blocks", versions=f"{stem}:versions", keys=f"{stem}:keys",
        docs=f"{stem}:docs", batches=f"{stem}:batches", gone=f"{stem}:gone",
        runs=f"{stem}:runs", waiting=f"{stem}:waiting",
    )  # fmt: skip


def _users(tag: str, agent: str) -> str:
    return f"t:{{{tag}}}:users:{_join(agent)}"
