"""The chain as a model, in virtual time: what is told of a reply, when, and what becomes of the requests that lost."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.models import Unseen
from tests.turns import FINISHED, ScriptedModel, call
from tests.virtual_time import VirtualClock, run
from voice_agent import events as ev
from voice_agent.llm.base import Model
from voice_agent.llm.race.form import Form
from voice_agent.llm.race.model import RacingModel, Runner
from voice_agent.llm.race.race import Policy
from voice_agent.messages import Message, ModelBusy, ModelRequest, Opaque, ToolSchema, Usage

BUSY = ev.ModelFailed("busy", retryable=True)
HI = [0.3, ev.TextDelta("Hi"), 0.1, ev.TextDelta(" there"), FINISHED]
SLOW = [8.0, *HI]
LIVE = Policy(deadline_s=4.0, hedge_share=0.08)
SPEAKING = ToolSchema("look", "Looks.", {"type": "object", "properties": {"pre_exec_msg": {"type": "string"}}})
REQUEST = ModelRequest("m", "s", (), (Message("user", "hello", 0.0),), (SPEAKING,))
Told = tuple[float, ev.ModelEvent]


def scripted(*replies: list[Any]) -> ScriptedModel:
    return ScriptedModel(*replies)


def play(*models: Model, policy: Policy = LIVE, forms: list[Form] | None = None) -> list[Told]:
    """Everything that is told of a reply, each with its time."""
    told: list[Told] = []
    runners = [
        Runner(f"m{number}", model, (forms or [Form() for _ in models])[number]) for number, model in enumerate(models)
    ]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        racing = RacingModel(runners, policy, VirtualClock())
        await racing.reply(REQUEST, lambda event: told.append((round(loop.time(), 6), event)))

    run(main())
    return told


def replied(told: list[Told]) -> list[Told]:
    """Without the signs of life."""
    return [(at, event) for at, event in told if not isinstance(event, ModelBusy)]


def spent(told: list[Told]) -> Usage:
    """What the account is told."""
    total = Usage()
    for _, event in told:
        if isinstance(event, ModelBusy) and event.spent is not None:
            total += event.spent
    return total


def test_a_reply_that_is_in_time_is_told_as_it_comes() -> None:
    """Nothing is held back from its first word on."""
    told = play(scripted(HI))
    assert replied(told) == [(0.3, ev.TextDelta("Hi")), (0.4, ev.TextDelta(" there")), (0.4, FINISHED)]
    assert spent(told) == Usage(attempts=1)


def test_a_stalled_request_is_joined_by_a_second_one() -> None:
    """Half the deadline later, as nothing is known; the first is cancelled when the second speaks."""
    model = scripted(SLOW, HI)
    told = play(model)
    assert replied(told)[0] == (2.3, ev.TextDelta("Hi"))
    assert spent(told) == Usage(attempts=2, hedges=1)
    assert model.closed == 1
    won = [event for _, event in told if isinstance(event, ModelBusy) and event.model]
    assert won == [ModelBusy(model="m0", kind="hedge", late_s=2.0)]


def test_the_loser_s_reasoning_and_calls_are_told_to_nobody() -> None:
    """What it had said before the other's first word is gone with it."""
    thinking = [0.1, Opaque("m0", "reasoning", "Hm."), call(0, "look", '{"pre_exec'), 60.0]
    told = play(scripted(thinking), scripted([Opaque("m1", "reasoning", "Ah."), *HI]))
    assert [event for _, event in replied(told)] == [
        Opaque("m1", "reasoning", "Ah."),
        ev.TextDelta("Hi"),
        ev.TextDelta(" there"),
        FINISHED,
    ]


def test_signs_of_life_are_given_while_it_thinks() -> None:
    """So that nobody takes a model at its reasoning for one that hangs."""
    thoughts: list[Any] = [item for _ in range(5) for item in (1.0, Opaque("m0", "reasoning", "Hm."))]
    told = play(scripted([*thoughts, *HI]), policy=Policy())
    assert [at for at, event in told if event == ModelBusy()] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert [at for at, _ in replied(told)] == [5.3] * 6 + [5.4] * 2


def test_neither_thoughts_nor_half_an_utterance_keep_the_deadline() -> None:
    """What came in time cannot be heard: the fallback speaks, though the first one was never silent."""
    thoughts: list[Any] = [item for _ in range(9) for item in (0.5, Opaque("m0", "reasoning", "Hm."))]
    for begins in (thoughts, [call(0, "look", '{"pre_exec_msg": "'), *thoughts], [ev.TextDelta(" \n"), *thoughts]):
        first = scripted([*begins, *HI])
        told = play(first, scripted(HI), policy=Policy(deadline_s=4.0))
        assert replied(told)[0] == (4.3, ev.TextDelta("Hi"))
        assert len(replied(told)) == 3
        assert first.closed == 1


