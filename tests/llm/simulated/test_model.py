"""The simulated model in process: what it says to a person, its directives, and that only the request counts."""

import asyncio
from typing import Any

import msgspec
import pytest

from voice_agent.clock import SystemClock
from voice_agent.events import ModelEvent, ModelFailed, ModelFinished, TextDelta, ToolCallDelta
from voice_agent.llm.simulated.answer import Pace
from voice_agent.llm.simulated.model import SimulatedModel
from voice_agent.messages import Message, ModelRequest, ToolCall, ToolSchema

SAY = {"pre_exec_msg": {"type": "string"}}


def tool(name: str, **properties: Any) -> ToolSchema:
    """A tool that requires all of its arguments."""
    return ToolSchema(name, "", {"type": "object", "properties": properties, "required": list(properties)})


TOOLS = (
    tool("get_time", **SAY),
    tool("set_reminder", **SAY, text={"type": "string"}, when={"type": "string"}, delay_seconds={"type": "integer"}),
    tool("end_call"),
)


def user(text: str) -> Message:
    """The caller's words."""
    return Message("user", text, 0.0)


async def ask(*messages: Message, **fields: Any) -> list[ModelEvent]:
    """All events of the reply to these messages."""
    given = {"model": "simulated", "system": "You help.", "history": (), "turn": messages, "tools": TOOLS, **fields}
    out: list[ModelEvent] = []
    async with asyncio.timeout(10):
        await SimulatedModel(Pace(0, 0), SystemClock()).reply(ModelRequest(**given), out.append)
    return out


def speech(out: list[ModelEvent]) -> str:
    """What is said."""
    return "".join(event.text for event in out if isinstance(event, TextDelta))


def calls(out: list[ModelEvent]) -> list[tuple[str, Any]]:
    """The calls made, each with its arguments."""
    pieces = [event for event in out if isinstance(event, ToolCallDelta)]
    return [
        (piece.name, msgspec.json.decode("".join(other.json for other in pieces if other.index == piece.index)))
        for piece in pieces
        if piece.name
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("Hello there", "Hello! What can I do for you?"),
        ("My name is Zoë.", "Nice to meet you, Zoë."),
        ("what is my name?", "You have not told me your name yet."),
        ("thanks a lot", "You are welcome."),
        ("blue cheese", "You said: blue cheese"),
    ],
)
async def test_small_talk(words: str, said: str) -> None:
    """A person gets a sensible answer."""
    assert speech(await ask(user(words))) == said


async def test_it_asks_whoever_is_silent_whether_they_are_there() -> None:
    """As it is told to."""
    note = Message("context", "[The caller has said nothing for 15 seconds. Say one short thing.]", 0.0)
    assert speech(await ask(note, history=(user("thanks"),))) == "Are you still there?"


async def test_whoever_was_not_interrupted_goes_on_with_what_was_asked() -> None:
    """Directives, too, go on after the step that was cut short."""
    cut = (
        user("!call look !then !say Found."),
        Message("assistant", "", 0.0, tool_calls=(ToolCall("c1", "look", "{}"),), interrupted=True),
        Message("tool", "Cancelled.", 0.0, tool_call_id="c1", failed=True),
    )
    note = Message("context", "[It was no interruption. Go on.]", 0.0)
    assert speech(await ask(note, history=cut)) == "Found."
    assert speech(await ask(note, history=(user("thanks"),))) == "You are welcome."


async def test_greets_first() -> None:
    """Without any words of the user's it opens the conversation."""
    assert speech(await ask()) == "Hello! How can I help you?"


async def test_story_is_long() -> None:
    """A story takes a while to tell, for interrupting it."""
    assert len(speech(await ask(user("Tell me a story"))).split()) >= 120


async def test_remembers_a_name_that_it_can_see() -> None:
    """The latest name in the history counts, then the system text, but not the agent's own name."""
    told = (user("my name is Bo"), Message("assistant", "Hi.", 0.0), user("no, call me Ida"))
    assert speech(await ask(user("What's my name?"), history=told)) == "Your name is Ida."
    system = "The caller's name is Max. Your name is Eve."
    assert speech(await ask(user("What's my name?"), system=system)) == "Your name is Max."


