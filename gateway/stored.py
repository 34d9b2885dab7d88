"""Commands over what the store holds, `voice-gateway keys` and `voice-gateway jobs`."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from voice_agent.clock import SystemClock
from voice_agent.config import read_settings

if TYPE_CHECKING:
    from gateway.auth import Keys
    from voice_agent.store.memory import DeadJob, MemoryStore

keys_app = typer.Typer(no_args_is_help=True, help="API keys: who may come in.")
jobs_app = typer.Typer(no_args_is_help=True, help="Sleeptime jobs that were given up: look, try again, drop.")

T = TypeVar("T")
DataDir = Annotated[Path | None, typer.Option(help="Where the embedded store lives (VOICE_DATA).")]
JobId = Annotated[str, typer.Argument(help="As `jobs list` shows it.")]


@asynccontextmanager
async def _keys(data_dir: Path | None) -> "AsyncIterator[Keys]":
    from gateway.auth import Keys
    from voice_agent.store.attach import attached
    from voice_agent.store.directory import RedisDirectory

    async with attached(read_settings(data=data_dir)) as connection:
        yield Keys(RedisDirectory(connection), SystemClock())


@keys_app.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="What the key is for.")] = "unnamed", data_dir: DataDir = None
) -> None:
    """Make an API key and show it, once. From the first key on, callers need one."""

    async def run() -> None:
        async with _keys(data_dir) as keys:
            made = await keys.create(name)
        print(made.key)
        sys.stderr.write(
            f"Key {made.id} ({name}). It is not shown again; `voice-gateway keys revoke {made.id}` ends it.\n"
        )

    asyncio.run(run())


@keys_app.command("list")
def keys_list(data_dir: DataDir = None) -> None:
    """List the API keys: id, when it was made, what it is for."""

    async def run() -> None:
        async with _keys(data_dir) as keys:
            for row in await keys.list():
                print(f"{row.id}  {_time(row.created_at)}  {row.name}")

    asyncio.run(run())


@keys_app.command("revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(help="As `keys list` shows it.")], data_dir: DataDir = None
) -> None:
    """Shut a key out, from the next request on."""

    async def run() -> bool:
        async with _keys(data_dir) as keys:
            revoked = await keys.revoke(key_id)
            if revoked and not await keys.list():
                sys.stderr.write("That was the last key: on loopback the gateway now lets everybody in.\n")
            return revoked

    if not asyncio.run(run()):
        sys.stderr.write(
            f"voice-gateway: there is no key with the id {key_id!r}; `voice-gateway keys list` shows them\n"
        )
        raise typer.Exit(1)


# As many dead letters as are listed and searched, newest first.
MOST_JOBS = 1000


def _on_memory(data_dir: Path | None, do: Callable[["MemoryStore"], Awaitable[T]]) -> T:
    async def run() -> T:
        from voice_agent.store.attach import attached
        from voice_agent.store.redis_memory import RedisMemory

        async with attached(read_settings(data=data_dir)) as connection:
            return await do(RedisMemory(connection))

    return asyncio.run(run())


def _dead_jobs(data_dir: Path | None) -> "tuple[DeadJob, ...]":
    return _on_memory(data_dir, lambda memory: memory.dead_jobs(MOST_JOBS))


def _no_such_job(job_id: str) -> typer.Exit:
    sys.stderr.write(f"voice-gateway: there is no dead letter {job_id!r}; `voice-gateway jobs list` shows them\n")
    return typer.Exit(1)


@jobs_app.command("list")
def jobs_list(data_dir: DataDir = None) -> None:
    """List the jobs that were given up, newest first: id, when, agent and user, why."""
    from gateway.talk import printable

    for job in _dead_jobs(data_dir):
        line = f"{job.id}  {_time(job.at)}  {job.pair.agent}/{job.pair.user}  {job.reason}"
        print(" ".join(printable(line).splitlines()))


@jobs_app.command("show")
def jobs_show(job_id: JobId, data_dir: DataDir = None) -> None:
    """Show why a job was given up, whose memory it was for, and how often it was tried."""
    from gateway.talk import printable

    for job in _dead_jobs(data_dir):
        if job.id == job_id:
            told = (
                ("id", job.id), ("agent", job.pair.agent), ("user", job.pair.user), ("deliveries", job.deliveries),
                ("given up", _time(job.at)), ("reason", job.reason),
            )  # fmt: skip
            for name, value in told:
                print(f"{name + ':':<12}{printable(str(value))}")
            return
    raise _no_such_job(job_id)


@jobs_app.command("retry")
def jobs_retry(job_id: JobId, data_dir: DataDir = None) -> None:
    """Raise the job again: a worker takes it up from where memory stood before."""
    if not _on_memory(data_dir, lambda memory: memory.retry_job(job_id)):
        raise _no_such_job(job_id)


@jobs_app.command("drop")
def jobs_drop(job_id: JobId, data_dir: DataDir = None) -> None:
    """Forget a dead letter. What was said stays in the log, and can be found."""
    if not _on_memory(data_dir, lambda memory: memory.drop_job(job_id)):
        raise _no_such_job(job_id)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
