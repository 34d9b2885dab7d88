"""What fails ahead of a final text is not told of, and nobody is thought to fail who is only not needed any more."""

import asyncio

import pytest

from tests.models import Unseen
from tests.speculation.host import TAKEN, Hands, Host, Thinker, play
from tests.turns import ScriptedModel, call
from tests.virtual_time import VirtualClock
from voice_agent import events as ev
from voice_agent.llm.race.form import FIRST_CREDIT, Form
from voice_agent.llm.race.model import RacingModel, Runner
from voice_agent.llm.race.race import Policy
from voice_agent.messages import Usage

DONE = ev.ModelFinished("stop", TAKEN)


def test_a_reply_that_failed_is_not_adopted() -> None:
    """The final text is asked about as if nothing had been, and the caller hears of no failure."""
    failing: list[ev.ModelEvent | float] = [ev.TextDelta("Half of"), ev.ModelFailed("it broke", retryable=True)]
    model = ScriptedModel(failing, [ev.TextDelta("Whole."), DONE])

    async def caller(host: Host) -> None:
        host.hear("hello")
        await asyncio.sleep(1)
        host.hear("hello", final=True)

    host = play(caller, model)
    assert host.said == "Whole."
    assert not [event for event in host.told[0].events if isinstance(event, ev.Failed)]
    assert host.reports == [("failed", Usage(steps=1))]


def test_a_reply_that_fails_after_its_adoption_fails_the_turn() -> None:
    """Some of it was said: it is the turn's own failure by then."""
    model = ScriptedModel([ev.TextDelta("Half of"), 1.0, ev.ModelFailed("it broke")])

    async def caller(host: Host) -> None:
        host.hear("hello")
        await asyncio.sleep(0.5)
        host.hear("hello", final=True)

    host = play(caller, model, failure_notice="Sorry.")
    assert host.said == "Half ofSorry."
    assert host.told[0].ended.reason == "llm_api_error"
    assert len(model.requests) == 1


def test_a_reply_that_stalled_is_not_adopted() -> None:
    """The turn ahead has given it up."""
    model = ScriptedModel([60.0], [ev.TextDelta("Yes."), DONE])

    async def caller(host: Host) -> None:
        host.hear("hello")
        await asyncio.sleep(3)
        host.hear("hello", final=True)

    host = play(caller, model, stall_s=2.0)
    assert host.adopted == [False]
    assert host.said == "Yes."


def test_a_failure_of_the_second_step_is_not_adopted_but_the_first_step_is() -> None:
    """The adopting turn asks anew from where the other one failed."""
    model = ScriptedModel([call(0, "quiet"), DONE], [ev.ModelFailed("it broke")], [ev.TextDelta("Yes."), DONE])
    hands = Hands()

    async def caller(host: Host) -> None:
        host.hear("hello")
        await asyncio.sleep(1)
        host.hear("hello", final=True)

    host = play(caller, model, hands)
    assert host.said == "Yes."
    assert hands.began == ["quiet"]
    assert len(model.requests) == 3
    assert host.reports == [("adopted", Usage(steps=1))]


def test_a_model_that_raises_is_a_failure_and_harms_nobody() -> None:
    """The group that all runs in goes on."""

    class Raising(Unseen):
        async def reply(self, *_: object) -> None:
            raise RuntimeError("a fault of its own")

    async def caller(host: Host) -> None:
        host.hear("hello")
        await asyncio.sleep(1)
        host.hear("hello", final=True)

    host = play(caller, Raising())
    assert host.reports == [("failed", Usage(steps=1))]
    assert host.told[0].ended.reason == "llm_api_error"


def test_tools_whose_runner_raises_are_run_again_by_the_turn() -> None:
    """Nothing is asked ahead on the ground of an outcome that there is none of."""

    class Clumsy(Hands):
        async def run(self, made: ev.RunTool) -> ev.ToolReturned:
            if not self.began:
                self.began.append(made.name)
                raise RuntimeError("a fault of its own")
            return await super().run(made)

    model, hands = Thinker(), Clumsy()

    async def caller(host: Host) -> None:
        host.hear("look")
        await asyncio.sleep(5)
        assert len(model.requests) == 1
        host.hear("look", final=True)

    assert play(caller, model, hands).said == "One moment.After 0: look look is done "
    assert hands.began == ["look", "look"]


def test_discarded_requests_are_no_failures_and_ask_nobody_twice() -> None:
    """A model that is dropped time and again, before and after its first word, keeps its good name and its credit."""
    model, circuits = Thinker(), list[bool]()
    form = Form(circuits.append)

    async def caller(host: Host) -> None:
        for number in range(20):
            host.hear(f"{number}")
            await asyncio.sleep(0.2 if number % 2 else 0.45)
            host.ahead.drop()

    policy = Policy(deadline_s=4.0, hedge_share=0.01)
    host = play(caller, RacingModel([Runner("one/m", model, form)], policy, VirtualClock()))
    assert len(model.requests) == model.closed == 20
    assert circuits == []
    assert [spent for _, spent in host.reports] == [Usage(steps=1, attempts=1)] * 20
    assert [form.spend() for _ in range(int(FIRST_CREDIT) + 1)] == [True] * int(FIRST_CREDIT) + [False]


@pytest.mark.parametrize(
    ("final_at", "provider_ms", "hedge_ms"),
    [(0.3, 200, 400), (0.8, 100, 0), (2.0, 0, 0)],
    ids=["before the hedge", "before its answer", "after its answer"],
)
def test_time_that_was_lost_before_the_final_text_is_no_time_of_the_turn(
    final_at: float, provider_ms: int, hedge_ms: int
) -> None:
    """Of a hedge that was sent ahead only what the caller waited for it counts, and its cost is the turn's."""
    models = [ScriptedModel([60.0]), ScriptedModel([0.2, ev.TextDelta("Yes."), DONE])]

    async def caller(host: Host) -> None:
        host.hear("hello")
        await asyncio.sleep(final_at)
        host.hear("hello", final=True)

    runners = [Runner(f"{name}/m", model, Form()) for name, model in zip("ab", models, strict=True)]
    host = play(caller, RacingModel(runners, Policy(deadline_s=1.2, hedge_share=1.0), VirtualClock()))
    ended = host.told[0].ended
    assert host.said == "Yes."
    assert (ended.usage.attempts, ended.usage.hedges) == (2, 1)
    parts = {part.name: round(part.ms) for part in ended.latency.parts}
    assert (parts.get("provider", 0), parts.get("provider:hedge", 0)) == (provider_ms, hedge_ms)
