"""What the product asks of its store: intent verbs, each atomic, each write idempotent; no key and no command.

Here two Protocols, conversations and the directory of agents and credentials; memory has a file of its own. Faults:
`StoreDown` when the server cannot be reached (the caller may repeat any verb), `Fenced` when a newer owner has taken
the session over.
"""

from typing import Literal, Protocol

import msgspec

from voice_agent.messages import Message, TurnRecord

Durability = Literal["disk", "process", "replica", "none", "unknown"]


class StoreError(Exception):
    """Something is wrong with the store; the message says what and where."""


class StoreDown(StoreError):
    """The server cannot be reached just now. Every verb may be repeated: writes are idempotent."""


class Fenced(StoreError):
    """A newer owner holds the session; this one must stop writing to it."""


class Pair(msgspec.Struct, frozen=True):
    """Whose conversation: memory, history and window belong to it."""

    agent: str
    user: str


class Owner(msgspec.Struct, frozen=True):
    """A process that owns sessions.

    `slot` is the place it serves at (host and port), `incarnation` this life of it: a process that starts in a slot
    proves by that alone that the slot's earlier incarnations are dead, without waiting for their leases to run out.
    """

    slot: str
    incarnation: str


class TurnRef(msgspec.Struct, frozen=True):
    """The turn a write is about, with the epoch under which its session is owned."""

    pair: Pair
    session_id: str
    turn_id: str
    epoch: int

    @property
    def key(self) -> str:
        """The idempotency key of the turn."""
        return f"{self.session_id}:{self.turn_id}"


class OpenTurn(msgspec.Struct, frozen=True):
    """A turn that was begun and not committed: what was journalled of it, and by whom."""

    ref: TurnRef
    owner: Owner
    revision: int
    started_at: float
    messages: tuple[Message, ...]


class LoggedTurn(msgspec.Struct, frozen=True):
    """A committed turn with the id of its log entry; ids grow, and order turns. Late heard marks are applied."""

    id: str
    record: TurnRecord


class BlockValue(msgspec.Struct, frozen=True):
    """One version of a pair's memory block: 1, 2, 3 … (0: never written, the agent's own value holds).

    `author` is `api`, `user` or `sleeptime:JOB`; `sources` are ids of the messages it was made from; `at` is in seconds
    since the epoch.
    """

    label: str
    value: str
    version: int
    author: str = ""
    at: float = 0.0
    sources: tuple[str, ...] = ()


class Snapshot(msgspec.Struct, frozen=True):
    """A pair's memory as it stands, all read at one moment.

    `turns` are those after `start`, oldest first: the window begins there. `cursor` is the last entry that a sleeptime
    job has dealt with (the watermark), `wanted` the last one that some job is to deal with, `evict` the last one that
    is to leave the window; "0-0": none yet.
    """

    turns: tuple[LoggedTurn, ...]
    memory_version: int
    blocks: tuple[BlockValue, ...] = ()
    start: str = "0-0"
    cursor: str = "0-0"
    wanted: str = "0-0"
    evict: str = "0-0"


class LoggedMessage(msgspec.Struct, frozen=True):
    """A message as the log gives it back; `message.id` is set and can be passed as `before`."""

    turn_id: str
    message: Message


class Health(msgspec.Struct, frozen=True):
    """The server behind the store, as shown at start and in `/readyz`."""

    engine: str
    durability: Durability
    where: str


class ConversationStore(Protocol):
    """Conversations: sessions and their owners, turns from first word to log."""

    async def open_session(self, pair: Pair, session_id: str, owner: Owner) -> int:
        """Own the session, and its open turn, from now on; returns the new epoch (1, 2 …), which fences earlier owners.

        Repeated, it returns a still newer epoch; the last one returned holds.
        """
        ...

    async def load(self, pair: Pair) -> Snapshot:
        """Everything committed for the pair."""
        ...

    async def begin_turn(self, turn: OpenTurn) -> None:
        """Journal a turn's first messages. Repeating it overwrites them (a merged second final); steps are kept."""
        ...

    async def save_step(self, ref: TurnRef, index: int, messages: tuple[Message, ...]) -> None:
        """Journal a finished step of an open turn. One that is not open, or committed already, is left alone."""
        ...

    async def commit_turn(self, ref: TurnRef, record: TurnRecord, evict: str | None = None) -> str:
        """Move the turn into the log and drop its journal, in one step; returns the log entry's id.

        `evict`: turns up to this entry leave the window as soon as a job has dealt with them, and one is raised in the
        same step. Committing a turn twice returns the first id and changes nothing.
        """
        ...

    async def commit_heard(self, ref: TurnRef, messages: tuple[Message, ...]) -> None:
        """Append the settled messages of a committed turn whose heard text moved after its end.

        Raises StoreError if the turn is not in the log.
        """
        ...

    async def read_messages(self, pair: Pair, before: str | None, limit: int) -> tuple[LoggedMessage, ...]:
        """The log, newest first, from before the message with id `before` (ValueError if it is no such id)."""
        ...

    async def list_users(self, agent: str, after: str, limit: int) -> tuple[str, ...]:
        """Users with a log at this agent, or a turn that waits: in code point order, those after `after`."""
        ...

    async def beat(self, owner: Owner, lease_ms: int) -> None:
        """Say that the owner lives: its slot is its own for `lease_ms` more."""
        ...

    async def orphans(self) -> tuple[OpenTurn, ...]:
        """Open turns whose session's owner is dead: its lease ran out, or its slot has a newer incarnation.

        Each comes with the session's present epoch and owner, and everything that was journalled.
        """
        ...

    async def adopt(self, turn: OpenTurn, owner: Owner) -> OpenTurn | None:
        """Take an orphan over: a new epoch fences its old owner. None: somebody else did, or it is committed."""
        ...

    async def health(self) -> Health:
        """The server's name, version and durability level."""
        ...


class AgentRow(msgspec.Struct, frozen=True):
    """An agent's definition (JSON) with the version that a write must name."""

    id: str
    version: int
    document: bytes


class KeyRow(msgspec.Struct, frozen=True):
    """An API key as listed: never the key, only its hash (hex SHA-256)."""

    id: str
    name: str
    hash: str
    created_at: float


class Directory(Protocol):
    """Agents and credentials."""

    async def write_agent(self, agent_id: str, document: bytes, version: int) -> bool:
        """Write if the stored version is `version` (0: there is none yet); False on conflict.

        A change (not a creation) that is repeated is no conflict with itself.
        """
        ...

    async def read_agent(self, agent_id: str) -> AgentRow | None:
        """One agent, or None."""
        ...

    async def list_agents(self, after: str, limit: int) -> tuple[AgentRow, ...]:
        """Agents in code point order of their ids, those after `after`."""
        ...

    async def delete_agent(self, agent_id: str) -> bool:
        """False if there was none."""
        ...

    async def add_key(self, row: KeyRow) -> None:
        """Keep a key's hash."""
        ...

    async def list_keys(self) -> tuple[KeyRow, ...]:
        """All keys, oldest first."""
        ...

    async def revoke_key(self, key_id: str) -> bool:
        """False if there was none."""
        ...

    async def secret(self) -> bytes:
        """The store's own 32-byte signing secret, made at first use and the same for every process."""
        ...
