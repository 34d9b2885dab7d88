"""Users of whom nothing was asked for a while: what was said becomes memory then, as it does at the end of a call."""

import asyncio
import logging

from voice_agent.conversations import Conversations
from voice_agent.store.base import Pair, StoreError

log = logging.getLogger(__name__)


class Silences:
    """`run` asks for the consolidation of each pair whose silence has lasted."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations
        self._due: dict[Pair, asyncio.TimerHandle] = {}
        self._lasted: asyncio.Queue[Pair] = asyncio.Queue()

    def begin(self, pair: Pair, lasts_s: float) -> None:
        """Nothing is asked from now on; if that is still so after `lasts_s` seconds, it has lasted."""
        if pair in self._due:
            self._due[pair].cancel()
        self._due[pair] = asyncio.get_running_loop().call_later(lasts_s, self._on_lasted, pair)

    async def run(self) -> None:
        """Never returns."""
        while True:
            pair = await self._lasted.get()
            try:
                conversation = await self._conversations.open(pair)
            except StoreError as fault:
                log.warning("the store is away, and memory of a user waits for the next run: %s", fault)
                continue
            except Exception:  # of one user: the others' silences go on
                log.exception("the memory of %s cannot be read", pair)
                continue
            conversation.consolidate("idle")
            self._conversations.close(conversation)

    def _on_lasted(self, pair: Pair) -> None:
        del self._due[pair]
        self._lasted.put_nowait(pair)
