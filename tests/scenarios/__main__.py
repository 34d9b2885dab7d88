"""`python -m tests.scenarios`: plays each scenario over each wire format, by each way in; prints `docs/scenarios.md`.

Exit code 1 if a history is not what it should be.
"""

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

from tests.scenarios.house import play_all
from tests.scenarios.page import page


def main() -> None:
    """See the module."""
    logging.disable()  # the faults are wanted
    with tempfile.TemporaryDirectory() as folder:
        told = page(asyncio.run(play_all(Path(folder))))
    sys.stdout.write(told)
    sys.exit("| differs |" in told)


if __name__ == "__main__":
    main()
