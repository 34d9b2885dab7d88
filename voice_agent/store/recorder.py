"""The store in memory, for pure tests: it keeps every promise but durability, and writes down which verbs were called.

It passes the conformance suite of the real one. While `down` is set, every verb raises StoreDown and changes nothing.
"""

import secrets
from bisect import bisect_right

from voice_agent.clock import Clock
from voice_agent.messages import Message, TurnRecord
from voice_agent.store.base import (
    AgentRow,
    Health,
    KeyRow,
    LoggedMessage,
    OpenTurn,
    Owner,
    Pair,
    Snapshot,
    StoreError,
    TurnRef,
)
from voice_agent.store.log import Entry, HeardEntry, Page, TurnEntry, order, read_border
from voice_agent.store.memory import Change
from voice_agent.store.recorder_runs import Journal, RunRecorder


class Recorder(RunRecorder):
    """`ConversationStore`, `Directory`, `MemoryStore` and `RunStore`."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._agents: dict[str, AgentRow] = {}
        self._keys: dict[str, KeyRow] = {}
        self._secret = secrets.token_bytes(32)

    # ---- conversations ----

    async def open_session(self, pair: Pair, session_id: str, owner: Owner) -> int:
        self._note("open_session")
        epoch, _ = self._sessions.get((pair, session_id), (0, owner))
        self._sessions[pair, session_id] = (epoch + 1, owner)
        return epoch + 1

    async def load(self, pair: Pair) -> Snapshot:
        self._note("load")
        return self._snapshot(pair)

    async def begin_turn(self, turn: OpenTurn) -> None:
        self._note("begin_turn")
        ref = turn.ref
        self._fence(ref)
        place = (ref.pair, ref.key)
        if place in self._committed:
            return
        self._sessions.setdefault((ref.pair, ref.session_id), (ref.epoch, turn.owner))
        if place in self._journals:
            self._journals[place].head = turn
        else:
            self._journals[place] = Journal(turn)

    async def save_step(self, ref: TurnRef, index: int, messages: tuple[Message, ...]) -> None:
        self._note("save_step")
        self._fence(ref)
        journal = self._journals.get((ref.pair, ref.key))
        if journal is not None:
            journal.steps[index] = messages

    async def commit_turn(self, ref: TurnRef, record: TurnRecord, evict: str | None = None) -> str:
        self._note("commit_turn")
        self._fence(ref)
        place = (ref.pair, ref.key)
        if place not in self._committed:
            entry = TurnEntry(self._entry_id(), record)
            self._log(ref.pair, entry)
            self._committed[place] = entry.id
            self._journals.pop(place, None)
            self._waits_no_more(ref)
            if evict:
                self._evict(ref.pair, evict)
        return self._committed[place]

    async def commit_heard(self, ref: TurnRef, messages: tuple[Message, ...]) -> None:
        self._note("commit_heard")
        self._fence(ref)
        turn = self._committed.get((ref.pair, ref.key))
        if turn is None:
            raise StoreError(f"turn {ref.key} is not in the log")
        self._log(ref.pair, HeardEntry(self._entry_id(), ref.key, messages, turn))

    async def read_messages(self, pair: Pair, before: str | None, limit: int) -> tuple[LoggedMessage, ...]:
        self._note("read_messages")
        border = None if before is None else read_border(before)
        log = self._mind(pair).log
        older = len(log) if border is None else bisect_right(log, order(border.entry), key=lambda e: order(e.id))
        page = Page(border, limit)
        page.look_past(reversed(log[older:]))
        for entry in reversed(log[:older]):
            page.add(entry)
        return page.messages

    async def list_users(self, agent: str, after: str, limit: int) -> tuple[str, ...]:
        self._note("list_users")
        pairs = {pair for pair, mind in self._minds.items() if mind.log} | self._waited
        users = sorted(pair.user for pair in pairs if pair.agent == agent)
        return tuple(user for user in users if user > after)[:limit]

    async def beat(self, owner: Owner, lease_ms: int) -> None:
        self._note("beat")
        self._leases[owner.slot] = (owner.incarnation, self._clock.now() + lease_ms / 1000)

    async def orphans(self) -> tuple[OpenTurn, ...]:
        self._note("orphans")
        turns = []
        for journal in self._journals.values():
            ref = journal.head.ref
            epoch, owner = self._sessions[ref.pair, ref.session_id]
            if not self._waits(ref) and not self._alive(owner):
                turns.append(journal.turn(epoch, owner))
        return tuple(turns)

    async def adopt(self, turn: OpenTurn, owner: Owner) -> OpenTurn | None:
        self._note("adopt")
        ref = turn.ref
        journal = self._journals.get((ref.pair, ref.key))
        if journal is None or self._sessions[ref.pair, ref.session_id][0] != ref.epoch:
            return None
        self._sessions[ref.pair, ref.session_id] = (ref.epoch + 1, owner)
        return journal.turn(ref.epoch + 1, owner)

    async def forget(self, pair: Pair) -> bool:
        held = await super().forget(pair)
        mine = [place for place in self._journals if place[0] == pair]
        for place in mine:
            del self._journals[place]
        self._committed = {place: entry for place, entry in self._committed.items() if place[0] != pair}
        if (self._forget_runs(pair) or mine) and not held:
            self._announce(Change(pair, "forgotten", 0))
            return True
        return held

    async def trim(self, pair: Pair, before: float) -> int:
        self._note("trim")
        self._trim_runs(pair, before)
        mind = self._mind(pair)
        gone, last = mind.trim(before)
        if gone:
            old = {key for key, entry in self._committed.items() if key[0] == pair and order(entry) <= order(last)}
            self._committed = {key: entry for key, entry in self._committed.items() if key not in old}
            self._announce(Change(pair, "memory", mind.version))
        return gone

    async def health(self) -> Health:
        self._note("health")
        return Health(engine="memory", durability="none", where="this process")

    # ---- directory ----

    async def write_agent(self, agent_id: str, document: bytes, version: int) -> bool:
        self._note("write_agent")
        held, new = self._agents.get(agent_id), AgentRow(agent_id, version + 1, document)
        if version and held == new:
            return True
        if (held.version if held else 0) != version:
            return False
        self._agents[agent_id] = new
        return True

    async def read_agent(self, agent_id: str) -> AgentRow | None:
        self._note("read_agent")
        return self._agents.get(agent_id)

    async def list_agents(self, after: str, limit: int) -> tuple[AgentRow, ...]:
        self._note("list_agents")
        return tuple(self._agents[name] for name in sorted(self._agents) if name > after)[:limit]

    async def delete_agent(self, agent_id: str) -> bool:
        self._note("delete_agent")
        return self._agents.pop(agent_id, None) is not None

    async def add_key(self, row: KeyRow) -> None:
        self._note("add_key")
        self._keys[row.id] = row

    async def list_keys(self) -> tuple[KeyRow, ...]:
        self._note("list_keys")
        return tuple(sorted(self._keys.values(), key=lambda row: (row.created_at, row.id)))

    async def revoke_key(self, key_id: str) -> bool:
        self._note("revoke_key")
        return self._keys.pop(key_id, None) is not None

    async def secret(self) -> bytes:
        self._note("secret")
        return self._secret

    # ---- what every verb does ----

    def _log(self, pair: Pair, entry: Entry) -> None:
        mind = self._mind(pair)
        mind.log.append(entry)
        mind.times[entry.id] = self._clock.wall()
