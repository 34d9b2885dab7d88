"""Every delay that a turn meets appears in its latency under its own name, and all of them add up, in virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import calls
from tests.calls import Ear
from tests.models import Unseen
from tests.turns import FINISHED, ScriptedModel, call, setup, spec
from tests.virtual_time import VirtualClock, block, run
from voice_agent import events as ev
from voice_agent.llm.base import Model
from voice_agent.llm.race.form import Form
from voice_agent.llm.race.model import RacingModel, Runner
from voice_agent.llm.race.race import Policy
from voice_agent.messages import Latency, ModelRequest, Part
from voice_agent.rules.kinds import RequiresApproval
from voice_agent.run import Inbox, run_turn
from voice_agent.session import Session
from voice_agent.turn import Turn
from voice_agent.turn_states import State

# The client runs `mine`; a person decides on `asked`; all others run here.
TOOLS = {name: spec(name, effects="none") for name in ("one", "two", "asked")}
TOOLS["mine"] = spec("mine", effects="none", client_timeout_s=15.0)
RULES = (RequiresApproval(tool="asked"),)
# Of two things that a turn waits for at once, the one that stands first; tools in call order.
ORDER = ("gateway", "queue", "provider", "tool", "client")
BUSY = ev.ModelFailed("busy", retryable=True)
Emit = Callable[[ev.ModelEvent], None]


class Lasted(NamedTuple):
    """What took from one microsecond to another; `number` orders calls."""

    name: str
    start: int
    end: int
    number: int = 0


class Diary:
    """What everybody who takes time says of it, and the parts that come of that."""

    def __init__(self) -> None:
        self.entries: list[Lasted] = []

    def note(self, name: str, start: float, number: int = 0, end: float | None = None) -> None:
        """It has lasted since `start`, in seconds, until `end` or now."""
        end = asyncio.get_running_loop().time() if end is None else end
        self.entries.append(Lasted(name, round(start * 1e6), round(end * 1e6), number))

    def parts(self, total: float) -> dict[str, float]:
        """Of so many milliseconds, those of each name: a moment belongs to the first in the order that lasts in it."""
        ends = round(total * 1000)
        borders = sorted({min(border, ends) for entry in self.entries for border in (entry.start, entry.end)} | {ends})
        parts: dict[str, float] = {}
        for start, end in pairwise(borders):
            lasting = [entry for entry in self.entries if entry.start <= start and entry.end >= end]
            first = min(lasting, key=lambda entry: (ORDER.index(entry.name.partition(":")[0]), entry.number))
            parts[first.name] = round(parts.get(first.name, 0.0) + (end - start) / 1000, 3)
        return parts


class Replying(Unseen):
    """A model whose replies are somebody else's."""

    def __init__(self, reply: Callable[[ModelRequest, Emit], Coroutine[Any, Any, None]]) -> None:
        self.reply = reply