async def test_time_through_its_tool() -> None:
    """Asked for the time it calls the tool, the utterance first, and then speaks about the result."""
    question = user("What time is it?")
    out = await ask(question)
    assert calls(out) == [("get_time", {"pre_exec_msg": "Let me look at the clock."})]
    done = (
        Message("assistant", "", 0.0, tool_calls=(ToolCall("c1", "get_time", "{}"),)),
        Message("tool", "twelve", 0.0, tool_call_id="c1"),
    )
    assert speech(await ask(question, *done)) == "The clock says: twelve"
    assert speech(await ask(question, tools=())) == "I have no clock at hand, I am afraid."
    assert calls(await ask(question, tool_choice="none")) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Remind me to call Ann in 5 minutes", {"text": "call Ann", "when": "in 5 minutes", "delay_seconds": 300}),
        ("remind me in two hours to eat", {"text": "eat", "when": "in two hours", "delay_seconds": 7200}),
        ("remind me about tea", {"text": "tea", "when": "in 10 minutes", "delay_seconds": 600}),
    ],
)
async def test_reminder_is_filled_from_the_words(words: str, expected: dict[str, Any]) -> None:
    """Each required argument gets a value of its type that fits the words."""
    [(name, arguments)] = calls(await ask(user(words)))
    assert name == "set_reminder"
    assert arguments == {"pre_exec_msg": "Sure, I am setting that up.", **expected}


async def test_goodbye_ends_the_call() -> None:
    """It says goodbye and hangs up, where it can."""
    out = await ask(user("Okay, bye!"))
    assert speech(out) == "Goodbye, talk to you soon!"
    assert calls(out) == [("end_call", {})]
    assert calls(await ask(user("Okay, bye!"), tools=())) == []


async def test_steps_by_directive() -> None:
    """`!then` tells what follows the results of the reply before."""
    words = user('!call get_time {"pre_exec_msg":"So."} !call end_call !then !say Done. !tokens 2')
    assert calls(await ask(words)) == [("get_time", {"pre_exec_msg": "So."}), ("end_call", {})]
    done = (
        Message("assistant", "", 0.0, tool_calls=(ToolCall("a", "get_time", "{}"), ToolCall("b", "end_call", "{}"))),
        Message("tool", "x", 0.0, tool_call_id="a"),
        Message("tool", "y", 0.0, tool_call_id="b"),
    )
    assert speech(await ask(words, *done)) == "Done.tok1 tok2"


async def test_broken_arguments_by_directive() -> None:
    """Arguments that are no JSON are sent as they stand."""
    out = await ask(user("!call get_time {oops"))
    assert "".join(event.json for event in out if isinstance(event, ToolCallDelta)) == "{oops"


async def test_limits_and_determinism() -> None:
    """The output limit ends a reply by length, and the same request gets the same events."""
    first = await ask(user("Tell me a story"), max_output_tokens=4)
    assert speech(first) == "Once upon a time"
    assert isinstance(first[-1], ModelFinished)
    assert first[-1].reason == "length"
    assert await ask(user("Tell me a story"), max_output_tokens=4) == first


async def test_refuses_what_openai_refuses() -> None:
    """In process too a request that breaks a rule is refused, in plain words."""
    out = await ask(user("hi"), temperature=9.0)
    assert out == [ModelFailed("simulated refused the request (HTTP 400): temperature has to be a number from 0 to 2")]


async def test_stall_waits_for_its_cancellation() -> None:
    """A stalled reply says half of it and never ends."""
    out: list[ModelEvent] = []
    request = ModelRequest("simulated", "s", (), (user("!say one two !fault stall"),))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(SimulatedModel(Pace(0, 0), SystemClock()).reply(request, out.append))
        while not out:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
    assert out == [TextDelta("one")]


class _SteppedClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at


async def test_pace_does_not_drift() -> None:
    """Tokens that are overdue come at once: a late one does not make the next ones later."""
    clock = _SteppedClock()
    out: list[ModelEvent] = []

    def emit(event: ModelEvent) -> None:
        out.append(event)
        clock.at = 3600.0

    request = ModelRequest("simulated", "s", (), (user("!tokens 50 !token_ms 60000"),))
    async with asyncio.timeout(10):
        await SimulatedModel(Pace(0, 0), clock).reply(request, emit)
    assert len(out) == 51
