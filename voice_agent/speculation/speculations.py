"""When a session thinks ahead: on which interim text, how soon, and when that was for nothing. One at a time."""

import asyncio
from collections.abc import Callable

from voice_agent.clock import Clock
from voice_agent.events import UserSpoke
from voice_agent.messages import Usage
from voice_agent.speculation.speculation import Outcome, Plan, Report, Speculation, plain

# A text that goes on changing is waited for, each time longer: every change that is thought about is a request.
SETTLE_S, MOST_SETTLE_S = 0.1, 0.8
# After this long without a final text, what tools have read may no longer be so.
KEPT_S = 10.0


class Speculations:
    """The session's. What runs ahead does so in `tasks`, which have to be left with `close`.

    `is_past` says whether the words of a turn (its id, their revision) are final by now. `plan` says with what an
    interim text is thought about; None: not now. `report` is told of the end of each attempt.
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        clock: Clock,
        is_past: Callable[[str, int], bool],
        plan: Callable[[UserSpoke], Plan | None],
        report: Report,
    ) -> None:
        self._tasks = tasks
        self._clock = clock
        self._is_past = is_past
        self._plan = plan
        self._report = report
        self._latest: UserSpoke | None = None
        self._one: Speculation | None = None
        self._adopted: Speculation | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tries = 0
        self._wasted = Usage()

    def interim(self, event: UserSpoke) -> None:
        """The recogniser has heard this so far. Once it has not changed for a moment, it is thought about."""
        if not plain(event.text) or self._is_late(event):
            return
        before, self._latest = self._latest, event
        if self._timer is not None and before is not None and _alike(before, event):
            return
        if self._one is not None and _alike(self._one.spoke, event):
            self._wait(KEPT_S, self.drop)
        else:
            self._wait(min(MOST_SETTLE_S, SETTLE_S * 2**self._tries), lambda: self._begin(event))

    def final(self, event: UserSpoke) -> Speculation | None:
        """The words are final: the work on them that a turn adopts, if there is any. All other work is stopped."""
        adopted = self._one if self._one is not None and self._one.adopt(event) else None
        if adopted is not None:
            self._one, self._adopted = None, adopted
        self.drop()
        return adopted

    def drop(self) -> None:
        """What is thought about is no longer what will be asked; the next interim text begins anew."""
        self._stop_timer()
        self._latest, self._tries = None, 0
        _end(self._one)
        self._one = None

    def close(self) -> None:
        """The session is over, and a turn that has adopted something, too."""
        self.drop()
        _end(self._adopted)

    def take_wasted(self) -> Usage:
        """What was for nothing, since this was last asked."""
        wasted, self._wasted = self._wasted, Usage()
        return wasted

    def _is_late(self, event: UserSpoke) -> bool:
        """Whether it was overtaken by a later revision, or by the final text."""
        if event.turn_id is None:
            return False
        latest = self._latest
        if latest is not None and latest.turn_id == event.turn_id and latest.revision > event.revision:
            return True
        return self._is_past(event.turn_id, event.revision)

    def _begin(self, event: UserSpoke) -> None:
        _end(self._one)
        self._one = None
        plan = self._plan(event)
        if plan is None:
            self._stop_timer()  # the same text may find it otherwise
            return
        self._one = Speculation(event, plan, self._clock, self._tasks, self._on_end)
        self._tries += 1
        self._wait(KEPT_S, self.drop)

    def _on_end(self, outcome: Outcome, spent: Usage) -> None:
        self._wasted += spent
        self._report(outcome, spent)

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None


def _end(speculation: Speculation | None) -> None:
    if speculation is not None:
        speculation.close()


def _alike(one: UserSpoke, other: UserSpoke) -> bool:
    """Whether they are the same words of the same turn."""
    return one.turn_id == other.turn_id and plain(one.text) == plain(other.text)
