"""`python -m benchmarks.memory`: the table of memory's figures; exits 1 if one of them misses what it has to be."""

import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks.commit import commit
from benchmarks.drain import drain
from benchmarks.figures import Figure, machine, table
from benchmarks.live import live
from benchmarks.search import search
from benchmarks.talk import AGENT
from voice_agent.config import read_settings
from voice_agent.store.attach import attached
from voice_agent.store.directory import RedisDirectory
from voice_agent.store.server import read_health


def main() -> int:
    """Measure everything, one thing after the other."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        engine, figures = asyncio.run(_measure(Path(folder)))
    sys.stdout.write(f"{machine(engine)}\n{table(figures)}\n")
    return 0 if all(figure.holds for figure in figures) else 1


async def _measure(folder: Path) -> tuple[str, list[Figure]]:
    figures = list[Figure]()
    for name, measure in (("live", live), ("drain", drain), ("commit", commit)):
        data = folder / name
        async with attached(read_settings(data=data)) as store:
            await RedisDirectory(store).write_agent(AGENT.id, AGENT.document(), 0)
            figures += await measure(data, store)
            health = await read_health(store)
    return f"{health.engine}, durability {health.durability}", [*figures, *search()]


if __name__ == "__main__":
    sys.exit(main())
