"""What was said longer ago than its agent keeps it: it leaves log, window, search and runs, looked for by the hour."""

import asyncio
import logging

from pydantic import ValidationError

from voice_agent.agent import Agent
from voice_agent.clock import Clock
from voice_agent.store.base import ConversationStore, Directory, Pair, StoreError
from voice_agent.store.memory import MemoryStore

_EVERY_S = 3600.0
_DAY_S = 86_400
_PAGE = 100
log = logging.getLogger(__name__)


async def keep_to_retention(
    directory: Directory, conversations: ConversationStore, memory: MemoryStore, clock: Clock
) -> None:
    """Drop what is too old, again and again. Never returns. Any number of processes may do this at once."""
    while True:
        try:
            await drop_old(directory, conversations, memory, clock.wall())
        except StoreError as fault:
            log.warning("what is too old stays for now: %s", fault)
        await asyncio.sleep(_EVERY_S)


async def drop_old(directory: Directory, conversations: ConversationStore, memory: MemoryStore, now: float) -> int:
    """Drop what each agent's `retention_days` have run out for; returns how many entries of logs went.

    `now` is in seconds since the epoch. Raises StoreError.
    """
    dropped, after = 0, ""
    while rows := await directory.list_agents(after, _PAGE):
        after = rows[-1].id
        for row in rows:
            try:
                days = Agent.model_validate_json(row.document).retention_days
            except ValidationError:
                log.warning("agent %s cannot be read: what it keeps for too long stays", row.id)
                continue
            if days is not None:
                dropped += await _drop_of(row.id, now - days * _DAY_S, conversations, memory)
    return dropped


async def _drop_of(agent: str, before: float, conversations: ConversationStore, memory: MemoryStore) -> int:
    dropped, after = 0, ""
    while users := await conversations.list_users(agent, after, _PAGE):
        after = users[-1]
        for user in users:
            dropped += await memory.trim(Pair(agent, user), before)
    return dropped
