"""`python -m tests.retrieval FILE`: the table and both checks; exits 1 if a check fails."""

import argparse
import sys
from pathlib import Path

from tests.retrieval.checks import conserve, probe
from tests.retrieval.data import load
from tests.retrieval.score import evaluate, table
from tests.retrieval.system import ArchiveSystem


def main() -> int:
    """Score the archive on a file."""
    parser = argparse.ArgumentParser(prog="make retrieval DATA=FILE", description="Score search_memory on a file.")
    parser.add_argument("file", type=Path, help="conversations and questions as LoCoMo has them (locomo10.json)")
    talks = load(parser.parse_args().file)
    system = ArchiveSystem()
    sys.stdout.write(table(evaluate(talks, system)) + "\n")
    found, kept = probe(talks, system), conserve(talks[0], system)
    for result in (found, kept):
        sys.stdout.write(f"{'passed' if result.passed else 'FAILED'}: {result}\n")
    return 0 if found.passed and kept.passed else 1


if __name__ == "__main__":
    sys.exit(main())