class World:
    """The model, tools, client and listener of one turn, whose delays, in milliseconds, are drawn one by one.

    `failures`: how often each request is refused before it is answered.
    """

    def __init__(
        self,
        replies: list[list[str]],
        delays: list[int],
        blocks: list[int],
        failures: list[int] | None = None,
        model: Model | None = None,
    ) -> None:
        self.diary = Diary()
        self.latency: Latency | None = None
        self.ended_at = 0.0
        self._replies = replies
        self._asked = 0
        self._delays = iter(delays)
        self._blocks = iter(blocks)
        self._inbox = Inbox()
        self._now = VirtualClock().now
        self._tasks: asyncio.TaskGroup | None = None
        self._failures = iter(failures or ())
        self._left = next(self._failures, 0)
        self._began: float | None = None
        own = RacingModel([Runner("m", Replying(self._reply), Form())], Policy(), VirtualClock())
        self._model = own if model is None else model
        # Longer than a delay, shorter than a turn: the timer comes early, again and again, and takes no time away.
        self._stall_s = 1.0 if model is None else 20.0

    def play(self, leaves_after: int | None = None) -> Latency:
        """Words come, wait for their turn, and are answered, unless the caller leaves before."""
        run(self._play(leaves_after))
        assert self.latency is not None
        return self.latency

    async def _play(self, leaves_after: int | None) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as self._tasks:
            await self._wait()
            self.diary.note("queue", 0.0)
            if leaves_after is not None:
                loop.call_later(leaves_after / 1000, self._inbox.put, ev.UserLeft())
            turn = Turn(setup(tools=TOOLS, rules=RULES, received_at=0.0, stall_s=self._stall_s))
            await run_turn(turn, self._model, self, self._inbox, self, VirtualClock())
            assert turn.state is State.ENDED

    async def _wait(self) -> None:
        await asyncio.sleep(next(self._delays, 0) / 1000)

    async def _reply(self, _: ModelRequest, emit: Emit) -> None:
        started = self._now()
        self._began = started if self._began is None else self._began
        if self._left:
            self._left -= 1
            await self._wait()
            emit(BUSY)
            return
        last = self._asked >= len(self._replies)
        names = [] if last else self._replies[self._asked]
        self._asked += 1
        await self._wait()
        self.diary.note("provider:retry", self._began, end=started)
        self._began, self._left = None, next(self._failures, 0)
        try:
            for index, name in enumerate(names):
                emit(call(index, name, f'{{"pre_exec_msg": "Now {name}.", "n": {self._asked}{index}}}'))
                await self._wait()
            if not names:
                emit(ev.TextDelta("Done."))
                await self._wait()
        finally:
            self.diary.note("provider", started)
        emit(FINISHED)

    async def run(self, made: ev.RunTool) -> ev.ToolReturned:
        started = self._now()
        try:
            await self._wait()
        finally:
            self.diary.note(f"tool:{made.name}", started, _number(made.call_id))
        return ev.ToolReturned(made.call_id, "ok")

    async def _answer(self, answer: ev.ToolReturned | ev.ApprovalGiven) -> None:
        started = self._now()
        await self._wait()
        self.diary.note("client", started)
        self._inbox.put(answer)

    def on_event(self, event: ev.TurnEvent) -> None:
        started = self._now()
        if blocked := next(self._blocks, 0):
            block(blocked / 1000)
            self.diary.note("gateway", started)
        assert self._tasks is not None
        match event:
            case ev.ClientToolNeeded(call_id=call_id):
                self._tasks.create_task(self._answer(ev.ToolReturned(call_id, "ok")))
            case ev.ApprovalNeeded(call_id=call_id):
                self._tasks.create_task(self._answer(ev.ApprovalGiven(call_id, approved=True)))
            case ev.TurnEnded(latency=latency):
                self.ended_at = self._now()
                if self._began is not None:  # nobody had answered
                    self.diary.note("provider", self._began)
                self.latency = latency.until(self.ended_at, "gateway")
            case _:
                pass

    def on_step(self, step: ev.SaveStep) -> None:
        """Nobody keeps it."""

    def on_late(self, finished: ev.ToolFinished, output: str) -> None:
        raise AssertionError("no tool was to outlive its turn")


def _number(call_id: str) -> int:
    return int(call_id.rpartition("_")[2])


REPLIES = st.lists(st.lists(st.sampled_from([*TOOLS]), min_size=1, max_size=3), max_size=3)
DELAYS = st.lists(st.integers(0, 900), max_size=30)
FAILURES = st.lists(st.integers(0, 2), max_size=4)
BLOCKS = st.lists(st.sampled_from([0, 0, 7, 110]), max_size=30)


@given(REPLIES, DELAYS, BLOCKS, FAILURES, st.none() | st.integers(0, 3000))
@settings(max_examples=150, deadline=None)
def test_every_delay_appears_under_its_name(
    replies: list[list[str]], delays: list[int], blocks: list[int], failures: list[int], leaves_after: int | None
) -> None:
    """Whoever caused it, whatever else went on, and however the turn ended; to the microsecond."""
    world = World(replies, delays, blocks, failures)
    latency = world.play(leaves_after)
    made = {part.name: part.ms for part in latency.parts if part.ms}
    assert made == world.diary.parts(latency.total)
    assert latency.total == round(sum(made.values()), 3) == round(world.ended_at * 1000, 3)
    assert latency.gateway == made.get("gateway", 0.0)


