"""`python -m sleeptime`: the worker's command line."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from sleeptime.process import work
from voice_agent import lifeline, logs
from voice_agent.config import ConfigError, Settings, read_settings
from voice_agent.store.base import StoreError


def main(
    data_dir: Annotated[Path | None, typer.Option(help="Where the embedded store lives (VOICE_DATA).")] = None,
    supervisor: Annotated[int | None, typer.Option("--lifeline", hidden=True)] = None,
) -> None:
    """Turn conversations into memory as the store asks for it, until SIGTERM or Ctrl-C."""
    try:
        settings = read_settings(data=data_dir)
        logs.configure("sleeptime", settings.log_level)
        if supervisor is not None:
            lifeline.follow(supervisor)
        asyncio.run(_run(settings))
    except (ConfigError, StoreError, OSError) as fault:
        sys.stderr.write(f"voice-gateway sleeptime: {fault}\n")
        raise typer.Exit(2) from None


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await work(settings, stop)


if __name__ == "__main__":
    typer.run(main)
