"""A caller who speaks Chat Completions: the product's own HTTP client and decoder, one request after another.

Pointed at the provider it is the direct client, beside which the gateway is measured.
"""

import asyncio
from collections import deque

from gateway.bench.board import Board, Take
from gateway.bench.where import refusal
from voice_agent import events as ev
from voice_agent.clock import SystemClock
from voice_agent.llm.chat_completions import FORMAT
from voice_agent.llm.http1 import WireError
from voice_agent.llm.wire import Pool, Reply


class ChatCaller:
    """Asks with the same body each time. Its turns are tasks of `tasks`; `board` is where it notes."""

    def __init__(self, pool: Pool, body: bytes, tasks: asyncio.TaskGroup) -> None:
        self._pool = pool
        self._body = body
        self._tasks = tasks
        self._waiting: deque[Take] = deque()
        self._task: asyncio.Task[None] | None = None
        self._now = SystemClock().now
        self.board = Board()

    def ask(self, take: Take) -> None:
        """See `Caller.ask`."""
        self._waiting.append(take)
        if self._task is None:
            self._task = self._tasks.create_task(self._turns())

    def hang_up(self) -> None:
        """Leave, in the middle of an answer if need be."""
        if self._task is not None:
            self._task.cancel()

    async def _turns(self) -> None:
        while self._waiting:
            take = self._waiting.popleft()
            await self._turn(take)
            if self._waiting:
                self._waiting[0].free = self._now()
            self.board.finish()
        self._task = None

    async def _turn(self, take: Take) -> None:
        take.sent = self._now()
        try:
            async with self._pool.post(FORMAT.path, self._body) as reply:
                if reply.status != 200:
                    self._refused(reply.status, await reply.read())
                    return
                await self._stream(take, reply)
        except WireError as fault:
            self.board.give_up(f"a request was not answered to its end: {fault}")

    async def _stream(self, take: Take, reply: Reply) -> None:
        decoder = FORMAT.decoder("bench", "bench", None)

        def feed(chunk: bytes) -> bool:
            at = self._now()
            for event in decoder.feed(chunk):
                self._note(take, event, at)
            return decoder.finished

        await reply.stream(feed)
        if not decoder.finished:
            for event in decoder.eof():
                self._note(take, event, self._now())

    def _refused(self, status: int, body: bytes) -> None:
        if status in (401, 403, 404):
            self.board.give_up(refusal(status, body))
        else:
            self.board.errors[f"status {status}"] += 1

    def _note(self, take: Take, event: ev.ModelEvent, at: float) -> None:
        match event:
            case ev.TextDelta(text=text):
                self.board.token_added.extend(take.heard(text, "reply", at))
            case ev.ModelFinished():
                take.ended = at
                take.reason = "end_turn"
            case ev.ModelFailed():
                take.ended = at
                take.reason = "llm_api_error"
            case _:
                pass