def test_an_utterance_is_speech_and_no_reply() -> None:
    """The caller hears something long before the answer."""
    latency = World([["one"]], [100, 200, 300, 400, 500], []).play()
    assert (latency.first_speech, latency.first_reply) == (300.0, 1200.0)


def test_the_way_to_a_busy_provider_s_request_is_the_gateway_s() -> None:
    """Until the task that sends the request is woken, nobody has been asked."""

    class Busy(World):
        def on_event(self, event: ev.TurnEvent) -> None:
            if isinstance(event, ev.TurnStarted):
                asyncio.get_running_loop().call_soon(block, 0.05)
            super().on_event(event)

    latency = Busy([], [0, 300, 100], []).play()
    assert latency.parts == (Part("gateway", 50.0), Part("provider", 400.0))


def test_signs_alone_are_no_speech() -> None:
    """A line break that a model begins with cannot be heard."""
    model = ScriptedModel([0.1, ev.TextDelta("\n\n"), 0.2, ev.TextDelta("Hi"), FINISHED])
    latency = World([], [], [], model=model).play()
    assert (latency.first_speech, latency.first_reply) == (300.0, 300.0)


def test_a_turn_s_time_is_whole_from_the_words_to_the_store() -> None:
    """Until it begins, and from its last words on; its total is what the caller's clock says."""
    told: list[float] = []

    class SlowEar(Ear):
        def emit(self, event: ev.TurnEvent) -> None:
            if isinstance(event, ev.TurnSpoken):
                block(0.03)
            if isinstance(event, ev.TurnEnded):
                told.append(VirtualClock().now())
            super().emit(event)

    class Process(calls.World):
        ear = SlowEar

    async def caller(session: Session, ear: Ear) -> None:
        asked = VirtualClock().now()
        async with session.conversation.turns:
            session.handle(ev.UserSpoke("hi", turn_id="t1"))
            await asyncio.sleep(0.4)
        await asyncio.sleep(2)
        latency = ear.ended("t1").latency
        assert latency.parts == (
            Part("queue", 400.0), Part("provider", 1500.0), Part("gateway", 30.0), Part("store", 1.0)
        )  # fmt: skip
        assert latency.total == round((told[0] - asked) * 1000, 3) == 1931.0

    calls.call(Process([1.0, ev.TextDelta("Hello."), 0.5, FINISHED]), caller)


HI: list[Any] = [0.3, ev.TextDelta("Hi"), 0.1, FINISHED]


@pytest.mark.parametrize(
    ("models", "hedges", "parts"),
    [
        ([ScriptedModel([0.2, BUSY], HI)], 0.0, {"provider:retry": 300.0, "provider": 400.0}),
        ([ScriptedModel([8.0, *HI], HI)], 0.08, {"provider:hedge": 2000.0, "provider": 400.0}),
        ([ScriptedModel([8.0, *HI]), ScriptedModel(HI)], 0.0, {"provider:fallback": 4000.0, "provider": 400.0}),
        ([ScriptedModel([0.2, ev.ModelFailed("no", retryable=False)])], 0.0, {"provider": 200.0}),
    ],
)
def test_what_was_spent_on_lost_requests_is_told_apart(
    models: list[Model], hedges: float, parts: dict[str, float]
) -> None:
    """By what saved the reply; the time of the request that was answered is the provider's."""
    runners = [Runner(f"m{number}", model, Form()) for number, model in enumerate(models)]
    racing = RacingModel(runners, Policy(deadline_s=4.0, hedge_share=hedges), VirtualClock())
    latency = World([], [], [], model=racing).play()
    assert {part.name: part.ms for part in latency.parts} == parts
    assert latency.total == sum(parts.values())
