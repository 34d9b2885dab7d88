"""A checker that reads the memory of some users, while the product runs, and names every promise that it sees broken.

No look can raise a false alarm, whatever is written meanwhile, because of the order in which it reads. Which turns were
told as ended is noted first: those are committed, and a committed turn stays in the log for good. Then comes the
snapshot (one script: window, start, cursor and blocks are of one moment), then the archive. Keys and cursor are written
in one step, so an archive read later has every key that the snapshot's cursor speaks of, and every turn of the window;
`read_passages` reads keys before the log, so each key's messages are there. Block versions come last: none is missing
that the snapshot had. What may have come in between (later turns, keys, versions) is only asked for order and doubles.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

import msgspec

from voice_agent.memory.history import order
from voice_agent.messages import Message
from voice_agent.prompt import provider_text
from voice_agent.store.base import BlockValue, Pair, Snapshot
from voice_agent.store.memory import MemoryStore, Passages

KEPT_VERSIONS = 100


class View(msgspec.Struct, frozen=True):
    """One look at a pair's memory: `told` are the turns whose end its caller had heard before it."""

    told: tuple[str, ...]
    snapshot: Snapshot
    passages: Passages
    versions: dict[str, tuple[BlockValue, ...]]


class Checker:
    """Looks at the memory of `told`'s pairs, whose callers add the turns they heard the end of, in order.

    `limits` are those of the blocks, in characters. `looks` counts the looks at a pair that found nothing wrong.
    """

    def __init__(self, told: Mapping[Pair, Sequence[str]], limits: Mapping[str, int]) -> None:
        self.looks = 0
        self._told = told
        self._limits = limits
        self._last: dict[Pair, View] = {}

    async def look(self, memory: MemoryStore) -> None:
        """Look at every pair. Raises AssertionError naming all that is wrong, StoreDown if the store is away."""
        dead = [job for job in await memory.dead_jobs(100) if job.pair in self._told]
        assert not dead, "; ".join(f"{job.pair.user}: dead letter, {job.reason}" for job in dead)
        for pair in self._told:
            view = await self._view(memory, pair)
            found = [*_log(view), *_window(view), *_keys(view), *_blocks(view, self._limits)]
            if pair in self._last:
                found += _since(self._last[pair], view)
            assert not found, f"{pair.user}: " + "; ".join(found)
            self._last[pair] = view
            self.looks += 1

    def last(self, pair: Pair) -> View:
        """What was seen of the pair at the last look."""
        return self._last[pair]

    async def _view(self, memory: MemoryStore, pair: Pair) -> View:
        told = tuple(self._told[pair])
        snapshot = await memory.read_memory(pair)
        passages = await memory.read_passages(pair, "")
        versions = {block.label: await memory.block_history(pair, block.label) for block in snapshot.blocks}
        return View(told, snapshot, passages, versions)


def _log(view: View) -> Iterator[str]:
    """Each turn that was told is in the prompt or searchable; the log has each turn once, in order."""
    logged = [turn.record.turn_id for turn in view.passages.turns]
    shown = {turn.record.turn_id for turn in view.snapshot.turns}
    for turn_id in view.told:
        if turn_id not in logged:
            yield f"lost: turn {turn_id} is not in the log" + ("" if turn_id in shown else ", nor in the prompt")
    yield from (f"doubled: turn {turn_id} is in the log twice" for turn_id, n in Counter(logged).items() if n > 1)
    kept = [turn_id for turn_id in view.told if turn_id in logged]
    if [turn_id for turn_id in logged if turn_id in set(kept)] != kept:
        yield f"out of order: the log has {logged}, told was {kept}"


def _window(view: View) -> Iterator[str]:
    """The prompt begins after `start`, which the cursor has passed, and has every turn from there on."""
    snapshot = view.snapshot
    if order(snapshot.start) > order(snapshot.cursor):
        yield f"gone too soon: start {snapshot.start} is past cursor {snapshot.cursor}"
    if order(snapshot.cursor) > order(snapshot.wanted):
        yield f"cursor {snapshot.cursor} is past {snapshot.wanted}, which is all that was asked for"
    shown = [turn.id for turn in snapshot.turns]
    last = order(shown[-1]) if shown else order(snapshot.start)
    due = [turn.id for turn in view.passages.turns if order(snapshot.start) < order(turn.id) <= last]
    if shown != due:
        yield f"lost: the prompt has turns {shown}, the log has {due} there"


def _keys(view: View) -> Iterator[str]:
    """Up to the cursor every message that says something is covered by a key once, and none twice anywhere."""
    turns = view.passages.turns
    messages = [message for turn in turns for message in turn.record.messages]
    dealt_with = sum(len(turn.record.messages) for turn in turns if order(turn.id) <= order(view.snapshot.cursor))
    place = {message.id: n for n, message in enumerate(messages)}
    steps = [0] * (len(messages) + 1)
    for key in view.passages.keys:
        if not {key.first, key.last} <= place.keys() or place[key.first] > place[key.last]:
            yield f"dangling: a key leads from {key.first} to {key.last}, the log has no such messages"
            continue
        steps[place[key.first]] += 1
        steps[place[key.last] + 1] -= 1
    for n, (message, covered) in enumerate(zip(messages, accumulate(steps), strict=False)):
        if covered > 1:
            yield f"doubled: {_named(message)} is covered by {covered} keys"
        elif n < dealt_with and not covered and provider_text(message).strip():
            yield f"lost: {_named(message)} was dealt with and no key covers it"


def _blocks(view: View, limits: Mapping[str, int]) -> Iterator[str]:
    """Versions grow by one, no job wrote a block twice, and none is over its limit."""
    for block in view.snapshot.blocks:
        history = view.versions[block.label]
        numbers = [version.version for version in history]
        if block not in history and block.version > numbers[0] - KEPT_VERSIONS:
            yield f"lost: version {block.version} of {block.label} is not among those kept"
        if any(newer != older + 1 for newer, older in pairwise(numbers)) or len(numbers) < min(
            numbers[0], KEPT_VERSIONS
        ):
            yield f"gap: {block.label} has versions {numbers}"
        authors = Counter(version.author for version in history if version.author.startswith("sleeptime:"))
        yield from (f"doubled: {author} wrote {block.label} {n} times" for author, n in authors.items() if n > 1)
        for version in history:
            if len(version.value) > limits[block.label]:
                yield f"over its limit: version {version.version} of {block.label} has {len(version.value)} characters"


def _since(before: View, now: View) -> Iterator[str]:
    """Marks and versions only move on; what the log and the keys held they still hold, in the same order."""
    for name in ("start", "cursor", "wanted"):
        was, is_now = getattr(before.snapshot, name), getattr(now.snapshot, name)
        if order(is_now) < order(was):
            yield f"moved back: {name} was {was} and is {is_now}"
    held = [(turn.id, turn.record.key) for turn in before.passages.turns]
    holds = [(turn.id, turn.record.key) for turn in now.passages.turns]
    if holds[: len(held)] != held:
        yield f"lost: the log had {held} and begins {holds[: len(held)]}"
    if now.passages.keys[: len(before.passages.keys)] != before.passages.keys:
        yield "lost: keys that were there are not, or are elsewhere"
    versions = {block.label: block.version for block in now.snapshot.blocks}
    for block in before.snapshot.blocks:
        if versions.get(block.label, 0) < block.version:
            yield f"moved back: {block.label} was at version {block.version} and is at {versions.get(block.label)}"


def _named(message: Message) -> str:
    return f"message {message.id} ({message.role}, {message.text[:30]!r})"
