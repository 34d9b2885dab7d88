"""The race as a model: carries out what `Race` decides, hands on what the winner says in the call that brings it."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple, assert_never

from voice_agent import events as ev
from voice_agent.clock import Clock
from voice_agent.llm.base import Model, Preview
from voice_agent.llm.race.form import Form
from voice_agent.llm.race.race import Action, Ask, Drop, GiveUp, Policy, Race, Win
from voice_agent.llm.race.useful import Ear, tools_that_speak
from voice_agent.messages import ModelBusy, ModelRequest, ToolSchema, Usage

log = logging.getLogger(__name__)
_LAST = (ev.ModelFinished, ev.ModelFailed)
_NO_END = ev.ModelFailed("the model ended its reply without an end", retryable=True)
_RAISED = ev.ModelFailed("the model could not be asked")


class Runner(NamedTuple):
    """One model of a chain, as the product calls it, and how it has been doing in this process."""

    name: str
    model: Model
    form: Form


class RacingModel:
    """A chain of models, the first of which is the one that is meant."""

    def __init__(self, runners: Sequence[Runner], policy: Policy, clock: Clock) -> None:
        self._runners = runners
        self._policy = policy
        self._clock = clock
        self._speaking: tuple[tuple[ToolSchema, ...], frozenset[str]] = ((), frozenset())

    async def reply(self, request: ModelRequest, emit: Callable[[ev.ModelEvent], None]) -> None:
        """See `Model.reply`. Until there is something useful, all that is told of it is that it goes on."""
        if self._speaking[0] is not request.tools:
            self._speaking = request.tools, tools_that_speak(request.tools)
        # Raised through a task group, which holds the task that holds it, it would be left to the cyclic collector.
        if await self._is_cancelled(request, emit):
            raise asyncio.CancelledError

    async def _is_cancelled(self, request: ModelRequest, emit: Callable[[ev.ModelEvent], None]) -> bool:
        async with asyncio.TaskGroup() as tasks:
            driver = _Driver(self._runners, self._policy, self._clock, tasks, emit)
            try:
                await driver.run(request, self._speaking[1])
            except asyncio.CancelledError:
                driver.cancel()
                return True
            driver.stop()
        return False

    async def warm(self) -> None:
        """See `Model.warm`: all of them."""
        async with asyncio.TaskGroup() as tasks:
            for runner in self._runners:
                tasks.create_task(runner.model.warm())

    def preview(self, request: ModelRequest) -> Preview:
        """See `Model.preview`: what the first one would be sent."""
        return self._runners[0].model.preview(request)


class _Attempt:
    """One request under way. What it has said is held until it wins.

    The first one is made in the reply's own task, within a `scope`, all others have a `task`.
    """

    def __init__(self, runner: Runner, speaking: frozenset[str]) -> None:
        self.runner = runner
        self.ear = Ear(speaking)
        self.held: list[ev.ModelEvent] = []
        self.open = True
        self.won = False
        self.scope: asyncio.Timeout | None = None
        self.task: asyncio.Task[None] | None = None


class _Driver:
    def __init__(
        self,
        runners: Sequence[Runner],
        policy: Policy,
        clock: Clock,
        tasks: asyncio.TaskGroup,
        emit: Callable[[ev.ModelEvent], None],
    ) -> None:
        self._runners = runners
        self._race = Race([runner.form for runner in runners], policy)
        self._clock = clock
        self._tasks = tasks
        self._emit = emit
        self._request: ModelRequest | None = None
        self._speaking: frozenset[str] = frozenset()
        self._attempts: dict[int, _Attempt] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = inf
        self.over = asyncio.Event()

    async def run(self, request: ModelRequest, speaking: frozenset[str]) -> None:
        """To the end of the race. The first attempt waits for no task to begin: most need no other."""
        self._request, self._speaking = request, speaking
        self._perform(self._race.begin(self._clock.now()))
        first = self._attempts[0]
        try:
            async with asyncio.timeout(None) as first.scope:
                await self._converse(0, first, request)
        except TimeoutError:
            pass  # it was dropped
        finally:
            first.scope = None
        await self.over.wait()

    def stop(self) -> None:
        """Nothing more is decided; what is under way comes to its end."""
        self._stop_timer()
        self._attempts.clear()

    def cancel(self) -> None:
        """Nobody waits for the reply any more."""
        for attempt in self._attempts.values():
            self._drop(attempt)
        self.stop()

    # ---- what the models say ----

    async def _converse(self, number: int, attempt: _Attempt, request: ModelRequest) -> None:
        emit = self._emit

        def take(event: ev.ModelEvent) -> None:
            if attempt.won:  # from here on, this is all that stands between a token and the turn
                if type(event) is not ev.TextDelta and isinstance(event, _LAST):
                    self._close(attempt, event)
                emit(event)
            elif attempt.open:
                self._weigh(number, attempt, event)

        try:
            await attempt.runner.model.reply(request, take)
        except Exception:
            log.exception("a model raised instead of reporting its failure")
            take(_RAISED)
        finally:
            attempt.task = None  # a cancelled task holds its frames: nothing may lead back to it
        if attempt.open:
            take(_NO_END)

    def _weigh(self, number: int, attempt: _Attempt, event: ev.ModelEvent) -> None:
        """What is said while nobody has won yet."""
        if isinstance(event, ev.ModelFailed):
            attempt.open = False
            self._perform(self._race.failed(number, event, self._clock.now()))
            if not self._race.over:
                self._emit(ModelBusy())
            return
        attempt.held.append(event)
        if attempt.ear.is_useful(event):
            self._perform(self._race.useful(number, self._clock.now()))
        else:
            self._emit(ModelBusy())

    def _close(self, attempt: _Attempt, last: ev.ModelFinished | ev.ModelFailed) -> None:
        """The winner's reply is over."""
        attempt.open = False
        if isinstance(last, ev.ModelFinished):
            attempt.runner.form.finished()
        elif last.retryable:
            attempt.runner.form.failed(self._clock.now())
        self.over.set()

    # ---- what the race decides ----

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Ask():
                    self._ask(action)
                case Drop(attempt=number):
                    self._drop(self._attempts[number])
                case Win():
                    self._crown(action)
                case GiveUp(failure=failure):
                    self.over.set()
                    self._emit(failure)
                case _:
                    assert_never(action)
        self._arm()

    def _ask(self, ask: Ask) -> None:
        assert self._request is not None
        attempt = self._attempts[ask.attempt] = _Attempt(self._runners[ask.model], self._speaking)
        self._emit(ModelBusy(Usage(attempts=1, hedges=int(ask.kind == "hedge"))))
        if ask.attempt > 0:
            attempt.task = self._tasks.create_task(self._converse(ask.attempt, attempt, self._request))

    def _drop(self, attempt: _Attempt) -> None:
        attempt.open = False
        attempt.held.clear()
        if attempt.task is not None:
            attempt.task.cancel()
        elif attempt.scope is not None:
            attempt.scope.reschedule(0.0)
            attempt.scope = None

    def _crown(self, win: Win) -> None:
        winner = self._attempts[win.attempt]
        winner.won = True
        held, winner.held = winner.held, []
        self._emit(ModelBusy(model=winner.runner.name, kind=win.kind, late_s=win.late_s))
        for event in held:
            if isinstance(event, _LAST):
                self._close(winner, event)
            self._emit(event)

    # ---- time ----

    def _arm(self) -> None:
        due = self._race.due
        self._stop_timer()
        if due is not None:
            self._fires_at = due
            delay = max(0.0, due - self._clock.now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        # The loop's clock may be a little ahead of ours: what was due is due.
        self._perform(self._race.on_time(max(self._clock.now(), self._fires_at)))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
