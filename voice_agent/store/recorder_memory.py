"""The recorder's memory: `MemoryStore` in this process, with the same outcomes as the server's scripts."""

import asyncio
from collections import deque

from msgspec.structs import replace

from voice_agent.clock import Clock
from voice_agent.store.base import BlockValue, Pair, Snapshot, StoreDown
from voice_agent.store.log import fold, order, strays
from voice_agent.store.memory import Change, DeadJob, Document, Job, JobResult, MemoryHealth, Passages
from voice_agent.store.recorder_mind import Mind, Ticket

CHANGES_MAX = 10_000


class MemoryRecorder:
    """`commands` holds the names of the verbs in the order of their calls; while `down`, each raises StoreDown."""

    def __init__(self, clock: Clock) -> None:
        self.commands: list[str] = []
        self.down = False
        self._clock = clock
        self._minds: dict[Pair, Mind] = {}
        self._dead: dict[str, tuple[DeadJob, str, str, str]] = {}
        self._changes: deque[tuple[int, Change]] = deque(maxlen=CHANGES_MAX)
        self._stirred = asyncio.Event()
        self._entries = 0

    async def read_memory(self, pair: Pair) -> Snapshot:
        self._note("read_memory")
        return self._snapshot(pair)

    # ---- blocks ----

    async def write_block(self, pair: Pair, block: BlockValue) -> bool:
        self._note("write_block")
        mind = self._mind(pair)
        if block in mind.blocks.get(block.label, [])[-1:]:
            return True
        if mind.block_version(block.label) != block.version - 1:
            return False
        mind.write(block)
        mind.version += 1
        self._announce(Change(pair, "memory", mind.version, (block.label,)))
        return True

    async def block_history(self, pair: Pair, label: str) -> tuple[BlockValue, ...]:
        self._note("block_history")
        return tuple(reversed(self._mind(pair).blocks.get(label, ())))

    # ---- jobs ----

    async def raise_job(self, pair: Pair, reason: str) -> bool:
        self._note("raise_job")
        mind = self._mind(pair)
        upto = mind.last_turn()
        if order(upto) <= order(mind.cursor):
            return False
        self._want(pair, reason, upto)
        return True

    async def next_jobs(self, worker: str, count: int, block_ms: int) -> tuple[Job, ...]:
        self._note("next_jobs")
        if not self._waiting() and block_ms:
            await self._stir(block_ms)
        return tuple(self._hand_out(ticket, worker) for ticket in self._waiting()[:count])

    async def claim_jobs(self, worker: str, idle_ms: int, count: int) -> tuple[Job, ...]:
        self._note("claim_jobs")
        now = self._clock.now()
        due = [
            ticket
            for ticket in self._tickets()
            if ticket.worker is not None
            and (now - ticket.held_since) * 1000 >= idle_ms * 2 ** (ticket.job.deliveries - 1)
        ]
        return tuple(self._hand_out(ticket, worker) for ticket in due[:count])

    async def renew_jobs(self, worker: str, jobs: tuple[Job, ...]) -> None:
        self._note("renew_jobs")
        ids = {job.id for job in jobs}
        for ticket in self._tickets():
            if ticket.worker == worker and ticket.job.id in ids:
                ticket.held_since = self._clock.now()

    async def finish_job(self, job: Job, result: JobResult) -> int | None:
        self._note("finish_job")
        mind, ticket = self._mind(job.pair), self._ticket(job)
        if mind.done == job.id:
            return mind.version
        if ticket is None or mind.cursor != result.cursor_from:
            return None
        if any(mind.block_version(block.label) != block.version - 1 for block in result.blocks):
            return None
        mind.keys += [(self._entry_id(), key) for key in result.keys]
        for block in result.blocks:
            mind.write(block)
        moved = [mind.move("cursor", result.cursor_to), mind.move("start", result.start), mind.move_start()]
        if any(moved) or result.keys or result.blocks:
            mind.version += 1
            labels, lag_ms = tuple(block.label for block in result.blocks), self._age_ms(ticket)
            self._announce(Change(job.pair, "memory", mind.version, labels, lag_ms))
        mind.done, mind.last_failure = job.id, None
        self._close(job.pair, mind)
        return mind.version

    async def fail_job(self, job: Job, reason: str) -> None:
        self._note("fail_job")
        if self._ticket(job) is not None:
            self._mind(job.pair).last_failure = reason

    async def bury_job(self, job: Job, reason: str) -> None:
        self._note("bury_job")
        mind, ticket = self._mind(job.pair), self._ticket(job)
        if ticket is None:
            return
        letter = DeadJob(f"0-{self._entry_id()}", job.pair, reason, job.deliveries, self._clock.wall())
        self._dead[letter.id] = (letter, mind.cursor, mind.start, ticket.upto)
        mind.last_failure = reason
        mind.move("cursor", ticket.upto)
        if mind.move_start():
            self._announce(Change(job.pair, "memory", mind.version))
        self._close(job.pair, mind)

    async def dead_jobs(self, limit: int) -> tuple[DeadJob, ...]:
        self._note("dead_jobs")
        return tuple(letter for letter, *_ in reversed(self._dead.values()))[:limit]

    async def retry_job(self, dead_id: str) -> bool:
        self._note("retry_job")
        if dead_id not in self._dead:
            return False
        letter, cursor, start, upto = self._dead.pop(dead_id)
        mind = self._mind(letter.pair)
        mind.cursor, mind.start = min(mind.cursor, cursor, key=order), min(mind.start, start, key=order)
        self._want(letter.pair, "retry", upto)
        return True

    async def drop_job(self, dead_id: str) -> bool:
        self._note("drop_job")
        return self._dead.pop(dead_id, None) is not None

    async def memory_health(self, pair: Pair) -> MemoryHealth:
        self._note("memory_health")
        mind = self._mind(pair)
        lag_ms = self._age_ms(mind.ticket) if mind.ticket else 0.0
        dead = sum(letter.pair == pair for letter, *_ in self._dead.values())
        marks = (mind.start, mind.cursor, mind.wanted)
        return MemoryHealth(int(mind.ticket is not None), lag_ms, *marks, mind.last_failure, dead)

    # ---- the archive ----

    async def add_documents(self, pair: Pair, documents: tuple[Document, ...]) -> tuple[str, ...]:
        self._note("add_documents")
        mind = self._mind(pair)
        batch = tuple(replace(document, id="") for document in documents)
        ids = mind.batches.get(batch, ())
        if not documents or (ids and all(entry_id in mind.documents for entry_id in ids)):
            return ids
        ids = tuple(f"d{self._entry_id()}" for _ in batch)
        mind.documents |= {name: replace(document, id=name) for name, document in zip(ids, batch, strict=True)}
        mind.batches[batch] = ids
        return ids

    async def delete_document(self, pair: Pair, document_id: str) -> bool:
        self._note("delete_document")
        mind = self._mind(pair)
        if mind.documents.pop(document_id, None) is None:
            return False
        mind.gone.append((self._entry_id(), document_id))
        return True

    async def read_passages(self, pair: Pair, place: str) -> Passages:
        self._note("read_passages")
        mind = self._mind(pair)
        born, _, last = place.partition("|")
        anew = bool(place) and born != mind.born
        since = order(last) if place and not anew else (0, 0)
        log = [entry for entry in mind.log if order(entry.id) > since]
        lost = strays(log)
        return Passages(
            turns=fold([entry for entry in mind.log if entry.id in lost] + log),
            keys=tuple(key for entry_id, key in mind.keys if order(entry_id) > since),
            documents=tuple(found for found in mind.documents.values() if order(found.id[1:]) > since),
            gone=tuple(document_id for entry_id, document_id in mind.gone if order(entry_id) > since),
            place=f"{mind.born}|{self._entries}-0",
            anew=anew,
        )

    async def forget(self, pair: Pair) -> bool:
        self._note("forget")
        self._dead = {name: held for name, held in self._dead.items() if held[0].pair != pair}
        mind = self._minds.pop(pair, None)
        if mind is None or not mind.holds:
            return False
        self._announce(Change(pair, "forgotten", 0))
        return True

    async def changes(self, places: dict[str, str], block_ms: int) -> tuple[Change, ...]:
        self._note("changes")
        since = int(places.setdefault("0", str(self._entries)))
        if block_ms and not any(number > since for number, _ in self._changes):
            await self._stir(block_ms)
        places["0"] = str(self._entries)
        return tuple(change for number, change in self._changes if number > since)

    # ---- what the verbs share ----

    def _note(self, verb: str) -> None:
        self.commands.append(verb)
        if self.down:
            raise StoreDown("the store cannot be reached: it was told to be down")

    def _entry_id(self) -> str:
        self._entries += 1
        return f"{self._entries}-0"

    def _mind(self, pair: Pair) -> Mind:
        if pair not in self._minds:
            self._minds[pair] = Mind(self._entry_id())
        return self._minds[pair]

    def _snapshot(self, pair: Pair) -> Snapshot:
        mind = self._mind(pair)
        return Snapshot(
            turns=fold(entry for entry in mind.log if order(entry.id) > order(mind.start)),
            memory_version=mind.version,
            blocks=tuple(mind.blocks[label][-1] for label in sorted(mind.blocks)),
            start=mind.start,
            cursor=mind.cursor,
            wanted=mind.wanted,
            evict=mind.evict,
        )

    def _evict(self, pair: Pair, upto: str) -> None:
        mind = self._mind(pair)
        mind.move("evict", upto)
        if order(upto) > order(mind.cursor):
            self._want(pair, "eviction", upto)
        elif mind.move_start():
            self._announce(Change(pair, "memory", mind.version))

    def _want(self, pair: Pair, reason: str, upto: str) -> None:
        mind = self._mind(pair)
        mind.move("wanted", upto)
        if mind.ticket is None:
            self._ring(pair, mind, reason, self._clock.now())
        else:
            mind.next = (reason, mind.next[1] if mind.next else self._clock.now())

    def _ring(self, pair: Pair, mind: Mind, reason: str, asked: float) -> None:
        mind.ticket = Ticket(Job(f"0-{self._entry_id()}", pair, reason, 0), mind.wanted, asked)
        self._wake()

    def _close(self, pair: Pair, mind: Mind) -> None:
        """A job is over; what was wanted past the cursor meanwhile is the next one's."""
        reason, asked = mind.next or ("more", self._clock.now())
        mind.ticket = mind.next = None
        if order(mind.wanted) > order(mind.cursor):
            self._ring(pair, mind, reason, asked)

    def _tickets(self) -> list[Ticket]:
        tickets = (mind.ticket for mind in self._minds.values() if mind.ticket is not None)
        return sorted(tickets, key=lambda ticket: order(ticket.job.id[2:]))

    def _waiting(self) -> list[Ticket]:
        return [ticket for ticket in self._tickets() if ticket.worker is None]

    def _ticket(self, job: Job) -> Ticket | None:
        """The job's own, unless it is over."""
        ticket = self._mind(job.pair).ticket
        return ticket if ticket is not None and ticket.job.id == job.id else None

    def _hand_out(self, ticket: Ticket, worker: str) -> Job:
        ticket.worker, ticket.held_since = worker, self._clock.now()
        ticket.job = replace(ticket.job, deliveries=ticket.job.deliveries + 1)
        return ticket.job

    def _age_ms(self, ticket: Ticket) -> float:
        return (self._clock.now() - ticket.asked) * 1000

    def _announce(self, change: Change) -> None:
        self._changes.append((order(self._entry_id())[0], change))
        self._wake()

    def _wake(self) -> None:
        self._stirred.set()
        self._stirred = asyncio.Event()

    async def _stir(self, block_ms: int) -> None:
        """Wait until there is a job or a change."""
        try:
            async with asyncio.timeout(block_ms / 1000):
                await self._stirred.wait()
        except TimeoutError:
            pass
