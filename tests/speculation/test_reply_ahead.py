"""A reply that outlives who asked for it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.speculation.host import TAKEN
from tests.turns import ScriptedModel
from tests.virtual_time import run
from voice_agent import events as ev
from voice_agent.messages import ModelBusy, ModelRequest, Usage
from voice_agent.speculation.reply_ahead import ReplyAhead

REQUEST = ModelRequest("m", "s", (), ())
DONE = ev.ModelFinished("stop", TAKEN)
ONE, TWO, THREE = ev.TextDelta("one "), ev.TextDelta("two "), ev.TextDelta("three ")


def play(
    script: list[ev.ModelEvent | float], use: Callable[[ReplyAhead, asyncio.TaskGroup], Coroutine[Any, Any, None]]
) -> ScriptedModel:
    """Use one reply, in a group that waits until nothing of it is left."""
    model = ScriptedModel(script)

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            await use(ReplyAhead(model, REQUEST, tasks), tasks)

    run(main())
    return model


def test_it_is_asked_for_before_anybody_listens_and_told_whole_to_who_listens_late() -> None:
    """What has come is told in the call that asks for it, its text as one piece; the rest as it comes."""
    told: list[ev.ModelEvent] = []

    async def use(reply: ReplyAhead, tasks: asyncio.TaskGroup) -> None:
        await asyncio.sleep(1.5)
        listening = reply.listen(told.append)
        listening.send(None)  # as far as it goes without waiting
        assert told == [ModelBusy(), ev.TextDelta("one two ")]
        listening.close()
        told.clear()
        await reply.listen(told.append)
        assert asyncio.get_running_loop().time() == 3.0

    model = play([ModelBusy(), ONE, TWO, 2.0, THREE, 1.0, DONE], use)
    assert told == [ModelBusy(), ev.TextDelta("one two "), THREE, DONE]
    assert len(model.requests) == 1


def test_a_reply_that_is_over_is_told_at_once() -> None:
    """Nobody has to have listened, and it can be told twice."""
    told: list[ev.ModelEvent] = []

    async def use(reply: ReplyAhead, tasks: asyncio.TaskGroup) -> None:
        await asyncio.sleep(1)
        await reply.listen(told.append)
        await reply.listen(told.append)
        assert asyncio.get_running_loop().time() == 1.0

    play([ONE, DONE], use)
    assert told == [ONE, DONE] * 2


def test_who_is_cancelled_while_listening_takes_it_along() -> None:
    """The provider's connection is closed, as if the model had been asked directly."""

    async def use(reply: ReplyAhead, tasks: asyncio.TaskGroup) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await reply.listen(lambda _: None)
        assert reply.failed

    assert play([ONE, 1.0, DONE], use).closed == 1


def test_who_was_detached_can_go_and_another_goes_on_from_there() -> None:
    """It is read on while nobody listens, and who comes next is told what the one before was not."""
    first: list[ev.ModelEvent] = []
    second: list[ev.ModelEvent] = []

    async def use(reply: ReplyAhead, tasks: asyncio.TaskGroup) -> None:
        listening = tasks.create_task(reply.listen(first.append))
        await asyncio.sleep(0.5)
        reply.detach()
        heard = reply.count
        listening.cancel()
        await asyncio.sleep(1)
        await reply.listen(second.append, heard)
        assert not reply.failed

    model = play([ONE, 1.0, TWO, 1.0, THREE, DONE], use)
    assert first == [ONE]
    assert second == [TWO, THREE, DONE]
    assert model.closed == 0


def test_who_listens_next_takes_the_place_of_who_listened_before() -> None:
    """The one before may be cancelled then, and is told nothing more."""
    first: list[ev.ModelEvent] = []
    second: list[ev.ModelEvent] = []

    async def use(reply: ReplyAhead, tasks: asyncio.TaskGroup) -> None:
        listening = tasks.create_task(reply.listen(first.append))
        await asyncio.sleep(0.5)
        other = tasks.create_task(reply.listen(second.append))
        await asyncio.sleep(0)
        listening.cancel()
        await other

    assert play([ONE, 1.0, TWO, DONE], use).closed == 0
    assert first == [ONE]
    assert second == [ONE, TWO, DONE]


def test_what_was_dropped_before_it_began_is_never_asked() -> None:
    """Nothing was sent, and nothing is told."""

    async def use(reply: ReplyAhead, tasks: asyncio.TaskGroup) -> None:
        reply.drop()
        await asyncio.sleep(1)

    assert play([ONE, DONE], use).requests == []


@pytest.mark.parametrize(
    ("script", "usage"),
    [
        ([ONE, 9.0, DONE], Usage(steps=1)),
        ([ONE, DONE], TAKEN),
        ([ONE, ev.ModelFinished("stop")], Usage(steps=1)),
        (
            [ModelBusy(Usage(attempts=1)), ModelBusy(), ModelBusy(Usage(attempts=1, hedges=1)), DONE],
            TAKEN + Usage(attempts=2, hedges=1),
        ),
    ],
)
def test_what_it_took_is_known_as_far_as_it_was_told(script: list[ev.ModelEvent | float], usage: Usage) -> None:
    """A reply without its end is a step of which nobody knows more."""

    async def use(reply: ReplyAhead, tasks: asyncio.TaskGroup) -> None:
        await asyncio.sleep(1)
        assert reply.usage == usage
        reply.drop()

    play(script, use)
