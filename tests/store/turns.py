"""Turns to store: short ones, whose words say where they come from."""

from voice_agent.messages import Message, TurnRecord
from voice_agent.store.base import OpenTurn, Owner, Pair, TurnRef

PAIR = Pair("demo", "ann")
OWNER = Owner("127.0.0.1:8080", "first life")
OTHER = Owner("127.0.0.1:9090", "another process")
LEASE_MS = 60_000


def said(turn_id: str) -> Message:
    """The user's words."""
    return Message("user", f"{turn_id}?", 1.5)


def answered(turn_id: str, heard: str | None = None) -> Message:
    """The agent's words, and how many of them were heard."""
    return Message("assistant", f"{turn_id} it is.", 2.5, heard=heard)


def ref(turn_id: str, epoch: int = 1, session: str = "s1", pair: Pair = PAIR) -> TurnRef:
    """A turn of the session."""
    return TurnRef(pair, session, turn_id, epoch)


def opened(of: TurnRef, owner: Owner = OWNER) -> OpenTurn:
    """The turn as its journal begins."""
    return OpenTurn(of, owner, revision=0, started_at=1.5, messages=(said(of.turn_id),))


def record(of: TurnRef) -> TurnRecord:
    """The turn as it ended."""
    return TurnRecord(of.key, "end_turn", (said(of.turn_id), answered(of.turn_id)), started_at=1.5)
