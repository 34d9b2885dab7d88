"""What the recorder holds of a pair: its log, and its memory with the marks that say how far it is."""

from voice_agent.store.base import BlockValue
from voice_agent.store.log import Entry, HeardEntry, TurnEntry, order
from voice_agent.store.memory import Document, Job, SearchKey

NOTHING = "0-0"
VERSIONS_KEPT = 100


class Ticket:
    """A job that waits or runs: what it is for, and who holds it."""

    def __init__(self, job: Job, upto: str, asked: float) -> None:
        self.job = job
        self.upto = upto
        self.asked = asked
        self.worker: str | None = None
        self.held_since = 0.0


class Mind:
    """All that is held of a pair; the marks are ids of log entries."""

    def __init__(self, born: str) -> None:
        self.born = born
        self.log: list[Entry] = []
        self.times: dict[str, float] = {}
        self.blocks: dict[str, list[BlockValue]] = {}
        self.keys: list[tuple[str, SearchKey]] = []
        self.documents: dict[str, Document] = {}
        self.gone: list[tuple[str, str]] = []
        self.batches: dict[tuple[Document, ...], tuple[str, ...]] = {}
        self.start = self.evict = self.cursor = self.wanted = NOTHING
        self.version = 0
        self.ticket: Ticket | None = None
        self.done = ""
        self.next: tuple[str, float] | None = None
        self.last_failure: str | None = None

    @property
    def holds(self) -> bool:
        """Whether anything is held at all."""
        return bool(self.log or self.blocks or self.documents or self.gone)

    def move(self, mark: str, to: str) -> bool:
        """Move a mark on, never back; whether it moved."""
        if order(to) <= order(getattr(self, mark)):
            return False
        setattr(self, mark, to)
        return True

    def move_start(self) -> bool:
        """What is to leave the window leaves it as far as it has been dealt with."""
        return self.move("start", min(self.evict, self.cursor, key=order))

    def block_version(self, label: str) -> int:
        """0: there is none."""
        return self.blocks[label][-1].version if label in self.blocks else 0

    def write(self, block: BlockValue) -> None:
        """The block's new version, and the ones before it that are kept."""
        self.blocks[block.label] = [*self.blocks.get(block.label, []), block][-VERSIONS_KEPT:]

    def trim(self, before: float) -> tuple[int, str]:
        """Forget what entered the log before this time; returns how many entries went, and the last one by its age."""
        old = [entry.id for entry in self.log if self.times[entry.id] < before]
        if not old:
            return 0, NOTHING
        last, held = old[-1], len(self.log)
        self.log = [
            entry
            for entry in self.log
            if order(entry.entry if isinstance(entry, HeardEntry) else entry.id) > order(last)
        ]
        self.keys = [(entry_id, key) for entry_id, key in self.keys if order(key.first.partition(".")[0]) > order(last)]
        self.move("cursor", last)
        self.move("start", last)
        self.born = f"after {last}"
        return held - len(self.log), last

    def last_turn(self) -> str:
        """The log's newest turn."""
        return next((entry.id for entry in reversed(self.log) if isinstance(entry, TurnEntry)), NOTHING)
