"""What counts as asked before, for requests and for calls."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from tests.speculation.host import Hands, Thinker
from tests.turns import TOOLS
from tests.virtual_time import VirtualClock, run
from voice_agent.events import ModelEvent, RunTool
from voice_agent.messages import Message, ModelRequest
from voice_agent.speculation.adoption import AdoptingModel, AdoptingTools
from voice_agent.speculation.call_ahead import CallAhead
from voice_agent.speculation.recording import Recording, RecordingModel, RecordingTools
from voice_agent.speculation.reply_ahead import ReplyAhead

REQUEST = ModelRequest("m", "s", (Message("user", "before", 1.0),), (Message("user", "hello", 2.0),))
CALL = RunTool("call_x_0", "look", {"q": "x"})


def test_a_request_is_the_same_whenever_its_turn_was_spoken() -> None:
    """A model is not told of the time."""
    later = msgspec.structs.replace(REQUEST, turn=(Message("user", "hello", 3.0),))
    assert asked(later) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"system": "t"},
        {"history": ()},
        {"turn": (Message("user", "Hello", 2.0),)},
        {"tool_choice": "none"},
        {"temperature": 0.5},
    ],
)
def test_any_other_difference_is_another_request(change: dict[str, object]) -> None:
    """The model is asked again."""
    assert asked(msgspec.structs.replace(REQUEST, **change)) == 2


def asked(request: ModelRequest) -> int:
    """How many requests are made for this one, after `REQUEST` ahead."""
    model = Thinker()

    async def main() -> None:
        told: list[ModelEvent] = []
        recording = Recording()
        async with asyncio.TaskGroup() as tasks:
            recording.replies[ReplyAhead(model, REQUEST, tasks)] = 0.0
            await asyncio.sleep(1)
            await AdoptingModel(model, recording, VirtualClock()).reply(request, told.append)
        assert told

    run(main())
    return len(model.requests)


@pytest.mark.parametrize(
    ("call", "runs"),
    [
        (CALL, 1),
        (RunTool("call_x_1", "look", {"q": "x"}), 2),
        (RunTool("call_x_0", "quiet", {"q": "x"}), 2),
        (RunTool("call_x_0", "look", {"q": "y"}), 2),
    ],
)
def test_a_call_is_the_same_if_its_id_its_tool_and_its_arguments_are(call: RunTool, runs: int) -> None:
    """Any other one is run."""
    hands = Hands()

    async def main() -> None:
        recording = Recording()
        async with asyncio.TaskGroup() as tasks:
            recording.calls[CALL.call_id] = CallAhead(hands, CALL, tasks)
            outcome = await AdoptingTools(hands, recording).run(call)
        assert outcome.call_id == call.call_id

    run(main())
    assert len(hands.began) == runs


@pytest.mark.parametrize("end", [Recording.drop, Recording.detach])
def test_a_turn_that_is_being_cancelled_begins_nothing_any_more(end: Callable[[Recording], None]) -> None:
    """Neither a request nor a tool, whether its work is dropped or adopted: nobody would stop them."""
    model, hands = Thinker(), Hands()

    async def main() -> None:
        recording = Recording()
        end(recording)
        async with asyncio.TaskGroup() as tasks:
            asking = RecordingModel(model, recording, tasks, VirtualClock()).reply(REQUEST, lambda _: None)
            working = RecordingTools(hands, {"look": TOOLS["look"]}, recording, tasks).run(CALL)
            left = [tasks.create_task(asking), tasks.create_task(working)]
            await asyncio.sleep(1)
            for task in left:
                assert task.cancel()

    run(main())
    assert (model.requests, hands.began) == ([], [])
