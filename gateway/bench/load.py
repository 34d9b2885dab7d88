"""The generator: every turn is asked when it is due, whatever became of those before it."""

import asyncio
import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from gateway.bench.board import Board, Take
from gateway.bench.plan import SHARES, due
from voice_agent.clock import SystemClock

# How long nothing may happen before the turns that are still out count as lost.
PATIENCE_S = 20.0
LEAD_S = 0.05


class Caller(Protocol):
    """Whoever asks: a session of the gateway's, or a direct client. It notes on `board`."""

    board: Board

    def ask(self, take: Take) -> None:
        """Ask now, or as soon as the turn before is over."""
        ...


class _Turn(NamedTuple):
    at: float
    caller: Caller
    interrupt_after: int


async def play(
    groups: Mapping[str, Sequence[Caller]],
    turns: int,
    interval_s: float,
    boards: dict[str, Board],
    interrupt_after: int = 0,
) -> None:
    """One phase: each caller of each group asks `turns` times. Ends when all is answered, or nothing more comes.

    With `interrupt_after`, every second turn is interrupted after so many pieces of speech. `boards` gets a board for
    each group at once, so that whoever stops the phase in its middle has what was noted until then.
    """
    boards |= {name: Board(len(callers) * turns) for name, callers in groups.items()}
    for name, callers in groups.items():
        for caller in callers:
            caller.board = boards[name]
    now = SystemClock().now
    began = now() + LEAD_S
    shares = SHARES if "history" in groups else {}
    schedules = [
        _schedule(callers, due(len(callers), turns, interval_s, shares.get(name, 0.0)), interrupt_after)
        for name, callers in groups.items()
    ]
    for turn in heapq.merge(*schedules, key=lambda turn: turn.at):
        await asyncio.sleep(max(0.0, began + turn.at - now()))
        if any(board.fault for board in boards.values()):
            return
        turn.caller.ask(turn.caller.board.begin(began + turn.at, turn.interrupt_after))
    for board in boards.values():
        await _answered(board)


def _schedule(callers: Sequence[Caller], moments: Iterable[tuple[float, int]], interrupt_after: int) -> list[_Turn]:
    return [
        _Turn(at, callers[number], interrupt_after if (number + place // len(callers)) % 2 else 0)
        for place, (at, number) in enumerate(moments)
    ]


async def _answered(board: Board) -> None:
    while board.done < board.planned and board.fault is None:
        board.changed.clear()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await board.changed.wait()
        except TimeoutError:
            return
