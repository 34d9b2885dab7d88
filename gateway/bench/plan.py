"""What a run of the benchmark is to do, what is wrong with it before it begins, and when each turn is due. Pure."""

from collections.abc import Iterator
from typing import Literal

import msgspec

Protocol = Literal["native", "chat"]
# The agent that `--self` makes and talks to.
OWN_AGENT = "bench"
DIRECT = 20
IDLE_SESSIONS = 200
# So many barge-ins make a p99 that is more than the worst of a handful.
BARGE_INS = 200
MOST_HISTORY = 800
# Where sessions with a history are compared with those without, they are due at times as far apart as can be, and the
# direct clients' as far from both: at the same moment, one would be measured as it waits behind the other.
SHARES = {"history": 0.0, "gateway": 0.5, "direct": 0.25, "direct history": 0.75}
# Of a process, beside the sessions' sockets: the store's, logs, standard streams, the event loop's own.
SPARE_DESCRIPTORS = 100


class BenchError(Exception):
    """The benchmark cannot go on; the message is for the person who runs it."""


class Pace(msgspec.Struct, frozen=True):
    """The simulated provider's reply: milliseconds to the first token and between tokens, and how many."""

    first_token_ms: float
    token_ms: float
    tokens: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run: `turns` measured turns of each session, due every `interval_s` seconds. `url` is None for `--self`.

    `awake`: the gateway's core is kept from sleeping.
    """

    url: str | None
    agent: str
    protocol: Protocol
    sessions: int
    turns: int
    interval_s: float
    warm_up: int
    history: int
    say: str
    pace: Pace | None
    awake: bool = True

    @property
    def direct(self) -> int:
        """How many direct clients ask beside the sessions."""
        return 0 if self.pace is None else min(self.sessions, DIRECT)

    @property
    def idle(self) -> int:
        """How many sessions are opened only to be weighed."""
        return 0 if self.pace is None else IDLE_SESSIONS

    @property
    def deep(self) -> int:
        """How many sessions have a history behind them: every second one, so that both kinds live the same times."""
        return self.sessions // 2 if self.history else 0

    @property
    def barge_in_turns(self) -> int:
        """Turns of each session in the barge-in phase, of which every second one is interrupted."""
        wanted = max(2, -(-2 * BARGE_INS // self.sessions))
        return min(wanted, max(2, self.turns)) if self.protocol == "native" else 0

    @property
    def interrupt_after(self) -> int:
        """The piece of speech at which a caller interrupts."""
        return 5 if self.pace is None else max(1, self.pace.tokens // 2)

    @property
    def descriptors(self) -> int:
        """What the process that needs most has open: the gateway's sessions have two sockets each."""
        sockets = 1 if self.pace is None else 2
        direct = 2 * self.direct if self.deep else self.direct
        return sockets * self.sessions + direct + self.idle + SPARE_DESCRIPTORS


def faults(plan: Plan) -> list[str]:
    """What is wrong with it, in the words of the command line."""
    pace = plan.pace or Pace(0, 0, 1)
    found = [
        f"{name} has to be at least {least} (given: {value:g})"
        for name, value, least in (
            ("--sessions", plan.sessions, 2 if plan.history else 1),
            ("--turns", plan.turns, 1),
            # The direct client asks with the bytes of a request that the gateway made in the warm-up.
            ("--warm-up", plan.warm_up, 1 if plan.pace else 0),
            ("--history", plan.history, 0),
            ("--tokens", pace.tokens, 1),
            ("--first-token-ms", pace.first_token_ms, 0),
            ("--token-ms", pace.token_ms, 0),
        )
        if value < least
    ]
    if plan.interval_s <= 0:
        found.append(f"--interval has to be more than 0 seconds (given: {plan.interval_s:g})")
    if plan.history > MOST_HISTORY:
        found.append(f"--history has to be at most {MOST_HISTORY} (given: {plan.history})")
    if not plan.say.strip():
        found.append("--say has to hold words")
    return found


def due(callers: int, turns: int, interval_s: float, share: float = 0.0) -> Iterator[tuple[float, int]]:
    """When each turn is due, in seconds from the start, and whose it is: the callers evenly staggered, in order.

    All are later by `share` (0 to 1) of what lies between two of them.
    """
    for number in range(callers * turns):
        yield (number + share) * interval_s / callers, number % callers
