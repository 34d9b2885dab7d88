"""The agent of the benchmarks and what is said to it: facts and small talk that no two users or turns share."""

from voice_agent.agent import Agent
from voice_agent.agent_parts import BufferBounds
from voice_agent.messages import Message, TurnRecord
from voice_agent.store.base import Pair, TurnRef

# So small a window that every second turn evicts, once it is full.
AGENT = Agent(id="bench", name="Bench", system="Be brief.", buffer=BufferBounds(max=6, min=5))
INSTANT = {"VOICE_MODEL": "simulated", "VOICE_SIMULATED_FIRST_TOKEN_MS": "0", "VOICE_SIMULATED_TOKEN_MS": "0"}
_SAID = (
    "my name is Ada and I live in Leeds, number {n}",
    "the boiler was serviced in March and it cost {n} pounds",
    "please remind me to call my sister about the train at {n} past",
    "I like long walks by the river, last week I did {n} miles",
)
_AT = 1_760_000_000.0


def said(number: int) -> str:
    """What the user says in a turn."""
    return _SAID[number % len(_SAID)].format(n=number)


def turn(user: str, number: int) -> tuple[TurnRef, TurnRecord]:
    """A finished turn of a user's only session."""
    at = _AT + 20.0 * number
    reply = f"All right, I have noted that down for you, it is note number {number}."
    messages = (Message("user", said(number), at), Message("assistant", reply, at + 2.0, heard=reply))
    ref = TurnRef(Pair(AGENT.id, user), "s", f"t{number}", 1)
    return ref, TurnRecord(ref.key, "end_turn", messages, at)