def test_a_failure_before_the_first_word_is_made_good() -> None:
    """A cut stream of reasoning, a provider that is busy: asked again, and the caller hears one reply."""
    model = scripted([Opaque("m0", "reasoning", "Hm."), BUSY], [BUSY], HI)
    told = play(model)
    assert replied(told)[0] == (0.6, ev.TextDelta("Hi"))
    assert len(replied(told)) == 3
    assert spent(told) == Usage(attempts=3)


def test_a_failure_after_the_first_word_is_told() -> None:
    """What was said cannot be said again: nobody else is asked."""
    other = scripted(HI)
    told = play(scripted([ev.TextDelta("Hi"), BUSY]), other)
    assert [event for _, event in replied(told)] == [ev.TextDelta("Hi"), BUSY]
    assert other.requests == []


def test_a_call_without_an_utterance_commits() -> None:
    """It may have started: what fails after it is told."""
    other = scripted(HI)
    told = play(scripted([call(0, "silent"), BUSY]), other)
    assert [event for _, event in replied(told)] == [call(0, "silent"), BUSY]
    assert other.requests == []


def test_a_hanging_chain_ends_with_the_last_deadline() -> None:
    """The failure is told then and not before, and every request is cancelled."""
    first, second = scripted([60.0]), scripted([60.0])
    told = play(first, second, policy=Policy(deadline_s=4.0))
    assert replied(told) == [(8.0, ev.ModelFailed("the model said nothing for 4 s", retryable=True))]
    assert (first.closed, second.closed) == (1, 1)


def test_an_empty_reply_is_a_reply() -> None:
    """The model had nothing to say; that is no fault of its provider's."""
    told = play(scripted([0.2, FINISHED]), scripted(HI))
    assert replied(told) == [(0.2, FINISHED)]


class Raising(Unseen):
    """Raises, or ends without a word."""

    def __init__(self, fault: Exception | None) -> None:
        self._fault = fault

    async def reply(self, request: ModelRequest, emit: Callable[[ev.ModelEvent], None]) -> None:
        if self._fault is not None:
            raise self._fault


@pytest.mark.parametrize("fault", [RuntimeError("a fault of our own"), None])
def test_a_model_that_breaks_its_promise_is_as_one_that_fails(fault: Exception | None) -> None:
    """The next one is asked."""
    told = play(Raising(fault), scripted(HI), policy=Policy())
    assert replied(told)[-1][1] == FINISHED


@pytest.mark.parametrize("at", [0.0, 0.1, 2.1, 2.35])
def test_a_cancelled_reply_closes_every_request(at: float) -> None:
    """Before the second was sent, while both are out, and while one of them speaks."""
    model = scripted(SLOW, [0.3, ev.TextDelta("Hi"), 60.0])
    told: list[ev.ModelEvent] = []

    async def main() -> None:
        racing = RacingModel([Runner("m", model, Form())], LIVE, VirtualClock())
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(racing.reply(REQUEST, told.append))
            await asyncio.sleep(at)
            task.cancel()
        assert task.cancelled()
        before = len(told)
        await asyncio.sleep(100)
        assert len(told) == before

    run(main())
    assert model.closed == len(model.requests)


def test_the_delay_follows_the_model() -> None:
    """Once ten replies are known, a stall costs one and a half times the usual."""
    form, model = Form(), scripted(*[HI] * 10, SLOW, HI)
    for _ in range(10):
        play(model, forms=[form])
    assert replied(play(model, forms=[form]))[0] == (0.75, ev.TextDelta("Hi"))


def test_a_model_that_keeps_failing_is_skipped_and_tried_again_later() -> None:
    """Its fallback speaks at once meanwhile; it is back after one good reply."""
    told: list[bool] = []
    failing, other = scripted(*[[BUSY]] * 5, HI), scripted(HI)

    async def main() -> list[str]:
        runners = [Runner("m0", failing, Form(told.append)), Runner("m1", other, Form())]
        racing, spoke = RacingModel(runners, LIVE, VirtualClock()), []

        def hear(event: ev.ModelEvent) -> None:
            if isinstance(event, ModelBusy) and event.model:
                spoke.append(event.model)

        for pause in (0.0, 0.0, 0.0, 11.0, 0.0):
            await asyncio.sleep(pause)
            await racing.reply(REQUEST, hear)
        return spoke

    assert run(main()) == ["m1", "m1", "m1", "m0", "m0"]
    assert told == [True, False]
    assert len(failing.requests) == 7


def test_warming_warms_them_all() -> None:
    """A fallback that is needed is needed at once."""
    warmed: list[str] = []

    class Warming(ScriptedModel):
        async def warm(self) -> None:
            warmed.append("one")

    run(RacingModel([Runner("m", Warming(), Form())] * 2, LIVE, VirtualClock()).warm())
    assert warmed == ["one", "one"]
