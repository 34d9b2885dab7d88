"""Turns that died with their process: closed as interrupted with what was journalled, and moved into the log."""

import logging

from voice_agent.conversations import Conversations
from voice_agent.heard import Ledger
from voice_agent.messages import Message, ToolCall, TurnRecord
from voice_agent.resumption import with_results
from voice_agent.speaking_rate import SpeakingRate
from voice_agent.store.base import ConversationStore, Fenced, OpenTurn, Owner

# An owner without a lease: a turn that was adopted and could not be stored is an orphan still, for whoever looks next.
_NOBODY = Owner("recovery", "")
log = logging.getLogger(__name__)


def close_orphan(turn: OpenTurn, at: float) -> TurnRecord:
    """The record of a turn that was cut off by the death of its process; `at` is in seconds since the epoch.

    Finished steps count as spoken. What the reply under way had said was not journalled: a marker stands for it. A call
    that has no result, of a step that had been suspended, may have run by then.
    """
    first = next((i for i, message in enumerate(turn.messages) if message.role == "assistant"), len(turn.messages))
    opening, steps = turn.messages[:first], with_results(turn.messages[first:], lambda call: _lost(call, at))
    ledger = Ledger(SpeakingRate())
    ledger.resume(steps, at)
    cut = Message(role="assistant", text="", at=at, interrupted=True)
    settled = ledger.settle((*steps, cut), interrupted=True)
    return TurnRecord(key=turn.ref.key, reason="interrupted", messages=opening + settled, started_at=turn.started_at)


def _lost(call: ToolCall, at: float) -> Message:
    text = "Interrupted: the process died before it ended; it may have taken effect."
    return Message(role="tool", text=text, at=at, tool_call_id=call.id, failed=True)


async def close_orphans(
    store: ConversationStore, conversations: Conversations, at: float, slot: str | None = None
) -> int:
    """Close every open turn whose owner is dead; returns how many. Raises StoreError; what is left then is found again.

    `at` is in seconds since the epoch. `slot`: only turns that were begun at this place.
    """
    closed = 0
    for orphan in await store.orphans():
        if slot is not None and orphan.owner.slot != slot:
            continue
        adopted = await store.adopt(orphan, _NOBODY)
        if adopted is None:
            continue
        record = close_orphan(adopted, at)
        try:
            entry_id = await store.commit_turn(adopted.ref, record)
        except Fenced:
            continue
        conversations.adopt(adopted.ref.pair, record, entry_id)
        log.warning("closed a turn whose process died: %s", adopted.ref.key)
        closed += 1
    return closed
